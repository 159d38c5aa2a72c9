"""Dovecot's own tools, through checkpassword in its three modes."""

import socket
import unittest

from private_server import Site
from private_server.suite import AUTH_UID, MAIL_UID, dovecot_ids
from site_tests import BUILD, as_user

ANNA, DORA = "anna@example.test", "dora@example.test"
PASSWORD = "correct horse battery"

site = None


def setUpModule():
    global site
    site = unittest.enterModuleContext(Site(BUILD, credentials_peers=[dovecot_ids()[0]]))
    site.suite.control("domain", "add", "example.test")
    for address in (ANNA, DORA):
        site.add_user(address, PASSWORD)
    site.suite.control("user", "disable", DORA)


class PasswordCheck(unittest.TestCase):
    def auth_test(self, user, password):
        return site.dovecot.doveadm("auth", "test", "-x", "service=imap", "-x", "rip=192.0.2.1", user, password)

    def test_right(self):
        done = self.auth_test(ANNA, PASSWORD)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("auth succeeded", done.stdout)
        self.assertIn(f"user={ANNA}", done.stdout)

    def test_wrong(self):
        done = self.auth_test(ANNA, PASSWORD + "x")
        self.assertIn("auth failed", done.stdout + done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_unknown_and_disabled(self):
        for user in ("nobody@example.test", DORA, "anna"):
            with self.subTest(user):
                done = self.auth_test(user, PASSWORD)
                self.assertIn("auth failed", done.stdout + done.stderr)
                self.assertNotIn("temp_fail", done.stdout + done.stderr)


class UserLookup(unittest.TestCase):
    def test_user(self):
        done = site.dovecot.doveadm("user", ANNA)
        self.assertEqual(done.returncode, 0, done.stderr)
        fields = dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
        self.assertEqual(fields["uid"], str(MAIL_UID))
        self.assertEqual(fields["gid"], str(MAIL_UID))
        self.assertEqual(fields["home"], site.maildir(ANNA))

    def test_unknown(self):
        done = site.dovecot.doveadm("user", "nobody@example.test")
        self.assertEqual(done.returncode, 67, done.stdout + done.stderr)  # EX_NOUSER; 75 would be temporary


class AuthMaster(unittest.TestCase):
    """The same questions at our socket of Dovecot's auth master protocol, without any process of Dovecot's own."""

    def doveadm(self, *arguments):
        return site.dovecot.doveadm("-o", f"auth_socket_path={site.suite.userdb}", *arguments)

    def test_user(self):
        done = self.doveadm("user", ANNA)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, site.dovecot.doveadm("user", ANNA).stdout)

    def test_unknown_and_disabled(self):
        for user in ("nobody@example.test", DORA):
            self.assertEqual(self.doveadm("user", user).returncode, 67)

    def test_all_users(self):
        done = self.doveadm("user", "*")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split(), [ANNA])


class CredentialsLookup(unittest.TestCase):
    def test_found(self):
        done = site.dovecot.doveadm("auth", "lookup", ANNA)  # it keeps the hash to itself
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"passdb: {ANNA}", done.stdout)

    def test_unknown(self):
        done = site.dovecot.doveadm("auth", "lookup", "nobody@example.test")
        self.assertEqual(done.returncode, 67, done.stdout + done.stderr)  # EX_NOUSER; 75 would be temporary

    def test_nobody_else_gets_a_hash(self):
        dovecot_uid, dovecot_gid = dovecot_ids()
        self.assertEqual(as_user(dovecot_uid, dovecot_gid, lambda: ask_for_hash(site.suite.credentials)), 0)
        for uid, gid in ((AUTH_UID, AUTH_UID), (65534, dovecot_gid), (MAIL_UID, MAIL_UID)):
            with self.subTest(uid):
                self.assertNotEqual(as_user(uid, gid, lambda: ask_for_hash(site.suite.credentials)), 0)

    def test_verify_socket_gives_no_hash(self):
        self.assertNotEqual(as_user(0, 0, lambda: ask_for_hash(site.suite.verify)), 0)


def ask_for_hash(path):
    """Raises OSError unless a password hash comes back."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(b"CREDENTIALS\tuser=anna@example.test\n")
        reply = b""
        while not reply.endswith(b"\n"):
            more = client.recv(4096)
            if not more:
                break
            reply += more
        if b"$6$" not in reply:
            raise PermissionError(13, "no hash")


class DaemonAway(unittest.TestCase):
    def test_is_temporary(self):
        """Nobody is told that a password or an address is wrong, and it works again by itself."""
        site.suite.auth.kill()
        try:
            done = site.dovecot.doveadm("auth", "test", ANNA, PASSWORD)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("temp", done.stdout + done.stderr)
            self.assertEqual(site.dovecot.doveadm("user", ANNA).returncode, 75)  # EX_TEMPFAIL
        finally:
            site.suite.auth.start()
        self.assertEqual(site.dovecot.doveadm("auth", "test", ANNA, PASSWORD).returncode, 0)


if __name__ == "__main__":
    unittest.main()
