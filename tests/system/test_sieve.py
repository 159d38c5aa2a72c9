"""Users with a Sieve script, on a real Pigeonhole: Dovecot's LMTP server files their mail, their neighbours' is filed
directly, out of the same message. And what Postfix's queue id is good for."""

import os
import re
import unittest

from private_server import Site, wait_until
from private_server.suite import MAIL_UID
from site_tests import BUILD, send

DOMAIN = "sieve.test"
ANNA, VERA, RITA, KIM, BEN, OLAF = (
    f"{name}@{DOMAIN}" for name in ("anna", "vera", "rita", "kim", "ben", "olaf")
)
PASSWORD = "correct horse battery"

SCRIPTS = {
    ANNA: 'require ["fileinto", "mailbox", "subaddress", "envelope"];\n'
    'if envelope :detail "to" "news" { fileinto :create "News"; stop; }\n'
    'if header :contains "Subject" "[list]" { fileinto :create "Lists"; }\n',
    VERA: 'require ["vacation"];\nvacation :days 1 :subject "Away" "I am away.";\n',
    RITA: 'require ["reject"];\nif header :contains "Subject" "offer" { reject "No offers, please."; }\n',
    KIM: "keep;\n",
}

# Replies of vacation go out by the site's own Postfix.
SIEVE = """\
submission_host = 127.0.0.1:SMTP_PORT
recipient_delimiter = +
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
"""

site = None


def setUpModule():
    global site
    site = unittest.enterModuleContext(Site(BUILD, sieve=SIEVE))
    site.suite.control("domain", "add", DOMAIN)
    for address in (*SCRIPTS, BEN, OLAF):
        site.add_user(address, PASSWORD)
    for address, script in SCRIPTS.items():
        write_script(address, script)


def write_script(address, script):
    home = site.maildir(address)
    for folder in (os.path.dirname(home), home):
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            os.chown(folder, MAIL_UID, MAIL_UID)
    path = os.path.join(home, ".dovecot.sieve")
    with open(path, "w", encoding="ascii") as file:
        file.write(script)
    os.chown(path, MAIL_UID, MAIL_UID)


def subjects(address, folder=""):
    path = os.path.join(site.maildir(address), folder)
    found = []
    for sub in ("new", "cur"):
        if os.path.isdir(os.path.join(path, sub)):
            for name in os.listdir(os.path.join(path, sub)):
                with open(os.path.join(path, sub, name), encoding="utf-8", errors="replace") as file:
                    found += re.findall(r"^Subject: (.*)$", file.read(), re.MULTILINE)
    return found


def wait_for(address, subject, folder=""):
    try:
        wait_until(lambda: subject in subjects(address, folder), 60, f"{subject!r} in {address} {folder}")
    except Exception as error:
        raise AssertionError(f"{error}\n{site.logs()}") from None


def store_log():
    return site.suite.store.process.read_log()


def ways(subject_id):
    """{recipient: "hand-over" or "delivery"} of the log lines with that queue id."""
    lines = re.findall(rf"(hand-over|delivery) .*queue={subject_id} .*to=<([^>]*)>", store_log())
    return {recipient: way for way, recipient in lines}


class Scripts(unittest.TestCase):
    def test_all_in_one_message(self):
        # Vacation answers what has its user in a header alone: `To:` has the first.
        send(site, [VERA, ANNA, RITA, KIM, BEN], "[list] an offer", sender=OLAF)
        wait_for(ANNA, "[list] an offer", ".Lists")
        wait_for(VERA, "[list] an offer")
        wait_for(KIM, "[list] an offer")
        wait_for(BEN, "[list] an offer")
        self.assertEqual(subjects(ANNA), [])
        self.assertEqual(subjects(RITA), [])
        # Vacation and the rejection, which Pigeonhole writes itself, come back to the sender.
        wait_for(OLAF, "Away")
        wait_for(OLAF, "Rejected: [list] an offer")
        # Once all have their reply, and so all their lines.
        queue_id = wait_until(
            lambda: re.search(rf"lmtp\[\d+\]: (\w+): to=<{VERA}>", site.postfix.read_log()), 60, "the replies"
        )[1]
        handed = dict.fromkeys((ANNA, VERA, RITA, KIM), "hand-over")
        self.assertEqual(ways(queue_id), {**handed, BEN: "delivery"})

    def test_what_the_script_does_not_stop_is_kept(self):
        send(site, [RITA], "no o f f e r")
        wait_for(RITA, "no o f f e r")

    def test_extension_reaches_the_script(self):
        send(site, [f"anna+news@{DOMAIN}"], "with an extension")
        wait_for(ANNA, "with an extension", ".News")

    def test_text_comes_through_as_it_is(self):
        """A short one, and one that is too big for memory."""
        for subject, lines in (("short", 1), ("long", 100000)):
            with self.subTest(subject):
                send(site, [KIM, BEN], subject, body=".\r\n..\r\n" + "x" * 900 + "\r\n" + "line\r\n" * lines)
                for address in (KIM, BEN):
                    wait_for(address, subject)
                    (message,) = [m for m in site.messages(address) if m["Subject"] == subject]
                    self.assertEqual(message.get_payload(), ".\n..\n" + "x" * 900 + "\n" + "line\n" * lines)

    def test_dovecot_away(self):
        site.dovecot.stop()
        try:
            send(site, [KIM, BEN], "while Dovecot is away")
            wait_for(BEN, "while Dovecot is away")
            deferred = re.compile(rf"to=<{KIM}>.*dsn=4.3.0, status=deferred")
            wait_until(lambda: deferred.search(site.postfix.read_log()), 60, "a 451")
            self.assertIn("is the daemon running?", store_log())
        finally:
            site.dovecot.start()
        wait_for(KIM, "while Dovecot is away")


class QueueId(unittest.TestCase):
    def test_in_log_and_reply(self):
        send(site, [BEN], "queue id")
        wait_for(BEN, "queue id")
        sent = re.compile(rf"(\w+): to=<{BEN}>.*status=sent \(250 2.0.0 <{BEN}> (\S+) (\S+) Saved\)")
        found = wait_until(lambda: sent.findall(site.postfix.read_log()), 60, "Postfix to log the reply")
        for queue_id, told, name in found:
            self.assertEqual(told, queue_id)
            self.assertRegex(store_log(), rf"queue={queue_id} .*file={re.escape(name)}")


if __name__ == "__main__":
    unittest.main()
