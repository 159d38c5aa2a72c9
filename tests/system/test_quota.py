"""Quotas beside a real Dovecot: its figures and ours are the same whoever changes the mailbox, and what it counts itself
is asked of it."""

import imaplib
import json
import os
import re
import unittest

from private_server import Site, wait_until
from site_tests import BUILD, imap, message, send, smtp

ANNA, BEN = "anna@example.test", "ben@example.test"
PASSWORD = "correct horse battery"
LIMIT = 300 * 1024

MAILDIR_QUOTA = """
mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=%d
}
""" % LIMIT

COUNT_QUOTA = """
mail_plugins = $mail_plugins quota
service quota-status {
  executable = quota-status -p postfix
  unix_listener %s {
    mode = 0666
  }
  client_limit = 1
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
  quota_rule = *:bytes=20000
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = 552 5.2.2 Mailbox is full
}
"""


def add_to(path, text, before=None):
    with open(path, encoding="utf-8") as file:
        there = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(there.replace(before, before + text) if before else there + text)


def make_site(test, dovecot, settings):
    """settings are lines of each section of vmailkit.toml."""
    site = Site(BUILD)
    add_to(site.dovecot.config, dovecot(site))
    for section, text in settings(site).items():
        with open(site.suite.config, encoding="utf-8") as file:
            there = f"[{section}]\n" in file.read()
        add_to(site.suite.config, text if there else f"[{section}]\n{text}", f"[{section}]\n" if there else None)
    test.enterContext(site)
    site.suite.control("domain", "add", "example.test")
    for address in (ANNA, BEN):
        site.add_user(address, PASSWORD)
    return site


