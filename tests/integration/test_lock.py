"""A locked login is shut in vmail-authd and vmail-mapd at once, with the database frozen too, and stays so through a
SIGKILL of the daemons; what would become of a login is explained."""

import json
import os
import socket
import struct
import unittest

from private_server import TemporaryFolder
from suite_tests import make_suite

ANNA, BERT = "anna@example.test", "bert@example.test"
PASSWORD = "correct horse battery"


class Lock(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(TemporaryFolder())
        self.database, self.suite = make_suite(self, folder, {})
        self.suite.hand_over_passwords()
        self.suite.control("domain", "add", "example.test")
        for address in (ANNA, BERT):
            self.suite.control("user", "add", address, stdin=PASSWORD + "\n")
        self.suite.auth.start()
        self.suite.maps.start()

    def tell(self, section, **request):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(os.path.join(self.suite.run, section, "control"))
            body = json.dumps(request).encode()
            client.sendall(struct.pack("!I", len(body)) + body)
            stream = client.makefile("rb")
            return json.loads(stream.read(*struct.unpack("!I", stream.read(4))))

    def lock(self, command, address):
        for section in ("auth", "maps"):
            self.assertTrue(self.tell(section, command=command, address=address).get("ok"))

    def verify(self, user, password=PASSWORD):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.suite.verify)
            client.sendall(f"VERIFY\tuser={user}\tpassword={password}\tservice=imap\trip=192.0.2.1\n".encode())
            return client.makefile().readline().split("\t")[0].strip()

    def policy(self, login):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(os.path.join(self.suite.queue, "policy"))
            client.sendall(
                "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
                f"sasl_username={login}\nsender={login}\nrecipient={BERT}\n\n".encode()
            )
            return client.makefile().readline().strip()

    def check_locked(self):
        self.assertEqual(self.verify(ANNA), "NO")
        self.assertEqual(self.verify("ANNA@Example.TEST"), "NO")
        self.assertEqual(self.policy(ANNA), f"action=521 5.7.1 {ANNA}: this login is locked")
        self.assertEqual(self.verify(BERT), "OK")
        self.assertEqual(self.policy(BERT), "action=DUNNO")

    def test_lock_and_unlock_through_a_frozen_database_and_a_kill(self):
        for login in (ANNA, BERT):
            self.assertEqual(self.verify(login), "OK")
            self.assertEqual(self.policy(login), "action=DUNNO")
        self.database.freeze()
        try:
            self.lock("lock", ANNA)
            self.check_locked()
        finally:
            self.database.thaw()
        for daemon in (self.suite.auth, self.suite.maps):
            daemon.kill()
            daemon.start()
        self.check_locked()
        self.assertEqual(self.tell("auth", command="locked"), {"locked": [ANNA]})
        self.lock("unlock", ANNA)
        self.assertEqual(self.verify(ANNA), "OK")
        self.assertEqual(self.policy(ANNA), "action=DUNNO")
        self.assertIn("reason=the login is locked on this host", self.suite.auth.process.read_log())

    def test_what_is_no_address_is_refused(self):
        for section in ("auth", "maps"):
            for address in ("", "anna", "@example.test"):
                self.assertIn("error", self.tell(section, command="lock", address=address))
            self.assertEqual(self.tell(section, command="locked"), {"locked": []})

    def test_explanation(self):
        def test(user, password, service="imap", ip="192.0.2.1"):
            return self.tell("auth", command="auth-test", user=user, password=password, service=service, ip=ip)

        good = test(ANNA, PASSWORD)
        self.assertEqual((good["result"], good["user"]), ("ok", ANNA))
        self.assertTrue(all(line.startswith("[good] ") for line in good["explanation"]), good)
        self.assertEqual(test(ANNA, "x")["reason"], "wrong password")
        self.assertEqual(test("nobody@example.test", "x")["reason"], "no such account")
        self.assertEqual(test(ANNA, "")["reason"], "empty password")
        self.lock("lock", ANNA)
        locked = test(ANNA, PASSWORD)
        self.assertEqual((locked["result"], locked["reason"]), ("failed", "the login is locked on this host"))
        self.assertIn("error", self.tell("auth", command="auth-test", user=ANNA))
        self.database.stop()
        self.assertEqual(test("never-asked@example.test", "x")["result"], "tempfail")
        log = self.suite.auth.process.read_log()
        self.assertNotIn(PASSWORD, log)
        self.assertNotIn("result=failed reason=wrong password", log)


if __name__ == "__main__":
    unittest.main()
