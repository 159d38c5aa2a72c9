"""The policy server behind a real Postfix: who may send as whom, how much, and to which mailbox."""

import os
import re
import smtplib
import socket
import unittest

from private_server import Site, wait_until
from private_server.suite import MAIL_UID, MAPS_UID, Daemon
from site_tests import BUILD, ROOT, message, rcpt, send, smtp, submission

ANNA, BEN, CARL, DORA, SAM, THIEF = (
    f"{name}@example.test" for name in ("anna", "ben", "carl", "dora", "sam", "thief")
)
PASSWORD = "correct horse"
LIMIT, HELD = 1000, 3

site = None


def setUpModule():
    global site
    site = Site(
        BUILD,
        settings={
            "policy": {
                "limits": [f"recipients {LIMIT}/1d"],
                "hold_messages": HELD,
                "notify": ["postmaster@example.test"],
                "notify_user": True,
            }
        },
        postfix_settings=(ROOT / "packaging/postfix/policy.cf").read_text(encoding="utf-8"),
        default_transport="discard:",
    )
    with open(site.suite.config, encoding="utf-8") as file:
        text = file.read()
    with open(site.suite.config, "w", encoding="utf-8") as file:
        file.write(text.replace("[policy]\n", f'[policy]\nnotify_smtp = "127.0.0.1:{site.postfix.smtp_port}"\n'))
    service = f"127.0.0.1:{site.postfix.submission_port}/inet"
    for name in ("recipient", "end_of_data"):
        setting = f"{service}/smtpd_{name}_restrictions=$submission_{name}_restrictions"
        done = site.postfix.command("postconf", "-P", setting)
        assert done.returncode == 0, done.stderr
    unittest.enterModuleContext(site)
    for domain in ("example.test", "other.test"):
        site.suite.control("domain", "add", domain)
    for address in (ANNA, BEN, CARL, DORA, SAM, THIEF, "postmaster@example.test"):
        site.add_user(address, PASSWORD)
    site.suite.control("alias", "add", "team@example.test", ANNA, BEN)
    site.suite.control("alias", "add", "office@example.test", "team@example.test")
    site.suite.control("alias", "add", "@other.test", CARL)
    sql("INSERT INTO virtual_alias_domains (name, target) VALUES ('alias.test', 'example.test')")
    rule("send-as", DORA, "news@far-away.test")
    rule("send-as", DORA, "@partner.test")
    rule("transport", "stuck.test", "smtp:[127.0.0.1]:1")


def sql(statement):
    return site.database.query(statement, "mailserver")


def rule(kind, name, value):
    sql(f"INSERT INTO virtual_rules (kind, name, value) VALUES ('{kind}', '{name}', '{value}')")


def policy(path, **attributes):
    """The action that the policy server at that socket answers with."""
    text = "request=smtpd_access_policy\n" + "".join(f"{key}={value}\n" for key, value in attributes.items()) + "\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(path)
        client.sendall(text.encode())
        reply = b""
        while not reply.endswith(b"\n\n"):
            more = client.recv(4096)
            if not more:
                break
            reply += more
    return reply.decode().strip().removeprefix("action=")


def held():
    return [line.split("!")[0] for line in site.postfix.queued().splitlines() if re.match(r"^[0-9A-Za-z]+! ", line)]


class Senders(unittest.TestCase):
    def answer(self, login, sender, recipient="someone@far-away.test"):
        with submission(site, login, PASSWORD) as client:
            code, text = client.mail(sender)
            if code == 250:
                code, text = client.rcpt(recipient)
            return code, text.decode()

    def check(self, login, sender, own):
        with self.subTest(login=login, sender=sender):
            if own:  # what was just entered is known within two seconds
                wait_until(lambda: self.answer(login, sender)[0] == 250, 10, f"{login} to be let send as {sender}")
            else:
                code, text = self.answer(login, sender)
                self.assertEqual(code, 553, text)
                self.assertIn(f"<{sender}>: Sender address rejected: not owned by user {login}", text)

    def test_own_addresses(self):
        for login, sender in (
            (ANNA, ANNA),
            (ANNA, "Anna+lists@Example.TEST"),
            (ANNA, "team@example.test"),
            (BEN, "office@example.test"),  # an alias behind an alias
            (ANNA, "anna@alias.test"),
            (BEN, "team@alias.test"),
            (CARL, "whatever@other.test"),
            (DORA, "news@far-away.test"),
            (DORA, "anybody@partner.test"),
            (ANNA, ""),
        ):
            self.check(login, sender, True)

    def test_addresses_of_others(self):
        for login, sender in (
            (ANNA, BEN),
            (CARL, "team@example.test"),
            (CARL, "anna@alias.test"),
            (ANNA, "whatever@other.test"),
            (ANNA, "news@far-away.test"),
            (DORA, "other@far-away.test"),
            (ANNA, "anybody@partner.test"),
            (ANNA, "nobody@example.test"),
        ):
            self.check(login, sender, False)

    def test_outside_is_not_asked_for_it(self):
        """Forwarders send under our addresses too."""
        self.assertEqual(rcpt(site, BEN, sender=ANNA)[0], 250)

    def test_a_login_that_is_switched_off_stops_in_its_session(self):
        site.add_user("gone@example.test", PASSWORD)
        with submission(site, "gone@example.test", PASSWORD) as client:
            client.sendmail("gone@example.test", ANNA, message("gone@example.test", ANNA, "the first"))
            site.suite.control("user", "disable", "gone@example.test")

            def refused():
                try:
                    code = client.mail("gone@example.test")[0]
                    code = client.rcpt(ANNA)[0] if code == 250 else code
                    client.rset()
                    return code == 521
                except smtplib.SMTPServerDisconnected:
                    return True

            wait_until(refused, 10, "the session to be ended")
        self.assertIn("result=login-off", site.suite.maps.process.read_log())


