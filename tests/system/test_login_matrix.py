"""Every way in, in every case of a login: the answer of each, and what the person at the mail program reads.

Dovecot 2.4 has the same in tests/install/test_trixie_dovecot.py.
"""

import imaplib
import os
import shutil
import smtplib
import subprocess
import tempfile
import unittest

from login_cases import DOMAIN, IMAP_TEXTS, PASSWORD, imap_answer, make_users
from private_server import Site, free_port, wait_until
from private_server.dovecot import LUA, Dovecot
from private_server.suite import MAIL_UID
from scram_client import ScramClient
from site_tests import BUILD, imap, tls

# What a person reads, by the answer; Dovecot's words are login_cases.IMAP_TEXTS.
POSTFIX_TEXTS = {
    "ok": "235 2.7.0 Authentication successful",
    "no": "535 5.7.8 Error: authentication failed: {reason}",
    "temp": "454 4.7.0 Temporary authentication failure: ",
}
# Neither of Cyrus' ways passes a reason on.
CYRUS_TEXTS = {**POSTFIX_TEXTS, "no": "535 5.7.8 Error: authentication failed: authentication failure"}
SASLAUTHD_TEXTS = {"ok": '0: OK "Success."', "no": '0: NO "authentication failed"', "temp": "0: "}

# By case, what Postfix passes on to somebody whose password was right; all others read WRONG.
REASONS = {
    "wrong service": "this account may not be used for smtp",
    "wrong network": "this account may not be used from 127.0.0.1",
    "too late": "this account has expired",
    "expired app password": "this app password has expired",
}
WRONG = "the user name or the password is wrong"
# A new smtpd that finds no SASL server ends, and its client comes again later.
HUNG_UP = "hung up"

_CYRUS = """\
127.0.0.1:{port} inet n - y - - smtpd
  -o syslog_name=postfix/cyrus
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_type=cyrus
  -o smtpd_sasl_path=smtpd
"""

_SMTPD_CONF = """\
pwcheck_method: saslauthd
saslauthd_path: /vmailkit/mux
auxprop_plugin: vmailkit
mech_list: PLAIN LOGIN SCRAM-SHA-256
vmailkit_socket: /vmailkit/keys
"""

site = lua = cyrus_port = cases = None


def setUpModule():
    global site, lua, cyrus_port, cases
    cyrus_port = free_port()
    plugins = sasl_plugins()
    site = Site(
        BUILD,
        settings={
            "auth": {"mechanisms": ["PLAIN", "LOGIN", "SCRAM-SHA-256"]},
            "database": {"deadline": "1s", "retry_after": "50ms", "retry_after_max": "200ms"},
        },
        postfix_settings=f"import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C SASL_PATH={plugins}\n",
        postfix_services=_CYRUS.format(port=cyrus_port),
    )
    # As /etc/postfix/sasl.
    os.mkdir(os.path.join(site.postfix.config, "sasl"))
    with open(os.path.join(site.postfix.config, "sasl/smtpd.conf"), "w", encoding="utf-8") as file:
        file.write(_SMTPD_CONF)
    unittest.enterModuleContext(site)
    lua = unittest.enterModuleContext(Dovecot(site.folder, MAIL_UID, site.dovecot_wiring(LUA), name="lua"))
    cases = make_users(site)


def sasl_plugins():
    """A folder with the plugins of libsasl2, ours among them."""
    path = unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="vmailkit-sasl-", dir="/tmp"))
    os.chmod(path, 0o755)
    installed = subprocess.run(["dpkg", "-L", "libsasl2-modules"], capture_output=True, text=True, check=True)
    for plugin in installed.stdout.splitlines():
        if os.path.basename(plugin).startswith(("libplain.so", "liblogin.so", "libscram.so")):
            os.symlink(plugin, os.path.join(path, os.path.basename(plugin)))
    shutil.copy(os.path.join(BUILD, "dovecot-auth/libvmailkit.so"), path)
    return path


def imap_login(dovecot):
    def way(user, password):
        with imap(site, dovecot) as client:
            try:
                text = client.login(f"{user}@{DOMAIN}", password)[1][0].decode()
            except imaplib.IMAP4.error as error:
                text = str(error)
        return imap_answer(text), text

    return way