class KeptByBoth(unittest.TestCase):
    def setUp(self):
        self.site = make_site(
            self,
            lambda site: MAILDIR_QUOTA,
            lambda site: {
                "store": 'quota_warnings = ["80%"]\n',
                "policy": f'notify_smtp = "127.0.0.1:{site.postfix.smtp_port}"\n',
            },
        )
        self.site.suite.control("quota", "add", "@example.test", str(LIMIT))
        self.maildirsize = os.path.join(self.site.maildir(ANNA), "maildirsize")
        wait_until(self.has_file, 30, "the rule to be known")

    def has_file(self):
        """A delivery, and the next RCPT counts it."""
        send(self.site, [ANNA], "first")
        return os.path.exists(self.maildirsize)

    def deliver(self, count, size=2000):
        before = len(self.site.messages(ANNA))
        for number in range(count):
            send(self.site, [ANNA], f"mail {number}", body="A line of text.\r\n" * (size // 17))
        wait_until(lambda: len(self.site.messages(ANNA)) >= before + count, 60, "the mail")

    def ours(self):
        [row] = json.loads(self.site.suite.control("--json", "mailbox", "usage", ANNA))
        return row["bytes"], row["messages"]

    def truth(self):
        sizes = []
        for folder, _, names in os.walk(self.site.maildir(ANNA)):
            if os.path.basename(folder) in ("cur", "new"):
                sizes += [os.path.getsize(os.path.join(folder, name)) for name in names]
        return sum(sizes), len(sizes)

    def assert_all_agree(self):
        done = self.site.dovecot.doveadm("-f", "tab", "quota", "get", "-u", ANNA)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = {line.split("\t")[1]: line.split("\t")[2] for line in done.stdout.splitlines()[1:]}
        size, count = self.ours()
        self.assertEqual((size, count), self.truth())
        self.assertEqual((int(figures["STORAGE"]), int(figures["MESSAGE"])), (-(-size // 1024), count), done.stdout)

    def test_the_figures_are_the_same(self):
        self.deliver(5)
        self.assert_all_agree()
        with imap(self.site) as client:
            client.login(ANNA, PASSWORD)
            client.create("Kept")
            client.select()
            client.copy("1:2", "Kept")
            client.store("1:2", "+FLAGS", r"(\Deleted)")
            client.expunge()
            client.append("Kept", "", None, message(BEN, ANNA, "appended").encode())
            self.assert_all_agree()
            self.deliver(3)
            client.noop()
            client.store("1", "+FLAGS", r"(\Deleted)")
            self.deliver(2, size=10000)
            client.expunge()
            client.delete("Kept")
        self.deliver(1)
        self.assert_all_agree()
        done = self.site.suite.vmailctl("mailbox", "check", "--all")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_who_is_full_is_refused_and_warned_before(self):
        self.deliver(13, size=20000)  # 260 of 300 kB
        warning = self.site.wait_for_message(ANNA, "Your mailbox is 80 % full")
        self.assertIn("more than 80 % full", warning.get_payload())
        self.deliver(3, size=20000)  # the last one by the grace
        with smtp(self.site) as client:
            client.mail("somebody@elsewhere.test")
            client.rcpt(ANNA)
            client.data(message("somebody@elsewhere.test", ANNA, "too much"))
        wait_until(lambda: "452 4.2.2" in self.site.postfix.read_log(), 60, "the refusal")
        self.assert_all_agree()
        with imap(self.site) as client:
            client.login(ANNA, PASSWORD)
            client.select()
            client.store("1:10", "+FLAGS", r"(\Deleted)")
            client.expunge()
        self.site.postfix.command("postqueue", "-f")
        self.site.wait_for_message(ANNA, "too much")
        self.assert_all_agree()

    def test_what_was_sent_is_read_back_and_seen_at_once(self):
        with imap(self.site) as client:
            client.login(ANNA, PASSWORD)
            client.select()
            idle(client)
            bodies = [b"plain\r\n", b"\r\n", "Größe\r\n".encode(), b"x" * 900 + b"\r\n", b"..dots\r\n.\r\n"]
            for number, body in enumerate(bodies):
                with smtp(self.site) as sender:
                    text = message("somebody@elsewhere.test", ANNA, f"bytes {number}", "").encode() + body
                    sender.sendmail("somebody@elsewhere.test", [ANNA], text, ["body=8bitmime"])
            self.assertRegex(client.readline(), rb"\* [0-9]+ EXISTS")
            client.send(b"DONE\r\n")
            while not client.readline().startswith(b"idle1 OK"):
                pass
            for number, body in enumerate(bodies):
                self.site.wait_for_message(ANNA, f"bytes {number}")
                client.noop()
                [found] = client.search(None, "HEADER", "Subject", f'"bytes {number}"')[1][0].split()
                fetched = client.fetch(found, "(RFC822.SIZE BODY.PEEK[] BODY.PEEK[TEXT])")[1]
                size = int(re.search(rb"RFC822.SIZE ([0-9]+)", fetched[0][0]).group(1))
                self.assertEqual(size, len(fetched[0][1]))
                self.assertEqual(fetched[1][1], body)


def idle(client):
    """imaplib knows no IDLE: its lines are read one by one from now on."""
    client.send(b"idle1 IDLE\r\n")
    line = client.readline()
    while not line.startswith(b"+"):
        if not line:
            raise imaplib.IMAP4.abort("the connection ended")
        line = client.readline()


class CountedByDovecot(unittest.TestCase):
    def setUp(self):
        def socket_of(site):
            return os.path.join(site.dovecot.path, "quota-status")

        self.site = make_site(
            self,
            lambda site: COUNT_QUOTA % socket_of(site),
            lambda site: {
                "store": f'quota_status = "{socket_of(site)}"\n',
                "policy": 'full_mailbox = "reject"\n',
            },
        )

    def test_dovecot_is_asked(self):
        self.site.suite.control("quota", "add", "@example.test", "1")  # is Dovecot's matter here
        send(self.site, [BEN], "to another")
        for number in range(3):
            send(self.site, [ANNA], f"mail {number}", body="A line of text.\r\n" * 500)
            self.site.wait_for_message(ANNA, f"mail {number}") if number < 2 else None
        wait_until(lambda: "552 5.2.2" in self.site.postfix.read_log(), 60, "the refusal")
        self.assertFalse(os.path.exists(os.path.join(self.site.maildir(ANNA), "maildirsize")))

    def test_without_dovecot_mail_is_taken(self):
        self.site.dovecot.stop()
        send(self.site, [ANNA], "nobody to ask")
        self.site.wait_for_message(ANNA, "nobody to ask")
        self.assertIn("Dovecot did not say whether there is room", self.site.suite.store.process.read_log())


if __name__ == "__main__":
    unittest.main()
