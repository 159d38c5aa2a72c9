"""Dovecot 2.3 through the Lua script: logins, lookups, the list of all users, and what becomes of them in trouble."""

import subprocess
import unittest

from private_server import Site, wait_until
from private_server.dovecot import LUA
from private_server.suite import MAIL_UID, dovecot_ids
from site_tests import BUILD, imap

ANNA, DORA = "anna@example.test", "dora@example.test"
PASSWORD = "correct horse battery"
EX_NOUSER, EX_TEMPFAIL = 67, 75

site = None


def setUpModule():
    global site
    site = unittest.enterModuleContext(Site(BUILD, dovecot=LUA, credentials_peers=[dovecot_ids()[0]]))
    site.suite.control("domain", "add", "example.test")
    for address in (ANNA, DORA):
        site.add_user(address, PASSWORD)
    site.suite.control("user", "disable", DORA)


def auth_test(user, password):
    return site.dovecot.doveadm("auth", "test", "-x", "service=imap", "-x", "rip=192.0.2.1", user, password)


def auth_log():
    return site.suite.auth.process.read_log()


class PasswordCheck(unittest.TestCase):
    def test_right(self):
        done = auth_test(ANNA.upper(), PASSWORD)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("auth succeeded", done.stdout)
        self.assertIn(f"user={ANNA}", done.stdout)
        self.assertIn("service=imap rip=192.0.2.1", auth_log())

    def test_wrong_unknown_and_disabled(self):
        for user, password in ((ANNA, PASSWORD + "x"), ("nobody@example.test", PASSWORD), (DORA, PASSWORD)):
            with self.subTest(user):
                done = auth_test(user, password)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("auth failed", done.stdout + done.stderr)
                self.assertNotIn("temp", done.stdout + done.stderr)

    def test_imap(self):
        with imap(site) as client:
            self.assertEqual(client.login(ANNA, PASSWORD)[0], "OK")
            self.assertEqual(client.select("INBOX")[0], "OK")
        self.assertRegex(auth_log(), rf"login user={ANNA} service=imap rip=127.0.0.1 session=\S+ result=ok")
        self.assertNotIn(PASSWORD, site.dovecot.read_log())


class UserLookup(unittest.TestCase):
    def test_user(self):
        done = site.dovecot.doveadm("user", ANNA)
        self.assertEqual(done.returncode, 0, done.stderr)
        fields = dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
        self.assertEqual((fields["uid"], fields["gid"]), (str(MAIL_UID), str(MAIL_UID)))
        self.assertEqual(fields["home"], site.maildir(ANNA))

    def test_unknown(self):
        self.assertEqual(site.dovecot.doveadm("user", "nobody@example.test").returncode, EX_NOUSER)

    def test_all_users(self):
        """More of them than one answer of the daemon holds."""
        many = [f"u{number}@example.test" for number in range(700)]
        rows = ",".join(f"((SELECT id FROM virtual_domains WHERE name='example.test'),'{user}','x')" for user in many)
        site.database.query(f"INSERT INTO virtual_users (domain_id, email, password) VALUES {rows}", "mailserver")
        self.addCleanup(site.database.query, "DELETE FROM virtual_users WHERE email LIKE 'u%@example.test'", "mailserver")
        done = site.dovecot.doveadm("user", "*")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.split()), sorted([ANNA, *many]))


class CredentialsLookup(unittest.TestCase):
    def test_found_and_unknown(self):
        done = site.dovecot.doveadm("auth", "lookup", ANNA)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"passdb: {ANNA}", done.stdout)
        self.assertEqual(site.dovecot.doveadm("auth", "lookup", "nobody@example.test").returncode, EX_NOUSER)


class DaemonAway(unittest.TestCase):
    def test_restart_is_not_noticed(self):
        self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0)
        for _ in range(3):
            site.suite.auth.restart()
            self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0)
            self.assertEqual(site.dovecot.doveadm("user", ANNA).returncode, 0)

    def test_gone_is_temporary(self):
        """Nobody is told that a password or an address is wrong, and it works again by itself."""
        self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0)
        site.suite.auth.kill()
        try:
            done = auth_test(ANNA, PASSWORD)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("temp_fail", done.stdout + done.stderr)
            self.assertEqual(site.dovecot.doveadm("user", ANNA).returncode, EX_TEMPFAIL)
        finally:
            site.suite.auth.start()
        self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0)


class DatabaseAway(unittest.TestCase):
    def test_temporary(self):
        self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0)
        site.database.freeze()
        try:
            done = auth_test("never-asked@example.test", PASSWORD)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("temp_fail", done.stdout + done.stderr)
            self.assertNotEqual(site.dovecot.doveadm("user", "*").returncode, 0)
            self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0, "what is in memory serves")
        finally:
            site.database.thaw()
            # A host that failed is left alone for a while.
            wait_until(lambda: "temp" not in auth_test(ANNA, "x").stdout, 60, "refusals after the outage", poll=0.5)


class Worker(unittest.TestCase):
    def test_runs_without_rights(self):
        """The process into which our module is loaded is not root's."""
        self.assertEqual(auth_test(ANNA, PASSWORD).returncode, 0)
        master = site.dovecot.process.pid
        listing = subprocess.run(["ps", "-o", "uid=,args=", "--ppid", str(master)], capture_output=True, text=True, check=True)
        workers = [line.split(None, 1) for line in listing.stdout.splitlines() if "auth -w" in line]
        self.assertEqual({int(uid) for uid, _ in workers}, {dovecot_ids()[0]}, listing.stdout)


if __name__ == "__main__":
    unittest.main()
