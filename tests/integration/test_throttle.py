"""The throttle of vmail-authd over its sockets and vmailctl: guessing, spraying, networks that stay open, a restart; and
that the filter for fail2ban fits the lines that it leaves."""

import base64
import configparser
import json
import os
import re
import socket
import unittest

from private_server import TemporaryFolder
from suite_tests import make_suite

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ANNA, BERT = "anna@example.test", "bert@example.test"
PASSWORD = "correct horse battery"
WAIT = "too many failed logins; try again later"
SETTINGS = {"throttle": {"passwords": 4, "accounts": 3}}


class Throttle(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(TemporaryFolder())
        self.database, self.suite = make_suite(self, folder, SETTINGS)
        self.suite.hand_over_passwords()
        self.suite.control("domain", "add", "example.test")
        for address in (ANNA, BERT):
            self.suite.control("user", "add", address, stdin=PASSWORD + "\n")
        self.suite.auth.start()

    def log(self):
        return self.suite.auth.process.read_log()

    def verify(self, user, password, rip):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.suite.verify)
            client.sendall(f"VERIFY\tuser={user}\tpassword={password}\tservice=imap\trip={rip}\n".encode())
            return client.makefile().readline().split("\t")[0].strip()

    def sasl(self, user, password, rip):
        """What is behind user= in the reply of the SASL socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(os.path.join(self.suite.queue, "auth"))
            response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            client.sendall(f"VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\trip={rip}\tresp={response}\n".encode())
            for line in client.makefile():
                if line.startswith(("OK\t", "FAIL\t")):
                    return line.strip()
        return ""

    def test_guessing_stops_and_the_owner_gets_in(self):
        self.assertEqual(self.verify(ANNA, PASSWORD, "203.0.113.5"), "OK")
        for i in range(4):
            self.assertEqual(self.verify(ANNA, f"guess {i}", f"198.51.100.{i}"), "NO")
        # From where it is not known not even the right password helps; from where it is, it does. Others are not hurt.
        self.assertEqual(self.verify(ANNA, PASSWORD, "198.51.100.9"), "NO")
        self.assertIn(f"user={ANNA}\treason={WAIT}", self.sasl(ANNA, PASSWORD, "198.51.100.9"))
        self.assertEqual(self.verify(ANNA, PASSWORD, "203.0.113.5"), "OK")
        self.assertEqual(self.verify(BERT, PASSWORD, "198.51.100.9"), "OK")

        said = self.suite.control("throttle", "why", ANNA)
        self.assertIn("stopped for", said)
        self.assertIn("203.0.113.5", said)
        rows = json.loads(self.suite.control("--json", "throttle", "why", ANNA))
        self.assertEqual((rows[0]["state"], rows[0]["limit"]), ("stop", 4))
        self.assertIn(ANNA, self.suite.control("throttle", "show"))
        self.assertIn("throttled: too many different wrong passwords", self.log())

        # A restart opens nothing, and forgets no known network; no trace of a password is in the file.
        self.suite.auth.restart()
        self.assertEqual(self.verify(ANNA, PASSWORD, "198.51.100.9"), "NO")
        self.assertEqual(self.verify(ANNA, PASSWORD, "203.0.113.5"), "OK")
        self.assertEqual(os.stat(os.path.join(self.suite.state_folder("auth"), "throttle")).st_mode & 0o777, 0o600)

        self.suite.control("throttle", "clear", ANNA)
        self.assertEqual(self.verify(ANNA, PASSWORD, "198.51.100.9"), "OK")

    def test_the_same_wrong_password_counts_once(self):
        for _ in range(12):
            self.assertEqual(self.verify(ANNA, "the old one", "198.51.100.1"), "NO")
        self.assertEqual(self.verify(ANNA, PASSWORD, "198.51.100.1"), "OK")

    def test_spraying_stops_and_fail2ban_sees_it(self):
        for i in range(3):
            self.assertEqual(self.verify(f"user{i}@example.test", "Spring2024", "2001:db8::1"), "NO")
        self.assertEqual(self.verify(BERT, PASSWORD, "2001:db8::2"), "NO")
        self.assertEqual(self.verify(BERT, PASSWORD, "2001:db8:1::2"), "OK")
        self.assertIn("2001:db8::/64", self.suite.control("throttle", "why", "2001:db8::77"))
        self.suite.control("throttle", "clear", "2001:db8::1")
        self.assertEqual(self.verify(BERT, PASSWORD, "2001:db8::2"), "OK")
        self.verify(BERT, "wrong", "192.0.2.44")

        parser = configparser.RawConfigParser()
        parser.read(os.path.join(ROOT, "packaging/fail2ban/vmailkit.conf"))
        regex = parser.get("Definition", "failregex").replace("%(__prefix_line)s", ".*?")
        regex = re.compile(regex.replace("<HOST>", r"(?P<host>[0-9a-fA-F.:]+)"))
        hosts = [match["host"] for line in self.log().splitlines() if (match := regex.search(line))]
        self.assertEqual(hosts, ["2001:db8::1"] * 3 + ["2001:db8::2", "192.0.2.44"])

    def test_arguments(self):
        for arguments in (("clear",), ("clear", ANNA, "--all")):
            done = self.suite.vmailctl("throttle", *arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn("--all", done.stderr)
        self.assertIn("no failed login counts", self.suite.control("throttle", "why", "nobody@example.test"))
        self.suite.auth.stop()
        self.assertEqual(self.suite.vmailctl("throttle", "show").returncode, 1)


if __name__ == "__main__":
    unittest.main()
