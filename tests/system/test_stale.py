"""The database is away for longer than anything lives: what was known goes on being answered, also after a restart."""

import contextlib
import itertools
import threading
import time
import unittest

from private_server import Sink, Site, wait_until
from site_tests import BUILD, login_code, rcpt, send

ANNA, TEAM, NOBODY = "anna@example.test", "team@example.test", "nobody@example.test"
PASSWORD = "correct horse battery"
FOREIGN = itertools.count()


def stranger():
    """An address in a domain that nobody has heard of."""
    return f"x@never-seen-{next(FOREIGN)}.test"


class Mail:
    """Strangers who go on writing to addresses that are known."""

    def __init__(self, site):
        self._site = site
        self._stopped = threading.Event()
        self.refused = []
        self.accepted = 0
        self._threads = [threading.Thread(target=self._write) for _ in range(4)]

    def _write(self):
        for recipient in itertools.cycle((ANNA, "anna+ext@example.test", TEAM, "anna@alias.test")):
            if self._stopped.is_set():
                return
            code, text = rcpt(self._site, recipient, sender=stranger())
            if code == 250:
                self.accepted += 1
            else:
                self.refused.append((recipient, code, text))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, count=40):
        """Returns when so many more have been accepted."""
        goal = self.accepted + count
        wait_until(lambda: self.accepted >= goal or self.refused, 120, "mail to be accepted", poll=0.05)


class Stale(unittest.TestCase):
    settings = {"feed": False, "found_lifetime": "1s", "not_found_lifetime": "1s", "credentials_lifetime": "1s"}
    never_seen_code = 451

    def setUp(self):
        self.sink = self.enterContext(Sink())
        self.site = self.enterContext(
            Site(
                BUILD,
                settings={"directory": self.settings},
                default_transport=f"smtp:[127.0.0.1]:{self.sink.port}",
            )
        )
        suite = self.site.suite
        suite.control("domain", "add", "example.test")
        self.site.database.query("INSERT INTO virtual_alias_domains (name, target) VALUES ('alias.test', 'example.test')", "mailserver")
        self.site.add_user(ANNA, PASSWORD)
        suite.control("alias", "add", TEAM, ANNA, "friend@elsewhere.test")
        wait_until(lambda: rcpt(self.site, "anna@alias.test")[0] == 250, 30, "the alias domain to be known", poll=0.2)
        for recipient in (ANNA, "anna+ext@example.test", TEAM):
            self.assertEqual(rcpt(self.site, recipient)[0], 250)
        self.assertEqual(rcpt(self.site, NOBODY)[0], 550)
        self.assertEqual(login_code(self.site, ANNA, PASSWORD), 235)
        send(self.site, [ANNA], "before")
        self.site.wait_for_message(ANNA, "before")
        self.warm()

    def warm(self):
        time.sleep(1.1)  # longer than the lifetimes

    def check_known(self):
        self.assertEqual(rcpt(self.site, NOBODY, sender=stranger())[0], 550)
        code, text = rcpt(self.site, stranger(), sender=stranger())
        self.assertEqual(code, 554, text)
        self.assertEqual(rcpt(self.site, "never@example.test", sender=stranger())[0], self.never_seen_code)

    def check_login(self):
        self.assertEqual(login_code(self.site, ANNA, PASSWORD), 235)
        time.sleep(1.1)  # a refusal may rest on what was read within the last second
        self.assertEqual(login_code(self.site, ANNA, "wrong"), 454)

    def outage(self, begin, end):
        with Mail(self.site) as mail:
            mail.go_on()
            begin()
            mail.go_on()
            self.check_known()
            self.check_login()
            send(self.site, [ANNA], "during", sender=stranger())
            self.site.wait_for_message(ANNA, "during")
            done = self.site.suite.vmailctl("status")
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn("stale", done.stdout)
            # The snapshot makes the restarted daemon as warm as it was.
            self.site.suite.maps.restart()
            mail.go_on()
            self.check_known()
            end()
            wait_until(self.fresh, 60, "fresh answers", poll=0.1)
            mail.go_on()
        self.assertEqual(mail.refused, [])
        self.assertEqual(rcpt(self.site, "never@example.test")[0], 550)
        wait_until(lambda: self.site.suite.vmailctl("status").returncode == 0, 60, "status to be good", poll=0.2)

    def fresh(self):
        """What was written after the outage is answered."""
        with contextlib.suppress(Exception):
            self.site.add_user("new@example.test", PASSWORD)
        return rcpt(self.site, "new@example.test")[0] == 250

    def test_frozen(self):
        self.outage(self.site.database.freeze, self.site.database.thaw)

    def test_killed(self):
        self.outage(self.site.database.kill, self.site.database.start)


class Preloaded(Stale):
    """The same with the change feed: everything is in memory, and unknown addresses are known to be unknown."""

    settings = {"followed_lifetime": "1s", "found_lifetime": "1s", "not_found_lifetime": "1s"}
    never_seen_code = 550

    def warm(self):
        def loaded():
            status = self.site.suite.control("status", "--json")
            return status.count('"loaded"') >= 3

        wait_until(loaded, 30, "all daemons to have preloaded", poll=0.2)
        super().warm()


if __name__ == "__main__":
    unittest.main()
