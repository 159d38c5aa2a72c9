"""Dovecot 2.4 of Debian 13 through the Lua script: the same script and the same module as on 2.3. Dovecot runs in the
root, without a network; the database and vmail-authd run outside, and their sockets are to be seen inside."""

import json
import os
import re
import shlex
import unittest

import packages
import roots
from login_cases import DOMAIN, PASSWORD, USERS, imap_answer, make_users
from private_server import Site
from private_server.dovecot import LUA_2_4
from private_server.suite import MAIL_UID
from site_tests import BUILD, send

PORT = 1143
LIMIT = 300 * 1024

_CONFIG = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/log
instance_name = vmailkit-private
protocols {{
  imap = yes
}}
listen = 127.0.0.1
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain login
auth_failure_delay = 0
first_valid_uid = {uid}
mail_driver = maildir
mail_path = ~/
mail_plugins {{
  quota = yes
}}
quota "User quota" {{
  driver = maildir
  storage_size = {limit}B
}}
"""

_LOG_IN = r"""
log_in() {{
  exec 3<>/dev/tcp/127.0.0.1/{port}
  printf 'a LOGIN "%s" "%s"\r\nb LOGOUT\r\n' "$1" "$2" >&3
  cat <&3
  exec 3>&-
}}
"""


def _number(file, name):
    return int(re.search(rf"^{name}:x:(\d+):", file.read_text(), re.MULTILINE)[1])


@unittest.skipIf(roots.why_not(), roots.why_not())
class Dovecot24(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = packages.trixie()
        # The user and group of the root's Dovecot, which have numbers of their own.
        uid = _number(cls.root / "etc/passwd", "dovecot")
        gid = _number(cls.root / "etc/group", "dovecot")
        cls.site = cls.enterClassContext(Site(BUILD, credentials_peers=[uid]))
        site = cls.site
        cls.cases = make_users(site)
        path = site.folder.make("dovecot24")
        for name in ("run", "state"):
            site.folder.make("dovecot24/" + name)
        cls.config = os.path.join(path, "dovecot.conf")
        with open(cls.config, "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(path=path, uid=MAIL_UID, limit=LIMIT, port=PORT) + site.dovecot_wiring(LUA_2_4))
        os.chown(site.suite.verify, -1, gid)

    def inside(self, command):
        """Runs a command beside a Dovecot that it may ask; its exit status and what it said."""
        folder = self.site.folder.path
        script = f"""
            dovecot -c {self.config}
            status=0
            {command} 2>&1 || status=$?
            doveadm -c {self.config} stop
            exit $status
        """
        return roots.run_in(self.root, script, {folder: folder}, {})

    def doveadm(self, *arguments):
        words = " ".join(f"'{word}'" for word in arguments)
        return self.inside(f"doveadm -c {self.config} {words}")

    def log_in(self, *logins):
        """The answers over IMAP to these logins, each a user and a password, in turn."""
        calls = (f"log_in {shlex.quote(f'{user}@{DOMAIN}')} {shlex.quote(password)}\n" for user, password in logins)
        script = _LOG_IN.format(port=PORT) + "".join(calls)
        status, text = self.inside(f"bash -c {shlex.quote(script)}")
        self.assertEqual(status, 0, text)
        answers = re.findall(r"^a \w+ (?:\[CAPABILITY [^]]*\] )?(.*?)\s*$", text, re.MULTILINE)
        self.assertEqual(len(answers), len(logins), text)
        return [imap_answer(answer) for answer in answers]

    def test_logins(self):
        self.site.suite.control("throttle", "clear", "--all")
        answers = self.log_in(*((user, password) for user, password, _ in self.cases.values()))
        for (name, (_, _, expected)), answer in zip(self.cases.items(), answers, strict=True):
            with self.subTest(name):
                self.assertEqual(answer, expected)
        self.assertRegex(self.site.suite.auth.process.read_log(), rf"user=anna@{DOMAIN} service=imap rip=127.0.0.1 ")

    def test_users(self):
        status, text = self.doveadm("user", f"anna@{DOMAIN}")
        self.assertEqual(status, 0, text)
        self.assertIn(f"home\t{self.site.maildir(f'anna@{DOMAIN}')}", text)
        self.assertEqual(self.doveadm("user", f"nobody@{DOMAIN}")[0], 67)
        status, text = self.doveadm("user", "*")
        self.assertEqual(status, 0, text)
        # systemd-nspawn may add a line of its own.
        users = sorted(f"{user}@{DOMAIN}" for user in USERS if user != "dora")
        self.assertEqual(sorted(re.findall(r"\S+@\S+", text)), users)

    def test_credentials(self):
        status, text = self.doveadm("auth", "lookup", f"anna@{DOMAIN}")
        self.assertEqual(status, 0, text)
        self.assertIn(f"passdb: anna@{DOMAIN}", text)

    def test_mailboxes(self):
        """What the store has filed is read back as it was sent, and both count it alike."""
        user = f"anna@{DOMAIN}"
        self.site.suite.control("quota", "add", user, str(LIMIT))
        bodies = ["plain\n", "\n", "x" * 900 + "\n", ".dots\n..\n"]
        for number, body in enumerate(bodies):
            send(self.site, [user], f"bytes{number}", body=body.replace("\n", "\r\n"))
            self.site.wait_for_message(user, f"bytes{number}")
        for number, body in enumerate(bodies):
            status, text = self.doveadm("-f", "tab", "fetch", "-u", user, "body", "subject", f"bytes{number}")
            self.assertEqual(status, 0, text)
            self.assertEqual(text.split("\n", 1)[1].split("\n\n")[0].rstrip("\n"), body.rstrip("\n"))
        self.assert_same_quota(user)
        self.assertEqual(self.doveadm("expunge", "-u", user, "mailbox", "INBOX", "subject", "bytes2")[0], 0)
        self.assert_same_quota(user)
        send(self.site, [user], "one more", body="A line of text.\r\n" * 100)
        self.site.wait_for_message(user, "one more")
        self.assert_same_quota(user)

    def assert_same_quota(self, user):
        status, text = self.doveadm("-f", "tab", "quota", "get", "-u", user)
        self.assertEqual(status, 0, text)
        figures = dict(re.findall(r"\t(STORAGE|MESSAGE)\t(\d+)", text))
        [ours] = json.loads(self.site.suite.control("--json", "mailbox", "usage", user))
        kibibytes = -(-ours["bytes"] // 1024)
        self.assertEqual((int(figures["STORAGE"]), int(figures["MESSAGE"])), (kibibytes, ours["messages"]))

    def test_trouble_is_temporary(self):
        self.site.database.freeze()
        try:
            self.assertEqual(self.log_in(("never-asked", PASSWORD)), ["temp"])
        finally:
            self.site.database.thaw()
        self.site.suite.auth.kill()
        try:
            self.assertEqual(self.log_in(("anna", PASSWORD)), ["temp"])
            self.assertEqual(self.doveadm("user", f"anna@{DOMAIN}")[0], 75)
        finally:
            self.site.suite.auth.start()
        self.assertEqual(self.log_in(("anna", PASSWORD)), ["ok"])


if __name__ == "__main__":
    unittest.main()