class Room(unittest.TestCase):
    """Quotas of 10 KB; ben's mailbox is full."""

    @classmethod
    def setUpClass(cls):
        for name, used in (("full", 20000), ("free", 5000)):
            address = f"{name}@example.test"
            site.add_user(address, PASSWORD)
            path = site.maildir(address)
            os.makedirs(path)
            with open(os.path.join(path, "maildirsize"), "w", encoding="ascii") as file:
                file.write(f"10240S\n{used} 1\n")
            for made in (os.path.dirname(path), path, os.path.join(path, "maildirsize")):
                os.chown(made, MAIL_UID, MAIL_UID)
            rule("quota", address, "10K")
        site.suite.control("alias", "add", "only-full@example.test", "full@example.test")
        site.suite.control("alias", "add", "mixed@example.test", "full@example.test", "free@example.test")
        wait_until(lambda: rcpt(site, "full@example.test")[0] == 452, 15, "the quota to be known")

    def test_directly_and_through_aliases(self):
        for recipient, code in (
            ("full@example.test", 452),
            ("full+x@alias.test", 452),
            ("only-full@example.test", 452),
            ("mixed@example.test", 250),
            ("free@example.test", 250),
        ):
            with self.subTest(recipient):
                answer = rcpt(site, recipient)
                self.assertEqual(answer[0], code, answer)
                if code == 452:
                    self.assertIn("4.2.2", answer[1])

    def test_with_the_size_of_the_message(self):
        # Up to 16 KiB more, while it is not full: so that a warning about it has room.
        for size, code in ((20000, 250), (22000, 452)):
            with self.subTest(size), smtp(site) as client:
                self.assertEqual(client.mail("somebody@elsewhere.test", [f"SIZE={size}"])[0], 250)
                self.assertEqual(client.rcpt("free@example.test")[0], code)


