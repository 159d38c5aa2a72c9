"""The database goes away and comes back: nothing is refused for good that would have been right."""

import os
import smtplib
import unittest

from private_server import Sink, Site, wait_until
from site_tests import BUILD, login_code, message, rcpt, send, smtp, submission

ANNA, BEN, CARL = "anna@example.test", "ben@example.test", "carl@example.test"
PASSWORD = "correct horse battery"
# Longer than the longest pause between two tries of a host (database.retry_after_max).
BACK_SECONDS = 60


class Outage(unittest.TestCase):
    """Each test has a site of its own: what is remembered matters."""

    def setUp(self):
        self.sink = self.enterContext(Sink())
        # Row by row, so that there is something that is not known.
        self.site = self.enterContext(
            Site(
                BUILD,
                settings={"directory": {"feed": False}},
                default_transport=f"smtp:[127.0.0.1]:{self.sink.port}",
            )
        )
        self.site.suite.control("domain", "add", "example.test")
        for address in (ANNA, BEN, CARL):
            self.site.add_user(address, PASSWORD)
        self.site.suite.control("alias", "add", "team@example.test", ANNA, BEN)
        # Known from now on: anna's address.
        send(self.site, [ANNA], "before")
        self.site.wait_for_message(ANNA, "before")

    def check_outage(self):
        """What must be true while the database does not answer."""
        with self.subTest("a foreign domain never seen before is judged by the recipient"):
            code, text = rcpt(self.site, ANNA, sender="x@never-seen-1.test")
            self.assertEqual(code, 250, text)
            code, text = rcpt(self.site, BEN, sender="x@never-seen-2.test")
            self.assertEqual(code, 451, text)
            code, text = rcpt(self.site, "x@never-seen-3.test", sender="x@never-seen-4.test")
            self.assertEqual(code, 554, text)  # that we do not relay for strangers is no question of the database
        with self.subTest("what is not known is temporary"):
            for address in (BEN, CARL, "team@example.test", "nobody@example.test", "carl+x@example.test"):
                code, text = rcpt(self.site, address)
                self.assertEqual(code, 451, f"{address}: {text}")
        with self.subTest("logins are temporary failures, right or wrong"):
            self.assertEqual(login_code(self.site, CARL, PASSWORD), 454)
            self.assertEqual(login_code(self.site, CARL, "wrong"), 454)
            self.assertEqual(login_code(self.site, "nobody@example.test", PASSWORD), 454)
            done = self.site.dovecot.doveadm("auth", "test", CARL, PASSWORD)
            self.assertIn("temp", done.stdout + done.stderr)
            self.assertEqual(self.site.dovecot.doveadm("user", CARL).returncode, 75)  # EX_TEMPFAIL

    def check_recovery(self):
        """It works again by itself, for what failed too."""
        wait_until(lambda: rcpt(self.site, BEN)[0] == 250, BACK_SECONDS, "RCPT to be answered again", poll=0.2)
        wait_until(lambda: login_code(self.site, CARL, PASSWORD) == 235, BACK_SECONDS, "logins again", poll=0.2)
        self.assertEqual(login_code(self.site, CARL, "wrong"), 535)
        self.assertEqual(rcpt(self.site, "nobody@example.test")[0], 550)
        send(self.site, ["team@example.test"], "after")
        self.site.wait_for_message(BEN, "after")
        self.site.wait_for_message(ANNA, "during")  # taken during the outage, and kept in Postfix's queue
        self.assertEqual(self.site.dovecot.doveadm("user", CARL).returncode, 0)

    def outage(self, begin, end):
        with submission(self.site, ANNA, PASSWORD) as logged_in:
            begin()
            with self.subTest("a logged-in user writes to a foreign domain never seen before"):
                text = message(ANNA, "friend@never-seen.test", "out during the outage")
                self.assertEqual(logged_in.sendmail(ANNA, "friend@never-seen.test", text), {})
                self.sink.wait_for("friend@never-seen.test")
            send(self.site, [ANNA], "during", sender="x@never-seen-0.test")
            self.check_outage()
            end()
            self.check_recovery()
            # The session from before the outage goes on.
            logged_in.sendmail(ANNA, BEN, message(ANNA, BEN, "the old session"))
            self.site.wait_for_message(BEN, "the old session")
        log = self.site.postfix.read_log()
        bounced = [line for line in log.splitlines() if "status=bounced" in line]
        self.assertEqual(bounced, [])

    def test_stopped(self):
        self.outage(self.site.database.stop, self.site.database.start)

    def test_killed(self):
        self.outage(self.site.database.kill, self.site.database.start)

    def test_frozen(self):
        """It accepts connections and never answers."""
        self.outage(self.site.database.freeze, self.site.database.thaw)

    def test_daemons_start_without_it(self):
        """Nothing at all is known then: everything is temporary, except that nobody is let in or relayed."""
        self.site.database.stop()
        self.site.postfix.reload()
        for daemon in self.site.suite.daemons:
            daemon.stop()
            os.remove(os.path.join(self.site.suite.state_folder(daemon.section), "directory.snapshot"))
            daemon.start()
        for recipient in (ANNA, "nobody@example.test", "x@never-seen.test"):
            with smtp(self.site) as client:
                client.mail("somebody@elsewhere.test")
                code, text = client.rcpt(recipient)
                self.assertIn(code, (451, 454), f"{recipient}: {text}")
        self.assertEqual(login_code(self.site, ANNA, PASSWORD), 454)
        self.site.database.start()
        wait_until(lambda: login_code(self.site, ANNA, PASSWORD) == 235, BACK_SECONDS, "logins", poll=0.2)
        # A new smtpd, since one remembers for its life that an address could not be resolved.
        self.site.postfix.reload()
        wait_until(lambda: rcpt(self.site, ANNA)[0] == 250, BACK_SECONDS, "RCPT to be answered", poll=0.2)

    def test_lost_rights(self):
        """A table that may not be read any more is a fault, not an absence."""
        self.site.database.query("REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'vmailkit-maps'@'localhost'")
        self.assertEqual(rcpt(self.site, CARL)[0], 451)
        self.site.suite.control("schema", "grants")
        self.site.suite.hand_over_passwords()
        wait_until(lambda: rcpt(self.site, CARL)[0] == 250, BACK_SECONDS, "RCPT to be answered again", poll=0.2)


if __name__ == "__main__":
    unittest.main()
