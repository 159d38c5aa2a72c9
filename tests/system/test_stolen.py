"""A stolen account is locked: its logins, sessions and queued mail, through real Postfix, Dovecot and MariaDB."""

import imaplib
import json
import os
import signal
import unittest
import unittest.mock

from private_server import Site, wait_until
from site_tests import BUILD, imap, login_code, message, submission

THIEF, HONEST = "thief@example.test", "honest@example.test"
PASSWORD = "correct horse battery"
STUCK = "victim@stuck.test"

site = None


def setUpModule():
    global site
    # What leaves us waits in the queue.
    site = unittest.enterModuleContext(Site(BUILD, default_transport="smtp:[127.0.0.1]:1"))
    site.suite.control("domain", "add", "example.test")
    for address in (THIEF, HONEST):
        site.add_user(address, PASSWORD)
    for name, value in site.environment().items():
        before = os.environ.get(name)
        os.environ[name] = value
        restore = (os.environ.pop, name) if before is None else (os.environ.__setitem__, name, before)
        unittest.addModuleCleanup(*restore)


def vmailctl(*arguments, stdin=""):
    """Exit status and what it says with --json."""
    done = site.suite.vmailctl("--json", *arguments, stdin=stdin)
    return done.returncode, json.loads(done.stdout)


def send(login):
    with submission(site, login, PASSWORD) as client:
        client.sendmail(login, STUCK, message(login, STUCK, "spam"))


def imap_login(user):
    with imap(site) as client:
        try:
            client.login(user, PASSWORD)
            return True
        except imaplib.IMAP4.error:
            return False


class Stolen(unittest.TestCase):
    def tearDown(self):
        vmailctl("user", "unlock", THIEF)
        vmailctl("limits", "discard", THIEF)

    def test_everything_ends_at_once(self):
        send(THIEF)
        send(HONEST)
        with imap(site) as session, imap(site) as other:
            session.login(THIEF, PASSWORD)
            other.login(HONEST, PASSWORD)
            status, shown = vmailctl("user", "lock", THIEF)
            self.assertEqual(status, 0, shown)
            self.assertEqual({daemon["told"] for daemon in shown["daemons"]}, {True})
            self.assertEqual((shown["database"], shown["sessions"]), ("no-login", "ended"))
            self.assertEqual([mail["sender"] for mail in shown["queue"]], [THIEF])
            self.assertNotEqual(shown["queue"][0]["queue"], "hold")
            with self.assertRaises((imaplib.IMAP4.abort, OSError)):
                session.select()
            self.assertEqual(other.select()[0], "OK")
        self.assertFalse(imap_login(THIEF))
        self.assertEqual(login_code(site, THIEF, PASSWORD), 535)
        self.assertTrue(imap_login(HONEST))

        status, shown = vmailctl("user", "lock", THIEF, "--hold")
        self.assertEqual((status, [mail["queue"] for mail in shown["queue"]]), (0, ["hold"]))
        queue_id = shown["queue"][0]["queue_id"]
        held = site.suite.control("limits", "show", THIEF)
        self.assertIn(queue_id, held)

        status, shown = vmailctl("user", "unlock", THIEF)
        self.assertEqual((status, shown["database"]), (0, "on"))
        self.assertTrue(imap_login(THIEF))
        status, shown = vmailctl("limits", "release", THIEF)
        self.assertEqual(shown["released"], [queue_id])

    def test_the_database_is_frozen(self):
        self.assertTrue(imap_login(THIEF))
        site.database.process.signal(signal.SIGSTOP)
        try:
            status, shown = vmailctl("user", "lock", THIEF)
            self.assertEqual((status, shown["database"]), (1, "not written"))
            self.assertEqual({daemon["told"] for daemon in shown["daemons"]}, {True})
            self.assertFalse(imap_login(THIEF))
        finally:
            site.database.process.signal(signal.SIGCONT)
        self.assertFalse(imap_login(THIEF))
        wait_until(lambda: vmailctl("user", "unlock", THIEF)[0] == 0, 30, "the database to answer")
        wait_until(lambda: imap_login(THIEF), 30, "the login to pass again")

    def test_the_queue_cannot_be_read(self):
        """The login is locked all the same, and one line tells why the rest could not be done."""
        config = site.folder.make("no-postfix")
        for name in ("main.cf", "master.cf"):
            with open(os.path.join(config, name), "w", encoding="ascii") as file:
                file.write(f"queue_directory = {config}\n" if name == "main.cf" else "")
        with unittest.mock.patch.dict(os.environ, MAIL_CONFIG=config):
            done = site.suite.vmailctl("user", "lock", THIEF)
        self.assertEqual(done.returncode, 0, done.stderr)
        (line,) = [line for line in done.stderr.splitlines() if "queue" in line]
        self.assertIn("the queue cannot be read: ", line)
        self.assertIn("Mail system is down", line)
        self.assertNotIn("\\x", line)
        self.assertFalse(imap_login(THIEF))


if __name__ == "__main__":
    unittest.main()
