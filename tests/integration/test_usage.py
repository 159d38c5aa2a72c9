"""The usage socket of vmail-lmtpd: what it says of real Maildirs, and of requests that make no sense."""

import json
import os
import shutil
import socket
import struct
import unittest

from store_tests import Store

LISI, WANG, NOBODY = "lisi@example.com", "wang@example.com", "nobody@example.com"
BODY = b"Subject: x\n\n" + b"A line.\n" * 100

store = None


def setUpModule():
    global store
    store = unittest.enterModuleContext(Store([LISI, WANG]))


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)

    def send(self, request):
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def reply(self):
        """None at the end of the stream."""
        header = self.socket.recv(4, socket.MSG_WAITALL)
        if len(header) < 4:
            return None
        return json.loads(self.socket.recv(struct.unpack(">I", header)[0], socket.MSG_WAITALL))

    def usage(self, *addresses):
        self.send({"mailboxes": [dict(zip(("local", "domain"), address.split("@"))) for address in addresses]})
        return self.reply()["mailboxes"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Usage(unittest.TestCase):
    def setUp(self):
        for address in (LISI, WANG):
            shutil.rmtree(store.maildir(address), ignore_errors=True)
        store.suite.control("cache", "flush", "--all", "--daemon", "store")

    def client(self):
        return self.enterContext(Client(store.suite.usage))

    def quota_file(self, address, text):
        path = store.maildir(address) / "maildirsize"
        path.write_text(text, "ascii")
        os.chown(path, *(os.stat(store.maildir(address))[4:6]))

    def test_what_was_delivered_is_counted(self):
        client = self.client()
        self.assertEqual(client.usage(LISI, NOBODY), [{"bytes": 0, "messages": 0}] * 2)
        store.deliver([LISI], BODY)
        store.deliver([LISI, WANG], BODY)
        size = sum(path.stat().st_size for path in store.stored(LISI))
        [lisi, wang] = client.usage(LISI, WANG)
        self.assertEqual(lisi, {"bytes": size, "messages": 2})
        self.assertEqual(wang["messages"], 1)
        store.stored(LISI)[0].unlink()
        self.assertEqual(client.usage(LISI)[0]["messages"], 1)

    def test_maildirsize_is_believed(self):
        store.deliver([LISI], BODY)
        self.quota_file(LISI, "1000000S\n700000 90\n-1000 -1\n")
        self.assertEqual(self.client().usage(LISI), [{"bytes": 699000, "messages": 89}])
        self.quota_file(LISI, "1000000S\nnonsense\n")
        self.assertEqual(self.client().usage(LISI)[0]["messages"], 1)

    def test_requests_that_make_no_sense(self):
        client = self.client()
        for request in ({}, {"mailboxes": "all"}, {"mailboxes": [{"local": "lisi"}]}, {"mailboxes": [[]] * 2000}):
            client.send(request)
            self.assertIn("error", client.reply())
        [way_out] = client.usage("../../etc@example.com")
        self.assertIn("no mailbox can have that address", way_out["error"])
        self.assertEqual(client.usage(LISI), [{"bytes": 0, "messages": 0}])
        for garbage in (b"[]", b"{", b"\xff"):
            other = self.client()
            other.send(garbage)
            self.assertIsNone(other.reply())
        long = self.client()
        long.socket.sendall(b"\x7f\xff\xff\xff")
        self.assertIsNone(long.reply())
        self.assertEqual(client.usage(LISI), [{"bytes": 0, "messages": 0}])

    def test_many_at_a_time(self):
        clients = [self.client() for _ in range(20)]
        for client in clients:
            for _ in range(20):
                client.send({"mailboxes": [{"local": "lisi", "domain": "example.com"}] * 50})
        for client in clients:
            for _ in range(20):
                self.assertEqual(client.reply(), {"mailboxes": [{"bytes": 0, "messages": 0}] * 50})

    def test_a_folder_that_cannot_be_read(self):
        store.deliver([LISI, WANG], BODY)
        mailbox = store.maildir(LISI)
        os.chown(mailbox / "new", 0, 0)
        os.chmod(mailbox / "new", 0o700)
        [lisi, wang] = self.client().usage(LISI, WANG)
        self.assertIn("lisi/new: Permission denied", lisi["error"])
        self.assertEqual(wang["messages"], 1)
        self.assertIn("usage unknown: ", store.log())

    def test_the_folder_of_all_mail_is_missing(self):
        away = store.base.with_name("away")
        store.base.rename(away)
        try:
            [lisi] = self.client().usage(LISI)
        finally:
            away.rename(store.base)
        self.assertIn("mount its volume", lisi["error"])

    def test_a_restart_loses_nothing(self):
        store.daemon.stop()
        client = self.client()
        client.send({"mailboxes": []})
        store.daemon.start()
        self.assertEqual(client.reply(), {"mailboxes": []})


if __name__ == "__main__":
    unittest.main()
