"""All maps of vmail-mapd: tables of keys and answers asked by postmap -q, and what a real Postfix makes of them."""

import json
import os
import pathlib
import shutil
import subprocess
import unittest

from map_tables import ANNA, ARCHIVE, BEN, LONG, QUERIES, ROWS, TABLES
from map_tests import MapClient, TempFail, postmap
from private_server import Sink, Site, wait_until
from site_tests import BUILD, message, rcpt, send, submission

MAP = "socketmap:unix:vmailkit/maps:"

MAIN_CF = f"""
relay_domains = {MAP}relay-domains
transport_maps = {MAP}transports
sender_bcc_maps = {MAP}sender-bcc
recipient_bcc_maps = {MAP}recipient-bcc
sender_dependent_relayhost_maps = {MAP}sender-relay
sender_canonical_maps = {MAP}sender-canonical
recipient_canonical_maps = {MAP}recipient-canonical
smtpd_sender_login_maps = {MAP}sender-logins
smtpd_sender_restrictions = reject_unauthenticated_sender_login_mismatch
smtpd_recipient_restrictions = permit_sasl_authenticated, reject_unauth_destination,
  check_recipient_access {MAP}recipient-access,
  check_recipient_access {MAP}vips
"""

site = sink = second = None


def setUpModule():
    global site, sink, second
    sink, second = Sink(), Sink()
    for server in (sink, second):
        unittest.enterModuleContext(server)
    # A default_transport with a host in it would come before the relays of senders.
    settings = f"{MAIN_CF}relayhost = [127.0.0.1]:{sink.port}\n"
    site = Site(BUILD, default_transport="smtp", postfix_settings=settings)
    with open(site.suite.config, "a", encoding="utf-8") as file:
        file.write(QUERIES)
    unittest.enterModuleContext(site)
    for domain in ("example.test", "catch.test", "bücher.test"):
        site.suite.control("domain", "add", domain)
    for address in (ANNA, BEN, ARCHIVE, "leser@bücher.test"):
        site.add_user(address, "password 1")
    site.suite.control("alias", "add", "team@example.test", ANNA, BEN)
    site.suite.control("alias", "add", "@catch.test", ANNA)
    site.database.query(ROWS.replace("{second}", str(second.port)), "mailserver")
    site.suite.control("cache", "flush", "--all")
    wait_until(lambda: ask("relay-domains", "relay.test") == "1", 60, "the rows to be seen")
    wait_until(lambda: ask("sender-bcc", ANNA) == ARCHIVE, 60, "the rules to be seen")


def ask(table, key):
    return postmap(site.postfix, table, key)


class Asked(unittest.TestCase):
    """By postmap -q, which sends a key as it is."""

    def test_keys(self):
        for name, keys in TABLES.items():
            for key, answer in keys.items():
                with self.subTest(f"{name} {key[:40]}"):
                    self.assertEqual(ask(name, key), answer)

    def test_again_from_memory(self):
        with MapClient(site.postfix) as client:
            for _ in range(2):
                for name, keys in TABLES.items():
                    for key, answer in keys.items():
                        with self.subTest(f"{name} {key[:40]}"):
                            reply = client.ask(f"{name} {key}".encode())
                            self.assertEqual(reply, b"NOTFOUND " if answer is None else b"OK " + answer.encode())

    def test_senders_relay(self):
        relay = f"[127.0.0.1]:{second.port}"
        for key, answer in {BEN: relay, "<>": relay, '"<>"': relay, "Ben+x@alias.test": relay, ANNA: None}.items():
            with self.subTest(key):
                self.assertEqual(ask("sender-relay", key), answer)

    def test_two_values_where_one_is_due(self):
        with self.assertRaises(TempFail):
            ask("recipient-access", "twice@example.test")

    def test_bad_data_of_a_query(self):
        with MapClient(site.postfix) as client:
            self.assertRegex(client.ask(b"vips odd@example.test"), rb"^TEMP .*control characters")
            self.assertRegex(client.ask(b"broken example.test"), rb"^TEMP .*nothing")
            self.assertEqual(client.ask(b"vips anna@example.test"), b"OK first,second")


