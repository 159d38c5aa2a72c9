"""Mail in, mail out and logins, through real Postfix, Dovecot and MariaDB."""

import base64
import imaplib
import poplib
import smtplib
import unittest

from private_server import Sink, Site
from site_tests import BUILD, imap, login_code, message, pop3, rcpt, send, smtp, submission

ANNA, BEN, DORA, SAM = "anna@example.test", "ben@example.test", "dora@example.test", "sam@catch.test"
PASSWORD = "pass word: 1%\\\"$HOME"

site = sink = None


def setUpModule():
    global site, sink
    sink = Sink()
    unittest.enterModuleContext(sink)
    site = unittest.enterModuleContext(Site(BUILD, default_transport=f"smtp:[127.0.0.1]:{sink.port}"))
    for domain in ("example.test", "catch.test"):
        site.suite.control("domain", "add", domain)
    for address in (ANNA, BEN, DORA, SAM, "gone@catch.test"):
        site.add_user(address, PASSWORD)
    site.suite.control("alias", "add", "team@example.test", ANNA, BEN)
    site.suite.control("alias", "add", "@catch.test", ANNA)
    site.suite.control("user", "disable", DORA)
    site.suite.control("user", "disable", "gone@catch.test")


class Incoming(unittest.TestCase):
    def test_to_a_user(self):
        send(site, [ANNA], "to a user")
        mail = site.wait_for_message(ANNA, "to a user")
        self.assertEqual(mail["Return-Path"], "<somebody@elsewhere.test>")
        self.assertEqual(mail["Delivered-To"], ANNA)
        self.assertEqual(mail.get_payload(), "A line.\n")

    def test_in_other_case(self):
        send(site, ["Anna@Example.TEST"], "in other case")
        site.wait_for_message(ANNA, "in other case")

    def test_alias_reaches_both_targets(self):
        send(site, ["team@example.test"], "to an alias")
        site.wait_for_message(ANNA, "to an alias")
        site.wait_for_message(BEN, "to an alias")

    def test_extension(self):
        send(site, ["anna+lists@example.test"], "with an extension")
        site.wait_for_message(ANNA, "with an extension")

    def test_extension_behind_an_alias(self):
        send(site, ["team+lists@example.test"], "extension behind an alias")
        site.wait_for_message(ANNA, "extension behind an alias")
        site.wait_for_message(BEN, "extension behind an alias")

    def test_catch_all(self):
        send(site, ["whoever@catch.test"], "to the catch-all")
        site.wait_for_message(ANNA, "to the catch-all")

    def test_catch_all_shadows_no_mailbox(self):
        send(site, [SAM], "sam's own")
        site.wait_for_message(SAM, "sam's own")
        send(site, ["sam+x@catch.test"], "sam's own, with an extension")
        site.wait_for_message(SAM, "sam's own, with an extension")
        self.assertNotIn("sam's own", [m["Subject"] for m in site.messages(ANNA)])

    def test_several_recipients(self):
        send(site, [ANNA, BEN, SAM], "to three")
        for address in (ANNA, BEN, SAM):
            site.wait_for_message(address, "to three")

    def test_unknown_user_is_refused_at_rcpt(self):
        code, text = rcpt(site, "nobody@example.test")
        self.assertEqual(code, 550, text)
        self.assertIn("5.1.1", text)

    def test_disabled_user_is_refused(self):
        self.assertEqual(rcpt(site, DORA)[0], 550)

    def test_disabled_user_never_falls_to_the_catch_all(self):
        self.assertEqual(rcpt(site, "gone@catch.test")[0], 550)
        self.assertEqual(rcpt(site, "gone+x@catch.test")[0], 550)

    def test_one_bad_recipient_does_not_harm_the_other(self):
        with smtp(site) as client:
            self.assertEqual(client.mail("somebody@elsewhere.test")[0], 250)
            self.assertEqual(client.rcpt("nobody@example.test")[0], 550)
            self.assertEqual(client.rcpt(BEN)[0], 250)
            self.assertEqual(client.data(message("somebody@elsewhere.test", BEN, "the good one"))[0], 250)
        site.wait_for_message(BEN, "the good one")

    def test_odd_addresses_are_answered(self):
        for address in ('"a b"@example.test', "a@b@example.test", "@example.test", "x" * 300 + "@example.test"):
            with self.subTest(address):
                code, text = rcpt(site, address)
                self.assertGreaterEqual(code, 500, text)

    def test_empty_sender(self):
        send(site, [ANNA], "a bounce", sender="")
        self.assertEqual(site.wait_for_message(ANNA, "a bounce")["Return-Path"], "<>")


