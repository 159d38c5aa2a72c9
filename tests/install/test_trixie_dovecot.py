"""Dovecot 2.4 of Debian 13 through the Lua script: the same script and the same module as on 2.3. Dovecot runs in the
root, without a network; the database and vmail-authd run outside, and their sockets are to be seen inside."""

import json
import os
import re
import unittest

import packages
import roots
from login_cases import BARRED, doveadm_answer, set_columns
from private_server import Site
from private_server.dovecot import LUA_2_4
from private_server.suite import MAIL_UID
from site_tests import BUILD, send

PASSWORD = "correct horse battery"
DOMAIN = "example.test"
LIMIT = 300 * 1024

_CONFIG = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/log
instance_name = vmailkit-private
protocols {{
}}
ssl = no
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
        site.suite.control("domain", "add", DOMAIN)
        for user in ("anna", "dora", *BARRED):
            site.add_user(f"{user}@{DOMAIN}", PASSWORD)
        site.suite.control("user", "disable", f"dora@{DOMAIN}")
        for user, columns in BARRED.items():
            set_columns(site, f"{user}@{DOMAIN}", columns)
        site.suite.control("cache", "flush", "--all")
        path = site.folder.make("dovecot24")
        for name in ("run", "state"):
            site.folder.make("dovecot24/" + name)
        cls.config = os.path.join(path, "dovecot.conf")
        with open(cls.config, "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(path=path, uid=MAIL_UID, limit=LIMIT) + site.dovecot_wiring(LUA_2_4))
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

    def log_in(self, user, password=PASSWORD):
        status, text = self.doveadm(
            "auth", "test", "-x", "service=imap", "-x", "rip=192.0.2.1", f"{user}@{DOMAIN}", password
        )
        if status == 0:
            self.assertIn(f"user={user}@{DOMAIN}", text)
        return doveadm_answer(status, text)

    def test_logins(self):
        self.assertEqual(self.log_in("anna"), "ok")
        self.assertRegex(self.site.suite.auth.process.read_log(), rf"user=anna@{DOMAIN} service=imap rip=192.0.2.1 ")
        self.assertEqual(self.log_in("anna", "a wrong one"), "no")
        for user in ("nobody", "dora", "pop", "office", "gone"):
            with self.subTest(user):
                self.assertEqual(self.log_in(user), "no")

    def test_users(self):
        status, text = self.doveadm("user", f"anna@{DOMAIN}")
        self.assertEqual(status, 0, text)
        self.assertIn(f"home\t{self.site.maildir(f'anna@{DOMAIN}')}", text)
        self.assertEqual(self.doveadm("user", f"nobody@{DOMAIN}")[0], 67)
        status, text = self.doveadm("user", "*")
        self.assertEqual(status, 0, text)
        # systemd-nspawn may add a line of its own.
        users = sorted(f"{user}@{DOMAIN}" for user in ("anna", "gone", "office", "pop"))
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
            self.assertEqual(self.log_in("never-asked"), "temp")
        finally:
            self.site.database.thaw()
        self.site.suite.auth.kill()
        try:
            self.assertEqual(self.log_in("anna"), "temp")
            self.assertEqual(self.doveadm("user", f"anna@{DOMAIN}")[0], 75)
        finally:
            self.site.suite.auth.start()
        self.assertEqual(self.log_in("anna"), "ok")


if __name__ == "__main__":
    unittest.main()