class Limits(unittest.TestCase):
    def test_a_stolen_account(self):
        """10,000 recipients: the limit passes, a few messages are held, the rest is rejected."""
        codes = []
        for session in range(10):  # Postfix ends a session after 20 errors
            with submission(site, THIEF, PASSWORD) as client:
                for number in range(10):
                    self.assertEqual(client.mail(THIEF)[0], 250)
                    for i in range(100):
                        recipient = f"victim{(session * 10 + number) * 100 + i}@far-away.test"
                        self.assertEqual(client.rcpt(recipient)[0], 250)
                    codes.append(client.data(message(THIEF, "many", "spam"))[0])
                    client.rset()  # what was refused at its end is still there
        passed = LIMIT // 100
        self.assertEqual(codes, [250] * (passed + HELD) + [550] * (100 - passed - HELD))
        self.assertEqual(len(held()), HELD)

        # Both are told, once.
        for address in ("postmaster@example.test", THIEF):
            mail = site.wait_for_message(address, "A login has reached its sending limit")
            self.assertIn(f'"recipients {LIMIT}/1d"', mail.get_payload())
            self.assertEqual(len(site.messages(address)), 1)

        # Somebody else's message that an administrator holds stays when the thief's are let go.
        spam = held()
        hold_by_hand(SAM)
        self.assertEqual(len(held()), HELD + 1)
        shown = site.suite.control("limits", "show", THIEF)
        self.assertRegex(shown, rf"{THIEF}\s+recipients\s+1d\s+{LIMIT}\s+{LIMIT}")
        for queue_id in spam:
            self.assertIn(queue_id, shown)
        self.postsuper("limits", "release", THIEF)
        self.assertEqual(len(held()), 1)
        self.assertNotIn(held()[0], spam)
        self.assertNotIn("HELD ON", site.suite.control("limits", "show", THIEF))

        # Nothing passes until the counters begin anew, or the limit is another.
        with submission(site, THIEF, PASSWORD) as client:
            self.assertRaises(smtplib.SMTPDataError, client.sendmail, THIEF, "x@far-away.test", "Subject: x\n\n")
        site.suite.control("limits", "reset", THIEF)
        with submission(site, THIEF, PASSWORD) as client:
            client.sendmail(THIEF, "x@far-away.test", "Subject: x\n\n")

    def test_discard_touches_nobody_else(self):
        for login in (ANNA, BEN):
            site.suite.control("limits", "set", login, "recipients 0/1d")
        annas, bens = send_until_held(ANNA), send_until_held(BEN)
        for queue_id in (*annas, *bens):
            wait_until(lambda: queue_id in site.suite.control("limits", "show"), 10, "a held message to be recorded")
        self.postsuper("limits", "discard", ANNA)
        self.assertEqual(set(held()) & (annas | bens), bens)
        self.postsuper("limits", "discard", BEN)
        self.assertEqual(set(held()) & bens, set())
        for login in (ANNA, BEN):
            site.suite.control("limits", "set", login)
            site.suite.control("limits", "reset", login)

    def test_two_hosts_share_a_limit_and_a_crash_loses_a_second_at_most(self):
        site.add_user("shared@example.test", PASSWORD)
        other = self.second_daemon()
        paths = [os.path.join(site.suite.queue, "policy"), other.path]
        through = []

        def passes(path, count=10):
            action = policy(
                path,
                protocol_state="END-OF-MESSAGE",
                instance="1.x.0",
                queue_id="",
                sender="shared@example.test",
                sasl_username="shared@example.test",
                recipient_count=count,
                size=1000,
            )
            if action == "DUNNO":
                through.append(count)
            return action == "DUNNO"

        for i in range(300):
            passes(paths[i // 3 % 2])
        self.assertGreaterEqual(sum(through), LIMIT - 10)
        self.assertLessEqual(sum(through), LIMIT * 1.05)

        def written():
            return int(sql("SELECT COALESCE(SUM(amount), 0) FROM vmailkit_usage WHERE subject = 'shared@example.test' "
                           "AND measure = 'recipients'")[0][0]) == sum(through)

        wait_until(written, 10, "the counters to be written")
        for daemon in (site.suite.maps, other):
            daemon.kill()
            daemon.start()
        for path in paths:
            self.assertFalse(passes(path, 20), "the limit was forgotten")
        other.close()

    def second_daemon(self):
        """Another vmail-mapd on the same database, as on another host."""
        suite = site.suite
        with open(suite.config, encoding="utf-8") as file:
            text = file.read()
        config = os.path.join(suite.etc, "second.toml")
        control = os.path.join(suite.run, "maps/second-control")
        state = site.folder.make("vmailkit/state/second", 0o700, (MAPS_UID, MAPS_UID))
        with open(config, "w", encoding="utf-8") as file:
            file.write(text.replace(os.path.join(suite.run, "maps/control"), control)
                       .replace(suite.state_folder("maps"), state))
        program = os.path.join(suite.bin, "vmail-mapd")
        daemon = Daemon("maps", program, MAPS_UID, [MAPS_UID], config, os.path.join(suite.path, "second.log"))
        daemon.path = os.path.join(suite.path, "second-policy")
        daemon.listen("policy", daemon.path, (0, 0), 0o600)
        daemon.listen("maps", os.path.join(suite.path, "second-maps"), (0, 0), 0o600)
        daemon.start()
        self.addCleanup(daemon.close)
        return daemon

    def postsuper(self, *arguments):
        os.environ["MAIL_CONFIG"] = site.postfix.config
        try:
            return site.suite.control(*arguments)
        finally:
            del os.environ["MAIL_CONFIG"]


def send_one(login, subject, recipient="far@far-away.test"):
    with submission(site, login, PASSWORD) as client:
        client.sendmail(login, recipient, message(login, recipient, subject))


def send_until_held(login):
    """What has just been set is known within two seconds: until then messages pass."""
    before = set(held())

    def is_held():
        send_one(login, "held")
        return set(held()) - before

    return wait_until(is_held, 15, f"a message of {login} to be held", poll=0.3)


def hold_by_hand(login):
    """As an administrator does, with a message that waits for another try."""
    before = set(held())
    send_one(login, "held by hand", "far@stuck.test")

    def is_held():
        for queue_id in re.findall(r"^([0-9A-Za-z]+)[* ] ", site.postfix.queued(), re.MULTILINE):
            site.postfix.command("postsuper", "-h", queue_id)
        return set(held()) - before

    wait_until(is_held, 30, "a message to be held by hand", poll=0.2)


class Away(unittest.TestCase):
    def test_without_the_policy_server_mail_flows(self):
        """By default_action: Postfix's own default would be 451 for everybody."""
        path = os.path.join(site.suite.queue, "policy")
        os.rename(path, path + ".away")
        try:
            site.postfix.reload()
            send(site, [SAM], "without policy")
            site.wait_for_message(SAM, "without policy")
            with submission(site, SAM, PASSWORD) as client:
                client.sendmail(SAM, ANNA, message(SAM, ANNA, "without policy, with a login"))
            site.wait_for_message(ANNA, "without policy, with a login")
        finally:
            os.rename(path + ".away", path)


if __name__ == "__main__":
    unittest.main()