class UsedByPostfix(unittest.TestCase):
    """Each map where main.cf names it."""

    def test_relay_domains(self):
        self.assertEqual(rcpt(site, "anybody@relay.test")[0], 250)
        self.assertEqual(rcpt(site, "anybody@xn--grn-ioa.test")[0], 250)
        self.assertEqual(rcpt(site, "anybody@elsewhere.test")[0], 554)
        self.assertEqual(rcpt(site, "anybody@sub.relay.test")[0], 554)

    def test_transports(self):
        code, text = rcpt(site, "Special+x@example.test")
        self.assertEqual(code, 550)
        self.assertIn("this one goes nowhere", text)
        send(site, ["somebody@relay.test"], "over the transport")
        self.assertIn("over the transport", second.wait_for("somebody@relay.test")[2])

    def test_sender_logins(self):
        for sender in (ANNA, "anna+x@alias.test", "anyone@catch.test", "shared@partner.test"):
            with self.subTest(sender):
                code, text = rcpt(site, BEN, sender=sender)
                self.assertEqual(code, 553, text)
                self.assertIn("not logged in", text)
        for sender in ("somebody@elsewhere.test", "nobody@example.test", ""):
            with self.subTest(sender):
                self.assertEqual(rcpt(site, BEN, sender=sender)[0], 250)

    def test_recipient_access(self):
        code, text = rcpt(site, "Closed@example.test")
        self.assertEqual(code, 554)
        self.assertIn("closed for now, really", text)
        self.assertEqual(rcpt(site, BEN)[0], 250)
        self.assertEqual(rcpt(site, "twice@example.test")[0], 451)

    def test_query(self):
        code, text = rcpt(site, "Vip+x@example.test")
        self.assertEqual(code, 554)
        self.assertIn("only by appointment", text)

    def test_recipient_bcc(self):
        send(site, ["anna@alias.test"], "copied to the archive")
        site.wait_for_message(ANNA, "copied to the archive")
        site.wait_for_message(ARCHIVE, "copied to the archive")

    def test_recipient_canonical(self):
        send(site, ["old+x@example.test"], "to the old address")
        site.wait_for_message(ANNA, "to the old address")

    def test_sender_maps(self):
        """Mail that the site sends, after a login."""
        for sender, recipient, server, seen in (
            ("internal@example.test", "one@outside.test", sink, "Public.Name@example.test"),
            ("some+one@hidden.test", "two@outside.test", sink, "some+one@example.test"),
            (BEN, "three@outside.test", second, BEN),
            (ANNA, "four@outside.test", sink, ANNA),
            ("", "five@outside.test", second, ""),
        ):
            with self.subTest(sender):
                with submission(site, ANNA, "password 1") as client:
                    client.sendmail(sender, recipient, message(sender, recipient, f"from {sender}"))
                self.assertEqual(server.wait_for(recipient)[0], seen)
        site.wait_for_message(ARCHIVE, f"from {ANNA}")


class Tool(unittest.TestCase):
    """vmailctl map get, check postfix and log-level."""

    def get(self, *arguments):
        done = site.suite.vmailctl("map", "get", *arguments)
        return done.returncode, done.stdout, done.stderr

    def test_map_get(self):
        self.assertEqual(self.get("aliases", "Team+x@alias.test"), (0, "anna+x@example.test,ben+x@example.test\n", ""))
        self.assertEqual(self.get("aliases", "nobody@example.test"), (1, "", ""))
        self.assertEqual(self.get("vips", ANNA), (0, "first,second\n", ""))
        status, out, err = self.get("recipient-access", "twice@example.test")
        self.assertEqual((status, out), (75, ""))
        self.assertIn("TEMP: the rule has 2 values", err)
        status, out, err = self.get("alias", ANNA)
        self.assertEqual((status, out), (78, ""))
        self.assertIn('PERM: no map "alias"; there are: domains, ', err)
        self.assertEqual(self.get("aliases", LONG)[0], 1)
        self.assertEqual(self.get("aliases", "y" * 120000)[0], 1)

    def test_map_get_as_json(self):
        def get(*arguments):
            return json.loads(site.suite.vmailctl("--json", "map", "get", *arguments).stdout)

        self.assertEqual(get("mailboxes", ANNA), {"map": "mailboxes", "key": ANNA, "result": "OK", "value": "1"})
        self.assertEqual(get("mailboxes", "x@y.test"), {"map": "mailboxes", "key": "x@y.test", "result": "NOTFOUND"})
        self.assertEqual(get("alias", "x")["result"], "PERM")

    def test_log_level(self):
        def lookups(since):
            log = site.suite.maps.process.read_log()
            return [line for line in log[since:].splitlines() if "lookup map=" in line]

        before = len(site.suite.maps.process.read_log())
        ask("aliases", "first@example.test")
        self.assertEqual(lookups(before), [])
        self.assertIn("debug", site.suite.control("log-level", "debug", "--daemon", "maps"))
        ask("domains", "Example.test")
        self.assertRegex(
            "\n".join(lookups(before)), r"map=domains key=Example\.test result=OK source=cache ms=\d+\.\d{3} data=1"
        )
        site.suite.control("log-level", "info", "--daemon", "maps")
        after = len(site.suite.maps.process.read_log())
        ask("domains", "example.test")
        self.assertEqual(lookups(after), [])
        levels = json.loads(site.suite.control("--json", "log-level"))
        self.assertEqual({row["level"] for row in levels}, {"info"})
        self.assertEqual(site.suite.vmailctl("log-level", "loud").returncode, 64)


