"""Where mail goes in a mailbox, as Dovecot shows it; a volume that is not mounted, and one that is nearly full."""

import os
import pathlib
import shutil
import unittest

from private_server import Site, wait_until
from site_tests import BUILD, imap
from store_tests import Lmtp, Store

ANNA, BEN = "anna@filing.test", "ben@filing.test"
PASSWORD = "not-secret"
MARKER = ".mounted"

site = None


def setUpModule():
    global site
    site = Site(BUILD, settings={"mailboxes": {"marker": MARKER}, "store": {"subscribe": True}})
    pathlib.Path(site.suite.mail, MARKER).touch()
    unittest.enterModuleContext(site)
    site.suite.control("domain", "add", "filing.test")
    for address in (ANNA, BEN):
        site.add_user(address, PASSWORD)


def deliver(recipients, text):
    with Lmtp(os.path.join(site.suite.queue, "lmtp")) as client:
        client.greet()
        return [reply[:9] for reply in client.deliver(recipients, text)]


class Filing(unittest.TestCase):
    def check_last(self, folder, text, address=ANNA):
        """The newest message in that folder, as IMAP fetches it, is what was sent behind our headers."""
        with imap(site) as client:
            client.login(address, PASSWORD)
            status, (count,) = client.select(folder)
            self.assertEqual(status, "OK", count)
            number = count.decode()
            _, data = client.fetch(number, "(RFC822.SIZE BODY.PEEK[])")
        fetched = data[0][1]
        self.assertEqual(fetched[fetched.index(b"Subject:") :], text.replace(b"\n", b"\r\n"))
        self.assertIn(b"RFC822.SIZE %d" % len(fetched), data[0][0])

    def folders(self, address):
        with imap(site) as client:
            client.login(address, PASSWORD)
            return {line.decode().split()[-1].strip('"') for line in client.lsub()[1] if line}

    def test_detail(self):
        # In modified UTF-7, as IMAP has it: Lists.Entwürfe.
        for folder in ("lists", "Lists.Entw&APw-rfe"):
            with imap(site) as client:
                client.login(ANNA, PASSWORD)
                self.assertEqual(client.create(folder)[0], "OK")
        text = b"Subject: to lists\n\nHi\n"
        self.assertEqual(deliver(["anna+lists@filing.test", "ben+lists@filing.test"], text), ["250 2.0.0"] * 2)
        self.check_last("lists", text)
        self.check_last("INBOX", text, BEN)
        text = b"Subject: to another\n\nHi\n"
        with Lmtp(os.path.join(site.suite.queue, "lmtp")) as client:
            client.greet()
            self.assertEqual(client.command("MAIL FROM:<> SMTPUTF8")[:3], "250")
            self.assertEqual(client.command("RCPT TO:<anna+lists.entwürfe@filing.test>")[:3], "250")
            client.command("DATA")
            self.assertEqual(client.command(text.decode().replace("\n", "\r\n") + ".")[:3], "250")
        self.check_last("Lists.Entw&APw-rfe", text)

    def test_spam(self):
        text = b"Subject: buy\nX-Spam-Status: Yes, score=9.1 required=5.0\n\ttests=ALL\n\nNow\n"
        self.assertEqual(deliver([BEN], text), ["250 2.0.0"])
        self.check_last("Junk", text, BEN)
        self.assertIn("Junk", self.folders(BEN))
        with imap(site) as client:
            client.login(BEN, PASSWORD)
            _, (before,) = client.status("Junk", "(MESSAGES)")
            self.assertEqual(deliver([BEN], text), ["250 2.0.0"])
            client.noop()
            _, (after,) = client.status("Junk", "(MESSAGES)")
        numbers = [int(line.split()[-1].strip(b")")) for line in (before, after)]
        self.assertEqual(numbers[1], numbers[0] + 1)

    def test_log(self):
        deliver([ANNA], b"Subject: x\nX-Spam: Yes\n\n")
        line = next(line for line in reversed(site.suite.store.process.read_log().splitlines()) if "result=" in line)
        self.assertIn("result=stored folder=.Junk file=", line)


class Marker(unittest.TestCase):
    def test_missing(self):
        marker = os.path.join(site.suite.mail, MARKER)
        os.unlink(marker)
        try:
            with Lmtp(os.path.join(site.suite.queue, "lmtp")) as client:
                client.greet()

                def rcpt():
                    client.command("RSET")
                    client.command("MAIL FROM:<>")
                    return client.command(f"RCPT TO:<{ANNA}>")[:9]

                # It was there within the last second, perhaps.
                wait_until(lambda: rcpt() == "451 4.3.0", 10, "RCPT to be refused")
            line = site.suite.store.process.read_log().splitlines()[-1]
            self.assertIn(f"{marker} is not there", line)
            self.assertIn("mailboxes.marker", line)
        finally:
            pathlib.Path(marker).touch()
        self.assertEqual(deliver([ANNA], b"Subject: x\n\n"), ["250 2.0.0"])


class Reserve(unittest.TestCase):
    def test_below(self):
        free = shutil.disk_usage("/tmp").free
        with Store([ANNA], settings={"store": {"reserve_space": f"{free // 2**20 - 4096}MiB"}}) as store:
            with store.connect() as client:
                client.greet()
                client.command("MAIL FROM:<>")
                self.assertEqual(client.command(f"RCPT TO:<{ANNA}>")[:9], "250 2.1.5")
        with Store([ANNA], settings={"store": {"reserve_space": f"{free // 2**20 + 4096}MiB"}}) as store:
            with store.connect() as client:
                client.greet()
                client.command("MAIL FROM:<>")
                self.assertEqual(client.command(f"RCPT TO:<{ANNA}>")[:9], "452 4.3.1")
            self.assertRegex(store.log(), r"rcpt mailbox=.*reserve_space")


if __name__ == "__main__":
    unittest.main()
