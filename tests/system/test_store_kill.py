"""vmail-lmtpd is killed again and again under load: what had its 250 is there, whole, and nothing of ours is left over.

VMAILKIT_KILL_MESSAGES says how many messages are sent (5000).
"""

import hashlib
import os
import random
import re
import threading
import time
import unittest

from private_server import wait_until
from store_tests import Refused, Store

CONNECTIONS = 20
MAILBOXES = [f"user{number}@kill.test" for number in range(25)]


class Sender(threading.Thread):
    """Sends its messages one after another, each again until every recipient has its 250."""

    def __init__(self, store, name, numbers, told):
        super().__init__(daemon=True)  # a test that has failed does not wait for it
        self.store, self.numbers, self.told = store, numbers, told
        self.random = random.Random(name)
        self.sent = {}  # number: (text, recipients)
        self.client = None
        self.lost_connections = 0
        self.error = None

    def run(self):
        try:
            for number in self.numbers:
                text, recipients = self.make(number)
                self.sent[number] = (text, recipients)
                waiting = list(recipients)
                while waiting:
                    self.attempt(number, text, waiting)
            self.hang_up()
        except Exception as error:  # shown by the test, in its own thread
            self.error = error

    def attempt(self, number, text, waiting):
        """Takes those that got their 250 off `waiting`, also when the connection ends between two replies."""
        try:
            if self.client is None:
                self.client = self.store.connect()
                self.client.greet()
            for recipient, reply in self.client.deliver_each(list(waiting), text):
                if not reply.startswith("250 2.0.0"):
                    raise AssertionError(f"{recipient}: {reply}")
                self.told(number, recipient, reply.split()[3])
                waiting.remove(recipient)
        except OSError:
            self.lost_connections += 1
            self.hang_up()
        except Refused as refused:
            # A look-up that the daemon could not do in time just after its start: temporary, as it must be.
            if refused.code != 451:
                raise
            self.hang_up()

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None

    def make(self, number):
        size = self.random.choice([100, 1000, 2000, 4000, 20000])
        if number % 250 == 0:
            size = 700000  # through the spool
        line = hashlib.sha256(str(number).encode()).hexdigest()
        body = "".join(f"{line} {i}\n" for i in range(size // 70 + 1))
        text = f"Subject: {number}\n\n{body}.\n..\nend\n".encode()
        return text, self.random.sample(MAILBOXES, self.random.choice([1, 1, 1, 2, 3, 10]))


class KillTest:
    messages = 0
    no_tmpfile = False

    def test_kill(self):
        with Store(MAILBOXES, no_tmpfile=self.no_tmpfile) as store:
            self.run_senders(store)
            self.kill_in_the_middle(store)
            store.daemon.start()
            wait_until(lambda: not store.unfinished(), 30, "the removal of unfinished files")
            self.check(store)

    def kill_in_the_middle(self, store):
        """The last kill, while the disk works on messages that nobody sends again."""
        clients = [store.connect() for _ in range(CONNECTIONS)]
        for number, client in enumerate(clients):
            client.greet()
            self.abandoned[-number] = f"Subject: {-number}\n\n{'x' * 60000}\n".encode()
            client.send_all(MAILBOXES, self.abandoned[-number])
        wait_until(lambda: clients[0].has_input(), 30, "the first replies")
        store.daemon.kill()
        for client in clients:
            client.close()

    def run_senders(self, store):
        self.abandoned = {}
        self.stored = []  # (number, recipient, file name) of each 250
        lock = threading.Lock()

        def told(number, recipient, name):
            with lock:
                self.stored.append((number, recipient, name))

        per_sender = self.messages // CONNECTIONS
        self.senders = [
            Sender(store, i, range(i * per_sender + 1, (i + 1) * per_sender + 1), told) for i in range(CONNECTIONS)
        ]
        for sender in self.senders:
            sender.start()
        chance = random.Random(1)
        self.kills = 0
        # By what was stored, not by the clock: so each life of the daemon gets something done, however slow it is here.
        target = chance.randrange(20, 200)
        while any(sender.is_alive() for sender in self.senders):
            if len(self.stored) >= target:
                time.sleep(chance.random() * 0.02)
                store.daemon.kill()
                store.daemon.start()
                self.kills += 1
                target = len(self.stored) + chance.randrange(20, 400)
            time.sleep(0.001)
        for sender in self.senders:
            sender.join()
            if sender.error:
                raise sender.error

    def check(self, store):
        sent = {number: text for sender in self.senders for number, (text, _) in sender.sent.items()}
        self.assertEqual(len(sent), self.messages)
        sent.update(self.abandoned)
        self.assertGreaterEqual(self.kills, self.messages // 400)
        self.assertGreater(sum(sender.lost_connections for sender in self.senders), 0)
        found = {}
        for address in MAILBOXES:
            for file in store.stored(address):
                found[address, file.name] = self.whole(file.name, file.read_bytes(), sent)
            self.assertEqual(list((store.maildir(address) / "cur").iterdir()), [])
        missing = [entry for entry in self.stored if found.get((entry[1], entry[2])) != entry[0]]
        self.assertEqual(missing, [], "these had their 250")
        expected = sum(len(recipients) for sender in self.senders for _, recipients in sender.sent.values())
        self.assertEqual(len({entry[:2] for entry in self.stored}), expected)
        twice = sum(number > 0 for number in found.values()) - expected
        swept = sum(map(int, re.findall(r"removed (\d+) unfinished files", store.log())))
        print(f"{expected} deliveries, {self.kills} kills, {twice} delivered twice, {swept} swept", flush=True)

    def whole(self, name, text, sent):
        """The number of the message in a file; fails when it is torn or has the wrong sizes in its name."""
        sizes = dict(word.split("=") for word in name.split(",")[1:])
        self.assertEqual(int(sizes["S"]), len(text), name)
        self.assertEqual(int(sizes["W"]), len(text) + text.count(b"\n"), name)
        self.assertTrue(text.startswith(b"Return-Path: <somebody@elsewhere.test>\nDelivered-To: "), name)
        start = text.index(b"Subject: ")
        number = int(text[start + 9 : text.index(b"\n", start)])
        self.assertEqual(text[start:], sent[number], f"{name} is not what was sent")
        return number


class Kill(KillTest, unittest.TestCase):
    messages = int(os.environ.get("VMAILKIT_KILL_MESSAGES", "5000"))


class KillWithoutTmpfile(KillTest, unittest.TestCase):
    """Files have names in tmp/ then, and the next start must clear away what a kill leaves."""

    messages = 1000
    no_tmpfile = True


if __name__ == "__main__":
    unittest.main()
