"""The system calls of deliveries, one by one and many at a time: the text, its way to the disk, its name in new/, the sync of
both, and only then the reply."""

import os
import re
import subprocess
import threading
import unittest

from private_server import wait_until
from store_tests import Store

ANNA, BEN = "anna@trace.test", "ben@trace.test"
CALLS = "openat,mkdirat,write,sync_file_range,fsync,syncfs,linkat,renameat2,sendto"
# The one on file systems that are known to keep the order, the other elsewhere.
WRITING_OUT = r"(sync_file_range|fsync)\(%s<"
MANY = [f"user{number}@many.test" for number in range(40)]


class Event:
    """One call: its name and arguments, and where in the trace it began and ended."""

    def __init__(self, text, began):
        self.text, self.began, self.ended = text, began, began
        self.name = text.split("(")[0]

    def __repr__(self):
        return f"{self.began}-{self.ended} {self.text}"


def trace(store, action, *options):
    """The calls that vmail-lmtpd makes meanwhile, in the order of their beginning. More options are strace's."""
    output = os.path.join(store.folder.path, "trace")
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "1000", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", output]
        + [*options]
        + ["-p", str(store.daemon.process.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    line = tracer.stderr.readline()
    if "attached" not in line:
        raise AssertionError(f"strace: {line}{tracer.stderr.read()}")
    rest = threading.Thread(target=tracer.stderr.read)
    rest.start()
    try:
        tasks = f"/proc/{store.daemon.process.pid}/task"
        wait_until(lambda: all(_traced(f"{tasks}/{task}") for task in os.listdir(tasks)), 30, "strace")
        action()
    finally:
        tracer.terminate()
        rest.join()
        tracer.wait(30)
        tracer.stderr.close()
    with open(output, encoding="utf-8", errors="replace") as file:
        return parse(file)


def _traced(task):
    try:
        with open(task + "/status", encoding="ascii") as file:
            return "TracerPid:\t0\n" not in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return True  # it has ended: a thread that opens a connection lives no longer than that


def parse(lines):
    events, open_calls = [], {}
    for number, line in enumerate(lines):
        pid, text = line.split(None, 1)
        if match := re.match(r"<\.\.\. (\w+) resumed>(.*)", text):
            event = open_calls.pop(pid)
            event.ended = number
            event.text += match[2]
        elif re.match(r"\w+\(", text):
            event = Event(text.rstrip(), number)
            if text.rstrip().endswith("<unfinished ...>"):
                event.text = event.text.removesuffix("<unfinished ...>").rstrip()
                open_calls[pid] = event
            events.append(event)
    return events


class TraceTest:
    no_tmpfile = False
    naming = ""

    @classmethod
    def setUpClass(cls):
        cls.store = cls.enterClassContext(Store([ANNA, BEN, *MANY], no_tmpfile=cls.no_tmpfile))

    def deliver(self, recipients):
        replies = []
        events = trace(self.store, lambda: replies.extend(self.store.deliver(recipients, b"Subject: x\n\nHi\n")))
        self.assertEqual([reply[:9] for reply in replies], ["250 2.0.0"] * len(recipients))
        return events

    def one(self, events, name, *parts):
        """The one call of that name with all of these in it."""
        found = [event for event in events if event.name == name and all(part in event.text for part in parts)]
        self.assertEqual(len(found), 1, (name, parts, events))
        return found[0]

    def check_order(self, events, address):
        """Returns the sync of new/ and the reply."""
        new = str(self.store.maildir(address) / "new")
        write = self.one(events, "write", f"Delivered-To: {address}")
        file = re.match(r"write\((\d+)<", write.text)[1]
        out = [e for e in events if re.match(WRITING_OUT % file, e.text) and e.began > write.ended]
        name = self.one(events, self.naming, f"<{new}>")
        sync = [e for e in events if e.text.startswith(f"fsync({file}<") and e.began > name.ended]
        folder = [e for e in events if e.name == "fsync" and f"<{new}>" in e.text]
        self.assertEqual(len(folder), 1, events)
        reply = self.one(events, "sendto", f"250 2.0.0 <{address}>")
        order = [write, out[0], name, sync[0], folder[0], reply]
        for before, after in zip(order, order[1:]):
            self.assertLess(before.ended, after.began, order)
        for call in order[:-1]:
            self.assertRegex(call.text, r"= [0-9]+(<.*>)?$")
        return folder[0], reply

    def test_deliveries(self):
        with self.subTest("the first one, into a mailbox that is not there"):
            events = self.deliver([ANNA])
            _, reply = self.check_order(events, ANNA)
            made = [re.search(r'"([^"]+)"', e.text)[1] for e in events if e.name == "mkdirat"]
            self.assertEqual(made, ["trace.test", "anna", "cur", "new", "tmp"])
            last_made = max(e.ended for e in events if e.name == "mkdirat")
            anna = self.store.maildir(ANNA)
            way = [self.one(events, "fsync", f"<{path}>") for path in (anna, anna.parent, self.store.base)]
            self.assertLess(last_made, way[0].began)
            for before, after in zip(way, [*way[1:], reply]):
                self.assertLess(before.ended, after.began)
        with self.subTest("a later one"):
            events = self.deliver([ANNA])
            self.check_order(events, ANNA)
            self.assertEqual([e for e in events if e.name == "mkdirat"], [])
            named = self.one(events, self.naming)
            self.assertEqual(len([e for e in events if e.name == "fsync" and e.began > named.ended]), 2)
        with self.subTest("two recipients"):
            self.deliver([BEN])
            events = self.deliver([ANNA, BEN])
            for address in (ANNA, BEN):
                new = str(self.store.maildir(address) / "new")
                folder = self.one(events, "fsync", f"<{new}>")
                reply = next(e for e in events if e.name == "sendto" and f"250 2.0.0 <{address}>" in e.text)
                self.assertLess(folder.ended, reply.began)

    def test_shared_barriers(self):
        """Twenty clients at a time: whichever sync a delivery shares with others, it began behind its write or its name."""
        for address in MANY:
            self.store.deliver([address], b"Subject: first\n\n")
        replies = []
        # On a slow disk, so that there is company.
        slow = ("-e", "inject=fsync:delay_enter=20000")
        events = trace(self.store, lambda: replies.extend(self.burst()), *slow)
        self.assertEqual([reply[:9] for reply in replies], ["250 2.0.0"] * 20 * 6)
        syncs = [event for event in events if re.match(r"(fsync|syncfs)\(.* = 0( \(DELAYED\))?$", event.text.rstrip())]
        answers = [event for event in events if event.name == "sendto" and "250 2.0.0 <" in event.text]
        shared = 0
        for reply in replies:
            address, name = reply.split()[2:4]
            shared += self.check_shared(events, syncs, answers, address.strip("<>"), name)
        self.assertGreater(shared, 0, "no barrier was shared")
        self.assertLess(len(syncs), 2 * len(replies))

    def burst(self):
        """Twenty messages at the same time, to six recipients each; the replies behind them."""
        replies = []

        def send(number):
            with self.store.connect() as client:
                client.greet()
                own = [MANY[number], *MANY[20 + number % 4 :: 4]]
                replies.extend(client.deliver(own, b"Subject: %d\n\nHi\n" % number))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return replies

    def test_barrier_that_fails(self):
        """All that waited for it are refused, nothing of them stays, and the next ones are stored."""
        before = {file for address in MANY for file in self.store.stored(address)}
        replies = []
        trace(self.store, lambda: replies.extend(self.burst()), "-e", "inject=syncfs:error=EIO:when=1", "-e", "inject=fsync:delay_enter=20000")
        self.assertEqual({reply[:9] for reply in replies}, {"250 2.0.0", "451 4.3.0"}, replies)
        self.assertIn("files are synced one by one for a minute", self.store.log())
        after = {file for address in MANY for file in self.store.stored(address)}
        names = {reply.split()[3] for reply in replies if reply.startswith("250")}
        self.assertEqual({file.name for file in after - before}, names)
        self.assertEqual(self.store.unfinished(), [])
        self.assertEqual([reply[:3] for reply in self.burst()], ["250"] * 20 * 6)
        self.store.daemon.restart()

    def check_shared(self, events, syncs, answers, address, name):
        """Whether the sync of its name was one of the whole file system."""
        new = str(self.store.maildir(address) / "new")
        named = self.one(events, self.naming, f'<{new}>, "{name}"')
        answer = next(event for event in answers if name in event.text)
        if self.naming == "linkat":
            file = re.search(r'"/proc/self/fd/(\d+)"', named.text)[1]
            texts = [e for e in events if e.name == "write" and e.text.startswith(f"write({file}<")]
        else:
            draft = re.search(r'renameat2\(\d+<[^>]*>, "([^"]+)"', named.text)[1]
            texts = [e for e in events if e.name == "write" and f"{draft}>" in e.text]
            file = re.match(r"write\((\d+)<", texts[-1].text)[1]
        text = [e for e in texts if e.ended < named.began][-1]
        self.assertIn(f"Delivered-To: {address}", text.text)
        out = [e for e in events if re.match(WRITING_OUT % file, e.text) and e.began > text.ended and e.ended < named.began]
        self.assertTrue(out, f"not written out between {text} and {named}")
        between = [e for e in syncs if e.began > named.ended and e.ended < answer.began]
        if any(e.name == "syncfs" for e in between):
            return True
        for own in (f"fsync({file}<", f"<{new}>"):
            self.assertTrue([e for e in between if own in e.text], f"no sync of {own} between {named} and {answer}")
        return False


class Trace(TraceTest, unittest.TestCase):
    naming = "linkat"


class TraceWithoutTmpfile(TraceTest, unittest.TestCase):
    naming = "renameat2"
    no_tmpfile = True


if __name__ == "__main__":
    unittest.main()
