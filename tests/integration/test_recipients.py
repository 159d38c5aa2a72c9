"""What vmail-lmtpd makes of a recipient by the rules of the database and the disk, and vmailctl's look at Maildirs."""

import json
import os
import shutil
import unittest

from private_server import wait_until
from store_tests import Store

USERS = LISI, WANG, ZHAO = "lisi@example.com", "wang@example.com", "zhao@example.com"
BODY = b"Subject: x\n\n" + b"A line.\n" * 100

store = None


def setUpModule():
    global store
    store = unittest.enterModuleContext(Store(USERS, {"store": {"quota_warnings": ["80%"]}}))


def control(*arguments):
    return store.suite.control(*arguments)


def answer(recipient, size=0):
    """To RCPT, its code and enhanced code."""
    with store.connect() as client:
        client.greet()
        client.command(f"MAIL FROM:<somebody@elsewhere.test> SIZE={size}")
        return client.command(f"RCPT TO:<{recipient}>")[:9]


class Case(unittest.TestCase):
    def setUp(self):
        for address in USERS:
            shutil.rmtree(store.maildir(address), ignore_errors=True)
        store.database.query("DELETE FROM virtual_rules", "mailserver")
        control("cache", "flush", "--all", "--daemon", "store")
        wait_until(lambda: {answer(address) for address in USERS} == {"250 2.1.5"}, 30, "no rule to be left")

    def wait_for(self, recipient, reply, size=0):
        wait_until(lambda: answer(recipient, size) == reply, 30, f"{recipient} to be answered {reply}")


class States(Case):
    def test_each(self):
        for state, reply in (
            ("no-mail", "550 5.2.1"),
            ("hold", "450 4.2.1"),
            ("no-login", "250 2.1.5"),
            ("off", "550 5.2.1"),
            ("on", "250 2.1.5"),
        ):
            with self.subTest(state):
                control("user", "state", LISI, state)
                self.wait_for(LISI, reply)
                self.wait_for("lisi+x@example.com", reply)
                self.assertEqual(answer(WANG), "250 2.1.5")
        control("user", "state", "@example.com", "hold")
        self.wait_for(WANG, "450 4.2.1")
        control("user", "state", "@example.com", "on")

    def test_a_locked_login_gets_its_mail(self):
        store.suite.vmailctl("user", "lock", LISI)
        self.assertEqual(store.deliver([LISI], BODY)[0][:3], "250")
        store.suite.vmailctl("user", "unlock", LISI)


