"""Every way in, in every case of a login: the answer of each, and what the person at the mail program reads.

Dovecot 2.4 has the same in tests/install/test_trixie_dovecot.py.
"""

import json
import os
import shutil
import smtplib
import subprocess
import tempfile
import unittest

from login_cases import BARRED, doveadm_answer, set_columns
from private_server import Site, free_port, wait_until
from private_server.dovecot import LUA, Dovecot
from private_server.suite import MAIL_UID
from scram_client import ScramClient, stored_keys
from site_tests import BUILD, tls

PASSWORD = "correct horse battery"
DOMAIN = "example.test"

# name: the user, the password, and what becomes of it. What each user is, setUpModule() makes so, and the app password.
CASES = {
    "right": ("anna", PASSWORD, "ok"),
    "wrong": ("anna", "a wrong one", "no"),
    "unknown": ("nobody", PASSWORD, "no"),
    "disabled": ("dora", PASSWORD, "no"),
    "wrong service": ("pop", PASSWORD, "no"),
    "wrong network": ("office", PASSWORD, "no"),
    "too late": ("gone", PASSWORD, "no"),
}
# SCRAM proves the main password: an app password has no keys.
EXCEPTIONS = {
    ("Postfix, SCRAM-SHA-256", "app password of the phone"): "no",
    ("Cyrus auxprop, SCRAM-SHA-256", "app password of the phone"): "no",
}
USERS = ("anna", "dora", *BARRED)

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

site = lua = cyrus_port = None


def setUpModule():
    global site, lua, cyrus_port
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
    site.suite.control("domain", "add", DOMAIN)
    for user in USERS:
        site.add_user(f"{user}@{DOMAIN}", PASSWORD)
        set_columns(site, f"{user}@{DOMAIN}", f"scram_sha256='{stored_keys(PASSWORD)}', scram_for=SHA2(password, 256)")
    for user, columns in BARRED.items():
        set_columns(site, f"{user}@{DOMAIN}", columns)
    site.suite.control("user", "disable", f"dora@{DOMAIN}")
    for label, expected in (("phone", "ok"), ("old phone", "no")):
        made = site.suite.control("--json", "app-password", "add", f"anna@{DOMAIN}", "--label", label)
        CASES[f"app password of the {label}"] = ("anna", json.loads(made)["password"], expected)
    expired = "UPDATE virtual_app_passwords SET not_after = 1000000000 WHERE label = 'old phone'"
    site.database.query(expired, "mailserver")
    site.suite.control("cache", "flush", "--all")


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


def doveadm(dovecot):
    def way(user, password):
        done = dovecot.doveadm(
            "auth", "test", "-x", "service=imap", "-x", "rip=192.0.2.1", f"{user}@{DOMAIN}", password
        )
        text = done.stdout + done.stderr
        return doveadm_answer(done.returncode, text), text

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
        except smtplib.SMTPServerDisconnected as error:
            # A new smtpd that finds no SASL server ends, and its client comes again later.
            return "temp", str(error)
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
    return {
        "Dovecot 2.3, checkpassword": doveadm(site.dovecot),
        "Dovecot 2.3, Lua": doveadm(lua),
        "Postfix, PLAIN": smtp(site.postfix.submission_port, "PLAIN"),
        "Postfix, LOGIN": smtp(site.postfix.submission_port, "LOGIN"),
        "Postfix, SCRAM-SHA-256": smtp(site.postfix.submission_port, "SCRAM-SHA-256"),
        "saslauthd": testsaslauthd,
        "Cyrus, PLAIN by saslauthd": smtp(cyrus_port, "PLAIN"),
        "Cyrus, LOGIN by saslauthd": smtp(cyrus_port, "LOGIN"),
        "Cyrus auxprop, SCRAM-SHA-256": smtp(cyrus_port, "SCRAM-SHA-256"),
    }


class Matrix(unittest.TestCase):
    def check(self, name, user, password, expected):
        texts = {}
        for way, log_in in ways().items():
            with self.subTest(way=way, case=name):
                answer, text = log_in(user, password)
                self.assertEqual(answer, EXCEPTIONS.get((way, name), expected), text)
                texts[way] = text
        return texts

    def clear(self):
        """Nobody is throttled for what another case did."""
        site.suite.control("throttle", "clear", "--all")

    def test_cases(self):
        for name, (user, password, expected) in CASES.items():
            self.clear()
            texts = self.check(name, user, password, expected)
            # What a person reads, where the protocol has words for it.
            if name in ("wrong", "unknown", "disabled"):
                for way in ("Postfix, PLAIN", "Postfix, LOGIN", "Postfix, SCRAM-SHA-256"):
                    self.assertIn("the user name or the password is wrong", texts.get(way, ""), way)

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
            ask = doveadm(site.dovecot)
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