class Outgoing(unittest.TestCase):
    def test_relaying_is_refused_without_a_login(self):
        code, text = rcpt(site, "someone@far-away.test")
        self.assertEqual(code, 554, text)

    def test_relaying_is_allowed_with_a_login(self):
        with submission(site, ANNA, PASSWORD) as client:
            client.sendmail(ANNA, "someone@far-away.test", message(ANNA, "someone@far-away.test", "out"))
        sender, _, text = sink.wait_for("someone@far-away.test")
        self.assertEqual(sender, ANNA)
        self.assertIn("Subject: out", text)

    def test_login_from_user_to_user(self):
        with submission(site, ANNA, PASSWORD) as client:
            client.sendmail(ANNA, BEN, message(ANNA, BEN, "from anna to ben"))
        site.wait_for_message(BEN, "from anna to ben")

    def test_no_login_is_offered_without_tls(self):
        with smtp(site) as client:
            self.assertFalse(client.has_extn("auth"))

    def test_both_mechanisms(self):
        for mechanism in ("plain", "login"):
            with self.subTest(mechanism), submission(site) as client:
                client.user, client.password = ANNA, PASSWORD
                authenticate = getattr(client, f"auth_{mechanism}")
                # The two forms of each: with an initial response, and without.
                code, text = client.auth(mechanism.upper(), authenticate, initial_response_ok=False)
                self.assertEqual(code, 235, text)

    def test_password_in_utf8(self):
        site.add_user("ursula@example.test", "Größe 日本")
        plain = base64.b64encode("\0ursula@example.test\0Größe 日本".encode()).decode()
        with submission(site) as client:
            code, text = client.docmd("AUTH", "PLAIN " + plain)
        self.assertEqual(code, 235, text)

    def test_login_in_other_case(self):
        self.assertEqual(login_code(site, "Anna@EXAMPLE.test", PASSWORD), 235)

    def test_wrong_password(self):
        self.assertEqual(login_code(site, ANNA, "wrong"), 535)

    def test_unknown_user(self):
        self.assertEqual(login_code(site, "nobody@example.test", PASSWORD), 535)

    def test_disabled_user(self):
        self.assertEqual(login_code(site, DORA, PASSWORD), 535)

    def test_catch_all_is_no_login(self):
        self.assertEqual(login_code(site, "whoever@catch.test", PASSWORD), 535)

    def test_refusals_say_the_same(self):
        """Nobody learns from the answer which addresses there are."""
        answers = set()
        for user in (ANNA, DORA, "nobody@example.test"):
            with submission(site) as client, self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
                client.login(user, "wrong")
            answers.add((refused.exception.smtp_code, refused.exception.smtp_error))
        self.assertEqual(len(answers), 1, answers)


class Reading(unittest.TestCase):
    def test_imap(self):
        send(site, [BEN], "over IMAP")
        site.wait_for_message(BEN, "over IMAP")
        with imap(site) as client:
            client.login(BEN, PASSWORD)
            client.select("INBOX")
            _, found = client.search(None, "SUBJECT", '"over IMAP"')
            self.assertEqual(len(found[0].split()), 1)

    def test_imap_refuses_a_wrong_password(self):
        with imap(site) as client, self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.login(BEN, "wrong")

    def test_imap_refuses_a_disabled_user(self):
        with imap(site) as client, self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.login(DORA, PASSWORD)

    def test_pop3(self):
        send(site, [SAM], "over POP3")
        site.wait_for_message(SAM, "over POP3")
        with pop3(site) as client:
            client.user(SAM)
            client.pass_(PASSWORD)
            count, _ = client.stat()
            subjects = [line for n in range(1, count + 1) for line in client.retr(n)[1] if line.startswith(b"Subject:")]
        self.assertIn(b"Subject: over POP3", subjects)

    def test_pop3_refuses_a_wrong_password(self):
        with pop3(site) as client:
            client.user(SAM)
            with self.assertRaisesRegex(poplib.error_proto, "AUTH"):
                client.pass_("wrong")

    def test_sizes_of_the_file_name_are_true(self):
        """Dovecot trusts S= and W= of the name; it logs an error when they are wrong."""
        send(site, [SAM], "sizes", body=".\r\n..\r\nlast line\r\n")
        site.wait_for_message(SAM, "sizes")
        with imap(site) as client:
            client.login(SAM, PASSWORD)
            client.select("INBOX")
            _, found = client.search(None, "SUBJECT", "sizes")
            _, parts = client.fetch(found[0].split()[-1], "(RFC822.SIZE BODY.PEEK[])")
            text = parts[0][1]
            self.assertIn(f"RFC822.SIZE {len(text)}".encode(), parts[0][0])
            self.assertTrue(text.endswith(b"\r\n\r\n.\r\n..\r\nlast line\r\n"), text)
        self.assertNotIn("Error", site.dovecot.read_log())


if __name__ == "__main__":
    unittest.main()
