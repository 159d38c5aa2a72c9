"""vmailctl's app passwords, access rules, lock and login test, on a real MariaDB."""

import os
import signal
import subprocess
import unittest

import sql_tests
from sql_tests import Admin, SqlTestCase

LISI, WANG = "lisi@mydomain.com", "wang@mydomain.com"
PASSWORD = r"[a-z2-7]{8}(-[a-z2-7]{4}){4}"


def setUpModule():
    sql_tests.start_server()


def make_program(folder, name, body):
    """A shell script in the place of a program of Dovecot or Postfix."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + body)
    os.chmod(path, 0o755)


class Case(SqlTestCase):
    """Each test has a new database with two users of mydomain.com, and a doveadm that writes down what it is told."""

    def setUp(self):
        super().setUp()
        self.programs = self.folder.make(os.path.basename(self.admin.path) + "/bin")
        self.told = os.path.join(self.programs, "told")
        self.set_doveadm("exit 0")
        before = os.environ["PATH"]
        os.environ["PATH"] = self.programs + ":" + before
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        self.ok("schema", "init")
        self.ok("domain", "add", "mydomain.com")
        for user in (LISI, WANG):
            self.ok("user", "add", user, stdin="123456lisi\n")
        self.doveadm()

    def set_doveadm(self, end):
        make_program(self.programs, "doveadm", f'echo "$@" >> {self.told}\n{end}\n')

    def doveadm(self):
        """What doveadm was told since the last call."""
        try:
            with open(self.told, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []
        finally:
            with open(self.told, "w", encoding="utf-8"):
                pass

    def column(self, name, user=LISI):
        return self.admin.sql(f"SELECT {name} FROM virtual_users WHERE email = '{user}'")[0][0]


class AppPasswords(Case):
    def test_add_list_revoke(self):
        shown = self.ok("app-password", "add", "LiSi@MyDomain.com", "--label", "my phone")
        self.assertRegex(shown, rf"^{PASSWORD}\n  This is the app password 'my phone' of {LISI}; it is not shown again")
        self.assertEqual(self.doveadm(), [f"auth cache flush -- {LISI}"])
        made = self.json(
            "app-password", "add", LISI, "--label", "tablet", "--services", "imap SMTP",
            "--networks", "192.0.2.0/24 2001:DB8::/32", "--expires", "2037-01-31",
        )  # fmt: skip
        self.assertRegex(made["password"], rf"^{made['selector']}(-[a-z2-7]{{4}}){{4}}$")
        self.assertEqual(made["services"], "imap smtp")
        rows = self.admin.sql(
            "SELECT email, selector, label, services, networks, enable, last_used FROM virtual_app_passwords ORDER BY id"
        )
        self.assertEqual(rows[0], [LISI, shown[:8], "my phone", "", "", "1", "0"])
        self.assertEqual(rows[1][2:], ["tablet", "imap smtp", "192.0.2.0/24 2001:db8::/32", "1", "0"])
        # Nothing stored gives it away.
        self.assertNotIn(made["password"][9:], self.admin.dump())

        self.admin.sql("UPDATE virtual_app_passwords SET last_used = 1700000000, last_ip = '192.0.2.7' WHERE id = 2")
        listed = self.json("app-password", "list", LISI)
        self.assertEqual([row["label"] for row in listed], ["my phone", "tablet"])
        self.assertEqual(listed[1]["expires"], "2037-01-31 23:59")
        self.assertEqual(listed[1]["last_ip"], "192.0.2.7")
        self.assertRegex(listed[1]["last_used"], r"^2023-11-1\d \d\d:\d\d$")
        self.assertEqual(self.json("app-password", "list"), listed)
        self.assertEqual(self.json("app-password", "list", WANG), [])
        self.assertIn("my phone", self.ok("app-password", "list", LISI))

        self.ok("app-password", "revoke", LISI, "my phone")
        self.assertIn(f"auth cache flush -- {LISI}", self.doveadm())
        gone = self.json("app-password", "revoke", LISI, made["selector"])
        self.assertEqual(gone, {"address": LISI, "revoked": made["selector"], "label": "tablet"})
        self.assertEqual(self.admin.sql("SELECT 1 FROM virtual_app_passwords"), [])

    def test_doveadm_verifies_the_hash(self):
        """{SSHA256} as Dovecot has it."""
        made = self.json("app-password", "add", LISI, "--label", "x")
        stored = self.admin.sql("SELECT hash FROM virtual_app_passwords")[0][0]
        for password, status in ((made["password"], 0), (made["password"][:-1] + "1", 1)):
            argv = ["/usr/bin/doveadm", "-o", "log_path=/dev/stderr", "pw", "-t", stored, "-p", password]
            done = subprocess.run(argv, capture_output=True, check=False)
            self.assertEqual(min(done.returncode, 1), status, done.stderr)

    def test_refused(self):
        add = ("app-password", "add", LISI, "--label")
        for label in ("", " ", "a\tb", "ä" * 128):
            self.refused(*add, label, because="cannot be a label")
        self.refused(*add, "x", "--services", "imaps", because="'imaps' is no service")
        self.refused(*add, "x", "--networks", "192.0.2.0/33", because="192.0.2.0/33")
        self.refused(*add, "x", "--expires", "tomorrow", because="'tomorrow' is no date")
        self.refused("app-password", "add", LISI, because="--label is required", status=64)
        self.refused("app-password", "add", "nobody@mydomain.com", "--label", "x", because="there is no user nobody@")
        self.refused("app-password", "list", "nobody@mydomain.com", because="there is no user nobody@")
        self.refused("app-password", "revoke", LISI, "x", because=f"{LISI} has no app password 'x'")
        self.ok(*add, "x")
        self.refused(*add, "x", because="has an app password 'x' already")
        self.refused("app-password", "revoke", WANG, "x", because=f"{WANG} has no app password 'x'")
        rows = ", ".join(f"('{LISI}', '{i:08}', '{i}', 'h')" for i in range(99))
        self.admin.sql(f"INSERT INTO virtual_app_passwords (email, selector, label, hash) VALUES {rows}")
        self.refused(*add, "y", because="has 100 app passwords")

    def test_they_go_with_the_user(self):
        for user in (LISI, WANG):
            self.ok("app-password", "add", user, "--label", "x")
        self.ok("user", "remove", LISI, "--mail", "keep")
        self.assertEqual(self.admin.sql("SELECT email FROM virtual_app_passwords"), [[WANG]])
        self.ok("domain", "remove", "mydomain.com", "--with-users", "--mail", "keep")
        self.assertEqual(self.admin.sql("SELECT email FROM virtual_app_passwords"), [])

    def test_a_new_owner_of_an_address_has_none_of_the_former(self):
        self.ok("app-password", "add", LISI, "--label", "x")
        self.admin.sql(f"DELETE FROM virtual_users WHERE email = '{LISI}'")
        self.ok("user", "add", LISI, stdin="123456lisi\n")
        self.assertEqual(self.json("app-password", "list", LISI), [])

    def test_an_older_schema(self):
        self.admin = Admin(self.folder)
        self.admin.make_original()
        self.refused("app-password", "add", LISI, "--label", "x", because="older schema")
        self.refused("user", "access", LISI, because="older schema")
        self.refused("domain", "access", "mydomain.com", because="older schema")


class Access(Case):
    def test_of_a_user(self):
        free = {
            "address": LISI,
            "services": [],
            "networks": [],
            "not_before": None,
            "not_after": None,
            "app_passwords_only": False,
            "app_passwords_only_in_domain": False,
        }
        self.assertEqual(self.json("user", "access", LISI), free)
        self.assertEqual(self.doveadm(), [])
        shown = self.json(
            "user", "access", LISI, "--services", "imap, smtp", "--networks", "192.0.2.0/24 ::1",
            "--not-before", "2027-01-31 18:00", "--not-after", "2027-12-31", "--app-passwords-only", "yes",
        )  # fmt: skip
        self.assertEqual(shown["services"], ["imap", "smtp"])
        self.assertEqual(shown["networks"], ["192.0.2.0/24", "::1"])
        self.assertEqual((shown["not_before"], shown["not_after"]), ("2027-01-31 18:00", "2027-12-31 23:59"))
        self.assertTrue(shown["app_passwords_only"])
        self.assertEqual(self.column("services"), "imap smtp")
        self.assertEqual(self.doveadm(), [f"auth cache flush -- {LISI}"])
        self.assertIn("Not after:", self.ok("user", "access", LISI))

        # What is not named stays.
        self.ok("user", "access", LISI, "--services", "all")
        self.assertEqual([self.column(name) for name in ("services", "networks")], ["", "192.0.2.0/24 ::1"])
        self.ok(
            "user", "access", LISI, "--networks", "all", "--not-before", "never", "--not-after", "never",
            "--app-passwords-only", "no",
        )  # fmt: skip
        self.assertEqual(self.json("user", "access", LISI), free)
        self.assertEqual(self.json("user", "access", WANG), {**free, "address": WANG})

    def test_of_a_domain(self):
        self.assertEqual(
            self.json("domain", "access", "MyDomain.com"), {"name": "mydomain.com", "app_passwords_only": False}
        )
        self.assertTrue(
            self.json("domain", "access", "mydomain.com", "--app-passwords-only", "yes")["app_passwords_only"]
        )
        self.assertEqual(self.doveadm(), ["auth cache flush --"])
        self.assertTrue(self.json("user", "access", LISI)["app_passwords_only_in_domain"])
        self.ok("domain", "access", "mydomain.com", "--app-passwords-only", "no")
        self.assertFalse(self.json("user", "access", LISI)["app_passwords_only_in_domain"])

    def test_refused(self):
        user = ("user", "access", LISI)
        self.refused(*user, "--services", "smtps", because="'smtps' is no service")
        self.refused(*user, "--networks", "here", because='"here" is not a network')
        self.refused(*user, "--not-after", "2027-02-30", because="'2027-02-30' is no date")
        self.refused(*user, "--app-passwords-only", "perhaps", because="perhaps", status=64)
        self.refused("user", "access", "nobody@mydomain.com", because="there is no user nobody@")
        self.refused("domain", "access", "nowhere.test", because="there is no domain nowhere.test")


class Passwords(Case):
    def test_dovecot_forgets_what_has_changed(self):
        for command in (("passwd",), ("disable",), ("enable",), ("remove", "--mail", "keep")):
            self.ok("user", command[0], LISI, *command[1:], stdin="better password\n")
            self.assertIn(f"auth cache flush -- {LISI}", self.doveadm(), command)
        for command in ("disable", "enable"):
            self.ok("domain", command, "mydomain.com")
            self.assertEqual(self.doveadm(), ["auth cache flush --"])

    def test_a_dovecot_that_cannot_be_told_is_worth_a_note(self):
        # As doveadm 2.3 says that nobody is there; it ends with 0 then.
        absent = 'echo "Error: auth-master: connect(/run/dovecot/auth-master) failed: No such file or directory" >&2'
        self.set_doveadm(absent)
        done = self.admin.run("user", "passwd", LISI, stdin="better password\n")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.set_doveadm('echo "Error: auth-master: Permission denied" >&2')
        done = self.admin.run("user", "passwd", LISI, stdin="better password\n")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"Dovecot's cache of logins was not told", done.stderr)


class Lock(Case):
    """Without daemons; tests/system/test_stolen.py has the whole."""

    def test_lock_and_unlock_in_the_database(self):
        shown = self.json("user", "lock", "Lisi@MyDomain.com")
        self.assertEqual((shown["address"], shown["locked"], shown["database"]), (LISI, True, "no-login"))
        self.assertEqual(shown["sessions"], "ended")
        self.assertEqual(self.states(), [[LISI, "no-login"]])
        self.assertEqual(self.column("enable"), "1")
        self.assertEqual(self.doveadm(), [f"auth cache flush -- {LISI}", f"kick -- {LISI}"])
        self.assertIn("database: the user is without login; new mail is stored", self.ok("user", "lock", LISI))
        self.assertIn("database: the user may log in", self.ok("user", "unlock", LISI))
        self.assertEqual(self.states(), [])

    def test_a_lock_keeps_what_else_holds(self):
        self.ok("user", "state", "@mydomain.com", "hold")
        self.ok("user", "lock", LISI)
        self.assertEqual(self.states(), [["@mydomain.com", "hold"], [LISI, "hold"], [LISI, "no-login"]])
        self.ok("user", "unlock", LISI)
        self.assertEqual(self.json("user", "state", LISI)["states"], ["hold"])
        self.ok("user", "state", "@mydomain.com", "no-login")
        self.ok("user", "state", LISI, "off")
        done = self.admin.run("user", "unlock", LISI)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"its domain has no login: vmailctl user state lisi@mydomain.com on", done.stderr)

    def states(self):
        return self.admin.sql("SELECT name, value FROM virtual_rules WHERE kind = 'state' ORDER BY name, value")

    def test_what_fails_is_said_and_keeps_nothing_from_being_done(self):
        self.set_doveadm('echo "Fatal: no such command" >&2; exit 64')
        done = self.admin.run("user", "lock", LISI)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"doveadm kick: Fatal: no such command", done.stderr)
        self.assertEqual(self.states(), [[LISI, "no-login"]])
        self.set_doveadm("exit 0")
        done = self.admin.run("user", "lock", "nobody@mydomain.com")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"there is no user nobody@mydomain.com", done.stderr)
        self.refused("user", "lock", "nobody", because="is not a mail address")

    def test_a_frozen_database_holds_up_nothing(self):
        process = sql_tests.server.process
        process.signal(signal.SIGSTOP)
        try:
            done = self.admin.run("user", "lock", LISI)
        finally:
            process.signal(signal.SIGCONT)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"run this again when it can be reached", done.stderr)
        self.assertIn(f"kick -- {LISI}", self.doveadm())
        self.assertEqual(self.states(), [])


class State(Case):
    def state(self, name=LISI):
        shown = self.json("user", "state", name)
        return shown["state"], shown["enabled"]

    def test_states(self):
        self.assertEqual(self.state(), ("on", True))
        for state in ("no-login", "no-mail", "hold"):
            self.assertIn(f"User {LISI} is {state}.", self.ok("user", "state", LISI, state))
            self.assertEqual(self.state(), (state, True))
        self.ok("user", "state", LISI, "off")
        self.assertEqual((self.state(), self.column("enable")), (("off", False), "0"))
        self.ok("user", "state", LISI, "on")
        self.assertEqual((self.state(), self.column("enable")), (("on", True), "1"))
        self.assertEqual(self.admin.sql("SELECT * FROM virtual_rules"), [])
        self.assertIn(f"auth cache flush -- {LISI}", self.doveadm())

    def test_of_a_domain(self):
        self.ok("user", "state", "@MyDomain.com", "no-mail")
        self.assertEqual((self.state("@mydomain.com"), self.state()), (("no-mail", True),) * 2)
        self.ok("user", "state", LISI, "on")
        self.assertEqual((self.state(), self.state(WANG)), (("on", True), ("no-mail", True)))
        self.ok("user", "state", "@mydomain.com", "on")
        self.assertEqual(self.state(WANG), ("on", True))

    def test_refused(self):
        self.refused("user", "state", "nobody@mydomain.com", because="there is no user nobody@mydomain.com")
        self.refused("user", "state", "@nowhere.test", because="there is no domain nowhere.test")
        self.refused("user", "state", LISI, "asleep", because="asleep", status=64)
        hint = self.refused("user", "state", "@mydomain.com", "off", because="is switched off as a whole")
        self.assertIn("vmailctl domain disable mydomain.com", hint)

    def test_it_goes_with_the_user(self):
        self.ok("user", "state", LISI, "hold")
        self.ok("user", "remove", LISI, "--mail", "keep")
        self.assertEqual(self.admin.sql("SELECT * FROM virtual_rules"), [])


class AuthTest(Case):
    def test_without_a_daemon(self):
        self.refused("auth", "test", LISI, stdin="x\n", because="vmail-authd", status=1)
        self.refused("auth", "test", LISI, "--from", "300.1.1.1", because="'300.1.1.1' is no IP address")


if __name__ == "__main__":
    unittest.main()