class OwnTables(unittest.TestCase):
    """What a query of the site's own needs is left to the database user, and nothing else is."""

    def test_grants_stay(self):
        self.assertNotIn("may do more", self.verify())
        site.database.query("GRANT SELECT (password) ON virtual_users TO 'vmailkit-maps'@'localhost'", "mailserver")
        self.assertIn("may do more than it should: SELECT mailserver.virtual_users.password", self.verify())
        site.suite.control("schema", "grants")
        site.suite.hand_over_passwords()
        self.assertNotIn("may do more", self.verify())
        grants = site.database.query("SHOW GRANTS FOR 'vmailkit-maps'@'localhost'")
        self.assertIn("GRANT SELECT ON `mailserver`.`vips`", str(grants))

    def verify(self):
        done = site.suite.vmailctl("schema", "verify")
        return done.stdout + done.stderr


class CheckPostfix(unittest.TestCase):
    """vmailctl check postfix, on the site's own main.cf and on copies that say something else."""

    def check(self, lines="", status=1):
        folder = os.path.join(site.folder.path, "checked")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(site.postfix.config, folder)
        with open(os.path.join(folder, "main.cf"), "a", encoding="utf-8") as file:
            file.write(lines)
        done = subprocess.run(
            [os.path.join(site.suite.bin, "vmailctl"), "--config", site.suite.config, "--json", "check", "postfix"],
            env={**os.environ, "MAIL_CONFIG": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_all_agrees(self):
        report = self.check(status=0)
        self.assertEqual((report["agrees"], report["findings"]), (True, []))
        self.assertEqual(report["maps"], 13)

    def test_what_does_not_agree(self):
        cases = {
            "recipient_delimiter = -": ("critical", 'recipient_delimiter is "-" in main.cf and "+" in'),
            "propagate_unmatched_extensions = canonical": ("warning", "is without virtual"),
            "virtual_transport = virtual": ("critical", "takes no socketmap"),
            "virtual_alias_domains = $virtual_alias_maps": ("warning", "virtual_alias_domains = with nothing"),
            f"virtual_alias_maps = {MAP}alias": ("critical", 'virtual_alias_maps in main.cf: no map "alias"'),
        }
        for line, (level, text) in cases.items():
            with self.subTest(line):
                findings = self.check(line + "\n")["findings"]
                self.assertEqual([finding["level"] for finding in findings], [level], findings)
                self.assertIn(text, findings[0]["text"])

    def test_none_of_ours(self):
        path = pathlib.Path(site.folder.path, "checked/main.cf")
        self.check(status=0)
        text = path.read_text("utf-8").replace("unix:vmailkit/maps:", "unix:elsewhere:")
        self.assertIn("names no map", self.check(text)["findings"][0]["text"])


class Outage(unittest.TestCase):
    """The database goes away for a while."""

    def test_what_was_known_is_served(self):
        for name, key in (("vips", ANNA), ("sender-bcc", ANNA), ("transports", "special@example.test")):
            self.assertIsNotNone(ask(name, key))
        site.database.stop()
        try:
            self.assertEqual(ask("vips", ANNA), "first,second")
            self.assertEqual(ask("sender-bcc", ANNA), ARCHIVE)
            self.assertIsNone(ask("sender-bcc", "never-seen@elsewhere.test"))
            self.assertEqual(ask("transports", "special@example.test"), "error:5.1.2 this one goes nowhere")
            with MapClient(site.postfix) as client:
                self.assertTrue(client.ask(b"vips never-seen@example.test").startswith(b"TEMP "))
        finally:
            site.database.start()
        with MapClient(site.postfix) as client:
            wait_until(lambda: client.ask(b"vips never-seen@example.test") == b"NOTFOUND ", 60, "an answer")


if __name__ == "__main__":
    unittest.main()