def smtp(port, mechanism):
    def way(user, password):
        user = f"{user}@{DOMAIN}"
        client = smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60)
        try:
            client.starttls(context=tls(site.postfix.certificate))
            client.ehlo()
            client.user, client.password = user, password
            exchange = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}.get(mechanism)
            exchange = exchange or ScramClient(user, password)
            try:
                code, text = client.auth(mechanism, exchange)
            except smtplib.SMTPAuthenticationError as error:
                code, text = error.smtp_code, error.smtp_error
            if code == 235 and isinstance(exchange, ScramClient) and not exchange.server_proved:
                return "the server has not proved itself", ""
            return {235: "ok", 535: "no", 454: "temp"}.get(code, code), f"{code} {text.decode()}"
        except smtplib.SMTPServerDisconnected:
            return "temp", HUNG_UP
        finally:
            client.close()

    return way


def testsaslauthd(user, password):
    done = subprocess.run(
        ["testsaslauthd", "-f", site.suite.mux, "-u", user, "-r", DOMAIN, "-p", password, "-s", "smtp"],
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    if done.returncode == 0:
        return "ok", text
    return "no" if 'NO "' in text else "temp", text


def ways():
    """By name: how one logs in, and the texts of the answers."""
    port = site.postfix.submission_port
    return {
        "Dovecot 2.3, checkpassword": (imap_login(site.dovecot), IMAP_TEXTS),
        "Dovecot 2.3, Lua": (imap_login(lua), IMAP_TEXTS),
        "Postfix, PLAIN": (smtp(port, "PLAIN"), POSTFIX_TEXTS),
        "Postfix, LOGIN": (smtp(port, "LOGIN"), POSTFIX_TEXTS),
        "Postfix, SCRAM-SHA-256": (smtp(port, "SCRAM-SHA-256"), POSTFIX_TEXTS),
        "saslauthd": (testsaslauthd, SASLAUTHD_TEXTS),
        "Cyrus, PLAIN by saslauthd": (smtp(cyrus_port, "PLAIN"), CYRUS_TEXTS),
        "Cyrus, LOGIN by saslauthd": (smtp(cyrus_port, "LOGIN"), CYRUS_TEXTS),
        "Cyrus auxprop, SCRAM-SHA-256": (smtp(cyrus_port, "SCRAM-SHA-256"), CYRUS_TEXTS),
    }


class Matrix(unittest.TestCase):
    def check(self, name, user, password, expected):
        for way, (log_in, texts) in ways().items():
            with self.subTest(way=way, case=name):
                answer, text = log_in(user, password)
                # SCRAM proves the main password; an app password has no keys.
                just_wrong = "SCRAM" in way and "app password" in name
                self.assertEqual(answer, "no" if just_wrong else expected, text)
                reason = WRONG if just_wrong else REASONS.get(name, WRONG)
                if text != HUNG_UP:
                    self.assertIn(texts[answer].format(reason=reason), text)

    def clear(self):
        """Nobody is throttled for what another case did."""
        site.suite.control("throttle", "clear", "--all")

    def test_cases(self):
        for name, (user, password, expected) in cases.items():
            self.clear()
            self.check(name, user, password, expected)

    def test_wrong_password_is_told_nothing_of_the_rules(self):
        self.clear()
        _, wrong = smtp(site.postfix.submission_port, "PLAIN")("anna", "a wrong one")
        _, elsewhere = smtp(site.postfix.submission_port, "PLAIN")("office", "a wrong one")
        self.assertEqual(wrong, elsewhere)

    def test_database_down(self):
        self.clear()
        site.database.freeze()
        try:
            self.check("database down", "never-asked", PASSWORD, "temp")
        finally:
            site.database.thaw()
            ask = imap_login(site.dovecot)
            wait_until(lambda: ask("never-asked", PASSWORD)[0] == "no", 30, "the database to be asked again")

    def test_zz_daemon_down(self):
        """Last of all: nobody listens any more."""
        self.clear()
        self.check("daemon up", "anna", PASSWORD, "ok")
        site.suite.auth.kill()
        site.suite.auth.close()
        self.check("daemon down", "anna", PASSWORD, "temp")


if __name__ == "__main__":
    unittest.main()
