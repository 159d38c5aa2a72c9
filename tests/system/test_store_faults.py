"""Disks and folders that are not as they should be: the right temporary reply, a log line that says what to do, and no mail
lost or half stored."""

import os
import shutil
import subprocess
import time
import unittest

from private_server import wait_until
from private_server.suite import MAIL_UID
from store_tests import Refused, Store

ANNA, BEN, FULL = "anna@faults.test", "ben@faults.test", "anna@full.test"
TEXT = b"Subject: x\n\nHi\n"

store = None


def setUpModule():
    global store
    store = unittest.enterModuleContext(Store([ANNA, BEN, FULL]))


class Faults(unittest.TestCase):
    def check(self, address, code, *words, text=TEXT):
        """Refused for the time being, with all these words in one new line of the log."""
        before = len(store.log())
        files = store.stored(address) if os.access(store.maildir(address), os.R_OK) else []
        (reply,) = store.deliver([address], text)
        self.assertEqual(reply[:9], code, reply)
        lines = [line for line in store.log()[before:].splitlines() if "result=deferred" in line]
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertEqual(store.stored(address), files)
        self.assertEqual(store.unfinished(), [])

    def check_good(self, address):
        (reply,) = store.deliver([address], TEXT)
        self.assertEqual(reply[:9], "250 2.0.0", reply)

    def check_refused(self, address, code):
        """Never stored; and before any text is sent, as soon as the volume is looked at again."""

        def before_text():
            try:
                (reply,) = store.deliver([address], TEXT)
                self.assertEqual(reply[:3], str(code), reply)
                return False
            except Refused as refused:
                self.assertEqual(refused.code, code)
                return True

        wait_until(before_text, 10, f"RCPT to be answered {code}")

    def test_missing_base(self):
        away = store.base.with_name("away")
        os.rename(store.base, away)
        try:
            self.check_refused(ANNA, 451)
            self.assertFalse(store.base.exists(), "it was made anew, on the wrong disk")
            line = store.log().splitlines()[-1]
            self.assertIn(f"{store.base}: No such file or directory", line)
            self.assertIn("mailboxes.base", line)
            self.assertIn("mount", line)
        finally:
            os.rename(away, store.base)
        self.check_good(ANNA)

    def test_maildir_of_somebody_else(self):
        self.check_good(BEN)
        path = store.maildir(BEN)
        for name in (path, path / "new"):
            with self.subTest(name):
                os.chown(name, 0, 0)
                owner = f"{name} belongs to root (uid 0), mode 0700"
                self.check(BEN, "451 4.3.0", "Permission denied", owner, f"uid {MAIL_UID}", f"chown -R {MAIL_UID}:")
                os.chown(name, MAIL_UID, MAIL_UID)
                self.check_good(BEN)

    def test_base_of_somebody_else(self):
        os.chown(store.base, 0, 0)
        os.chmod(store.base, 0o700)
        try:
            self.check_refused(ANNA, 451)
            line = store.log().splitlines()[-1]
            self.assertIn(f"{store.base} belongs to root (uid 0), mode 0700", line)
        finally:
            os.chown(store.base, MAIL_UID, MAIL_UID)
            os.chmod(store.base, 0o755)
        self.check_good(ANNA)

    def test_symbolic_link(self):
        self.check_good(BEN)
        path, elsewhere = store.maildir(BEN), os.path.join(store.folder.path, "elsewhere")
        os.rename(path, elsewhere)
        os.symlink(elsewhere, path)
        try:
            (reply,) = store.deliver([BEN], TEXT)
            self.assertEqual(reply[:9], "451 4.3.0", reply)
            self.assertIn("symbolic link", store.log().splitlines()[-1])
        finally:
            os.unlink(path)
            os.rename(elsewhere, path)
        self.check_good(BEN)

    def test_full_and_read_only_disk(self):
        volume = store.base / "full.test"
        volume.mkdir()
        options = f"size=512k,mode=700,uid={MAIL_UID},gid={MAIL_UID}"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", volume], capture_output=True, check=False)
        if mounted.returncode != 0:
            volume.rmdir()
            self.skipTest("may not mount here: " + mounted.stderr.decode().strip())
        try:
            self.check_good(FULL)
            # One that fits into memory, and one that comes out of the spool.
            with open(volume / "filler", "wb") as filler:
                filler.write(bytes(400 << 10))
            for size in (200 << 10, 2 << 20):
                with self.subTest(size):
                    text = TEXT + (b"x" * 70 + b"\n") * (size // 71)
                    self.check(FULL, "452 4.3.1", "No space left on device", "df -i", text=text)
            os.unlink(volume / "filler")
            self.check_good(FULL)
            subprocess.run(["mount", "-o", "remount,ro", volume], check=True)
            self.check(FULL, "451 4.3.0", "Read-only file system", "remount")
            # The same message for a good mailbox is not held up.
            replies = store.deliver([FULL, ANNA], TEXT)
            self.assertEqual([reply[:9] for reply in replies], ["451 4.3.0", "250 2.0.0"])
        finally:
            subprocess.run(["umount", volume], check=True)
            shutil.rmtree(volume)


class Redelivery(unittest.TestCase):
    """A client that tells its queue ids and loses a connection sends the message again."""

    def send(self, queue_id, text, confirm=False, address=ANNA):
        """The reply, in a session of its own that ends without another command, or with one."""
        with store.connect() as client:
            client.greet()
            self.assertEqual(client.command(f"XFORWARD IDENT={queue_id}")[:3], "250")
            (reply,) = client.deliver([address], text)
            self.assertEqual(reply[:9], "250 2.0.0", reply)
            if confirm:
                client.command("RSET")
        return reply

    def stored(self, action):
        before = len(store.stored(ANNA))
        action()
        return len(store.stored(ANNA)) - before

    def test_lost_reply(self):
        replies = []
        self.assertEqual(self.stored(lambda: replies.append(self.send("4ABC", TEXT))), 1)
        self.assertEqual(self.stored(lambda: replies.append(self.send("4ABC", TEXT))), 0)
        self.assertEqual(replies[0], replies[1])
        self.assertIn("result=duplicate", store.log().splitlines()[-1])
        # Not the same: the queue id of another message, another message, another spelling of the recipient.
        self.assertEqual(self.stored(lambda: self.send("4ABD", TEXT)), 1)
        self.assertEqual(self.stored(lambda: self.send("4ABC", TEXT + b"more\n")), 1)
        self.assertEqual(self.stored(lambda: self.send("4ABC", TEXT, address="anna+x@faults.test")), 1)

    def test_reply_that_was_read(self):
        self.assertEqual(self.stored(lambda: self.send("4ABE", TEXT, confirm=True)), 1)
        self.assertEqual(self.stored(lambda: self.send("4ABE", TEXT)), 1)


class Protocol(unittest.TestCase):
    """What the unit tests cannot see: the real directory behind RCPT."""

    def test_recipients(self):
        with store.connect() as client:
            client.greet()
            self.assertEqual(client.command("MAIL FROM:<>")[:9], "250 2.1.0")
            for recipient, code in (
                (ANNA, "250 2.1.5"),
                ("Anna+tag@Faults.TEST", "250 2.1.5"),
                ("nobody@faults.test", "550 5.1.1"),
                ("anna@unknown.test", "550 5.1.1"),
                ('""@faults.test', "550 5.1.1"),
                ("../etc@faults.test", "550 5.1.1"),
            ):
                with self.subTest(recipient):
                    self.assertEqual(client.command(f"RCPT TO:<{recipient}>")[:9], code)
            self.assertEqual(client.command("RSET")[:9], "250 2.0.0")
            self.assertEqual(client.command("QUIT")[:9], "221 2.0.0")

    def test_database_away(self):
        with store.connect() as client:
            client.greet()
            store.database.kill()
            try:
                time.sleep(1.1)  # a refusal may rest on what was read within the last second
                client.command("MAIL FROM:<>")
                self.assertEqual(client.command("RCPT TO:<someone@faults.test>")[:9], "451 4.3.0")
                self.assertEqual(client.command("RCPT TO:<someone@foreign.test>")[:9], "451 4.3.0")
            finally:
                store.database.start()
            # It works again by itself.
            known = f"RCPT TO:<{BEN}>", "RCPT TO:<someone@faults.test>"
            answers = ["250 2.1.5", "550 5.1.1"]
            wait_until(lambda: [client.command(line)[:9] for line in known] == answers, 60, "the database to be asked")

    def test_restart_loses_nothing(self):
        """A message that is on its way when the daemon is told to end is answered before it does."""
        client = store.connect()
        client.greet()
        for line in ("MAIL FROM:<>", f"RCPT TO:<{ANNA}>", "DATA"):
            client.command(line)
        client.write(b"Subject: x\r\n\r\n")
        store.daemon.process.signal(15)
        client.write(b"Hi\r\n.\r\n")
        self.assertEqual(client.reply()[:9], "250 2.0.0")
        self.assertEqual(client.reply()[:9], "421 4.3.2")
        client.close()
        self.assertEqual(store.daemon.process.wait(30), 0)
        store.daemon.start()


if __name__ == "__main__":
    unittest.main()
