"""A daemon ends, by order or by accident, while its sockets are held: no lookup, login or message is lost."""

import concurrent.futures
import threading
import time
import unittest

from private_server import Site
from site_tests import BUILD, login_code, rcpt, send, smtp, submission

ANNA = "anna@example.test"
PASSWORD = "correct horse battery"

site = None


def setUpModule():
    global site
    site = unittest.enterModuleContext(Site(BUILD))
    site.suite.control("domain", "add", "example.test")
    site.add_user(ANNA, PASSWORD)


def while_away(daemon, ask):
    """Kills the daemon, asks, starts it again while somebody waits for it, and returns the answer."""
    daemon.kill()
    with concurrent.futures.ThreadPoolExecutor() as executor:
        answer = executor.submit(ask)
        time.sleep(0.3)  # long enough for the question to be on its way; right in any case
        daemon.start()
        return answer.result()


class Killed(unittest.TestCase):
    """SIGKILL: the worst that can happen to it."""

    def test_lookup_from_a_new_session(self):
        self.assertEqual(while_away(site.suite.maps, lambda: rcpt(site, ANNA)[0]), 250)
        self.assertEqual(while_away(site.suite.maps, lambda: rcpt(site, "nobody@example.test")[0]), 550)

    def test_lookup_on_a_connection_that_was_open(self):
        with smtp(site) as client:
            client.mail("somebody@elsewhere.test")
            self.assertEqual(client.rcpt(ANNA)[0], 250)
            self.assertEqual(while_away(site.suite.maps, lambda: client.rcpt("anna+x@example.test")[0]), 250)
            self.assertEqual(while_away(site.suite.maps, lambda: client.rcpt("nobody@example.test")[0]), 550)

    def test_login(self):
        self.assertEqual(while_away(site.suite.auth, lambda: login_code(site, ANNA, PASSWORD)), 235)

    def test_login_to_dovecot(self):
        done = while_away(site.suite.auth, lambda: site.dovecot.doveadm("auth", "test", ANNA, PASSWORD))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_delivery(self):
        while_away(site.suite.store, lambda: send(site, [ANNA], "while the store was away"))
        site.wait_for_message(ANNA, "while the store was away")


class Restarted(unittest.TestCase):
    """SIGTERM and a new process, again and again under load."""

    def test_no_lookup_is_lost(self):
        stop = threading.Event()
        failures = []
        asked = []

        def ask(number):
            while not stop.is_set():
                with smtp(site) as client:
                    client.mail("somebody@elsewhere.test")
                    for _ in range(10):
                        for recipient, expected in ((ANNA, 250), ("nobody@example.test", 550)):
                            code, text = client.rcpt(recipient)
                            asked.append(number)
                            if code != expected:
                                failures.append((recipient, code, text))

        clients = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for client in clients:
            client.start()
        try:
            for _ in range(5):
                seen = len(asked)
                while len(asked) < seen + 40 and not failures:
                    stop.wait(0.01)
                site.suite.maps.restart()
        finally:
            stop.set()
            for client in clients:
                client.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(asked), 200)

    def test_session_survives_the_restart_of_authd(self):
        with submission(site, ANNA, PASSWORD) as client:
            site.suite.auth.restart()
            self.assertEqual(client.sendmail(ANNA, ANNA, "Subject: still logged in\r\n\r\nx\r\n"), {})
        site.wait_for_message(ANNA, "still logged in")
        self.assertEqual(login_code(site, ANNA, PASSWORD), 235)

    def test_reload_keeps_serving(self):
        for daemon in site.suite.daemons:
            daemon.reload()
        self.assertEqual(rcpt(site, ANNA)[0], 250)
        self.assertEqual(login_code(site, ANNA, PASSWORD), 235)
        for daemon in site.suite.daemons:
            daemon.process.wait_until(
                lambda process=daemon.process: "configuration read again" in process.read_log(), 20, "the reload"
            )


if __name__ == "__main__":
    unittest.main()