class Rules(Case):
    def test_message_size(self):
        control("message-size", "add", LISI, "10K")
        self.wait_for(LISI, "552 5.3.4", size=10241)
        self.assertEqual(answer(LISI, size=10240), "250 2.1.5")
        self.assertEqual(answer(WANG, size=10241), "250 2.1.5")

    def test_what_makes_no_sense_defers_the_mail_and_is_said(self):
        for kind, value in (("spam", "away"), ("archive", "nobody@example.com"), ("quota", "much"), ("state", "ill")):
            with self.subTest(kind):
                store.database.query("DELETE FROM virtual_rules", "mailserver")
                store.database.query(
                    f"INSERT INTO virtual_rules (kind, name, value) VALUES ('{kind}', '{LISI}', '{value}')", "mailserver"
                )
                control("cache", "flush", "--all", "--daemon", "store")
                self.wait_for(LISI, "451 4.3.0")
                self.assertEqual(answer(WANG), "250 2.1.5")
        self.assertIn("is 'ill', which is none; `vmailctl user state` mends it", store.log())

    def test_vmailctl_refuses_what_makes_no_sense(self):
        for arguments, because in (
            (("spam", "add", LISI, "away"), "it is junk or inbox"),
            (("sieve", "add", LISI, "maybe"), "it is yes or no"),
            (("archive", "add", LISI, "nobody@example.com"), "there is no user nobody@example.com"),
            (("archive", "add", LISI, "somebody@elsewhere.test"), "there is no domain elsewhere.test"),
            (("archive", "add", LISI, LISI), "would go to lisi@example.com itself"),
            (("message-size", "add", LISI, "big"), "it is a number of bytes"),
            (("quota", "add", LISI, "5G 3"), "it is a size such as 5G"),
            (("spam", "add", "nobody@example.com", "junk"), "there is no user nobody@example.com"),
            (("spam", "add", "@nowhere.test", "junk"), "there is no domain nowhere.test"),
        ):
            with self.subTest(arguments):
                done = store.suite.vmailctl(*arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(because, done.stderr)

    def test_an_archive_keeps_its_mailbox(self):
        control("archive", "add", "@example.com", ZHAO)
        done = store.suite.vmailctl("user", "remove", ZHAO, "--mail", "keep")
        self.assertEqual(done.returncode, 1)
        self.assertIn("vmailctl archive remove @example.com", done.stderr)


class Quota(Case):
    def quota_file(self, address):
        return (store.maildir(address) / "maildirsize").read_text("ascii")

    def test_full_at_rcpt_and_with_the_size(self):
        control("quota", "add", LISI, "20K")
        self.wait_for(LISI, "452 4.2.2", size=20480 + 16385)
        self.assertEqual(answer(LISI, size=20480 + 16384), "250 2.1.5")
        self.assertEqual(store.deliver([LISI], b"x\n" * 10240)[0][:3], "250")
        self.assertEqual(answer(LISI), "452 4.2.2")
        self.assertRegex(self.quota_file(LISI), r"\A20480S\n[0-9]+ 1\n\Z")
        store.stored(LISI)[0].unlink()  # with nobody to say so, but the file is not believed when it refuses
        self.assertEqual(answer(LISI), "452 4.2.2")
        os.utime(store.maildir(LISI) / "maildirsize", (0, 0))
        self.assertEqual(answer(LISI), "250 2.1.5")
        self.assertEqual(self.quota_file(LISI), "20480S\n0 0\n")

    def test_messages(self):
        control("quota", "add", "@example.com", "none 2 messages")
        self.wait_for(WANG, "250 2.1.5")
        wait_until(lambda: control("quota", "list") and answer(WANG), 30, "the rule")
        for _ in range(2):
            store.deliver([WANG], BODY)
        self.wait_for(WANG, "452 4.2.2")
        shown = json.loads(control("--json", "mailbox", "usage", "--domain", "example.com"))
        self.assertEqual([row["percent"] for row in shown if row["address"] == WANG], [100])


class Mailboxes(Case):
    def checked(self, *arguments):
        done = store.suite.vmailctl("--json", "mailbox", "check", *arguments)
        return done.returncode, json.loads(done.stdout)

    def test_path(self):
        self.assertEqual(control("mailbox", "path", "Lisi@Example.com"), f"{store.maildir(LISI)}\n")
        self.assertFalse(json.loads(control("--json", "mailbox", "path", LISI))["exists"])
        store.deliver([LISI], BODY)
        self.assertTrue(json.loads(control("--json", "mailbox", "path", LISI))["exists"])
        self.assertIn("there is no user", store.suite.vmailctl("mailbox", "path", "nobody@example.com").stderr)

    def test_usage(self):
        store.deliver([LISI, WANG], BODY)
        size = store.stored(LISI)[0].stat().st_size
        [row] = json.loads(control("--json", "mailbox", "usage", LISI))
        self.assertEqual((row["bytes"], row["messages"], row["quota_bytes"]), (size, 1, None))
        rows = json.loads(control("--json", "mailbox", "usage", "--all"))
        self.assertEqual([row["messages"] for row in rows], [1, 1, 0])
        self.assertIn("MAILBOX", control("mailbox", "usage", "--domain", "example.com"))
        self.assertNotEqual(store.suite.vmailctl("mailbox", "usage").returncode, 0)
        self.assertNotEqual(store.suite.vmailctl("mailbox", "usage", LISI, "--all").returncode, 0)

    def test_what_we_store_is_as_it_should_be(self):
        store.deliver([LISI, WANG], BODY)
        status, mailboxes = self.checked("--all")
        self.assertEqual(status, 0)
        self.assertEqual([(box["address"], box["messages"], box["findings"]) for box in mailboxes],
                         [(LISI, 1, []), (WANG, 1, [])])

    def test_findings_are_repaired(self):
        store.deliver([LISI], BODY)
        [path] = store.stored(LISI)
        size = path.stat().st_size
        wrong = path.with_name(path.name.replace(f"S={size}", f"S={size + 1}"))
        path.rename(wrong)
        os.chown(wrong, 0, 0)
        (store.maildir(LISI) / "maildirsize").write_text("1000S\n7 7\n", "ascii")
        status, [box] = self.checked(LISI)
        self.assertEqual(status, 1)
        self.assertEqual(len(box["findings"]), 5, box)
        text = store.suite.vmailctl("mailbox", "check", LISI).stdout
        self.assertIn(f"{LISI}: new/{wrong.name}: its name says other sizes than S={size}", text)
        self.assertIn("--repair mends", text)
        status, [box] = self.checked("--repair", LISI)
        self.assertEqual((status, {finding["repaired"] for finding in box["findings"]}), (0, {True}))
        self.assertEqual(self.checked(LISI), (0, [{**box, "findings": []}]))
        [mended] = store.stored(LISI)
        self.assertEqual((mended.name, mended.stat().st_uid), (path.name, os.stat(store.maildir(LISI)).st_uid))
        self.assertEqual((store.maildir(LISI) / "maildirsize").read_text("ascii"), f"1000S\n{size} 1\n")


if __name__ == "__main__":
    unittest.main()
