"""vmailctl domain, user and alias, on a real MariaDB and a real folder of mail."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time
import unittest
import warnings

import sql_tests
from private_server import MariaDB
from sql_tests import Admin, SqlTestCase

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

LISI, ZHANG, ALL = "lisi@mydomain.com", "zhangsan@mydomain.com", "all@mydomain.com"


def setUpModule():
    sql_tests.start_server()


class Case(SqlTestCase):
    """Each test has a new database with the domain mydomain.com."""

    def setUp(self):
        super().setUp()
        self.ok("schema", "init")
        self.ok("domain", "add", "mydomain.com")

    def add_users(self, *addresses):
        for address in addresses:
            self.ok("user", "add", address, stdin="123456lisi\n")

    def make_mail(self, address, text="a message"):
        """A Maildir with one message in it, and a Sieve script beside; returns its folder."""
        local, domain = address.split("@")
        folder = pathlib.Path(self.admin.mail, domain, local)
        for part in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp", "sieve"):
            (folder / part).mkdir(parents=True)
        (folder / "new/1.M1P1.host,S=9:2,").write_text(text)
        (folder / "sieve/a.sieve").write_text("keep;")
        (folder / ".dovecot.sieve").symlink_to("sieve/a.sieve")
        return folder

    def hash_of(self, address):
        return self.admin.sql(f"SELECT password FROM virtual_users WHERE email = '{address}'")[0][0]

    def assert_password(self, address, password):
        stored = self.hash_of(address)
        self.assertEqual(crypt.crypt(password, stored), stored)


class Domains(Case):
    def test_add_list_show_disable_enable_remove(self):
        self.assertEqual(self.ok("domain", "add", "Other.Example"), "Added domain other.example.\n")
        self.assertEqual(
            self.ok("domain", "list"),
            "DOMAIN         KIND  ENABLED  USERS  ALIASES  TARGET\n"
            "mydomain.com   own   yes      0      0        -\n"
            "other.example  own   yes      0      0        -\n",
        )
        self.add_users(LISI)
        self.ok("alias", "add", "@mydomain.com", LISI)
        self.assertEqual(
            self.json("domain", "list")[0],
            {"name": "mydomain.com", "kind": "own", "enabled": True, "users": 1, "aliases": 1},
        )
        self.assertIn("Catch-all to:  lisi@mydomain.com\n", self.ok("domain", "show", "MYDOMAIN.com"))
        self.assertEqual(self.json("domain", "show", "mydomain.com")["catch_all"], [LISI])

        self.assertEqual(self.json("domain", "disable", "other.example"), {"name": "other.example", "enabled": False})
        self.assertEqual(self.admin.sql("SELECT enable FROM virtual_domains WHERE name = 'other.example'"), [["0"]])
        self.ok("domain", "disable", "other.example")
        self.assertFalse(self.json("domain", "show", "other.example")["enabled"])
        self.ok("domain", "enable", "other.example")
        self.assertTrue(self.json("domain", "show", "other.example")["enabled"])
        self.ok("domain", "remove", "other.example")
        self.assertEqual([row["name"] for row in self.json("domain", "list")], ["mydomain.com"])

    def test_names_that_are_taken_or_cannot_be(self):
        self.admin.sql("INSERT INTO virtual_alias_domains VALUES ('alias.test', 'mydomain.com', 1)")
        self.admin.sql("INSERT INTO virtual_relay_domains VALUES ('relay.test', 1)")
        for name in ("mydomain.com", "MyDomain.Com", "alias.test", "relay.test"):
            self.refused("domain", "add", name, because="is there already")
        long_label = "a" * 64 + ".com"
        for name in ("", "mydomain", "my domain.com", "mydomain..com", "lisi@mydomain.com", "a-.com", long_label):
            self.refused("domain", "add", name, because="cannot be a mail domain")
        for command in ("show", "remove", "enable", "disable"):
            self.refused("domain", command, "nowhere.test", because="there is no domain nowhere.test")
        for command in ("remove", "enable", "disable"):
            self.refused("domain", command, "alias.test", because="is an alias domain")
            self.refused("domain", command, "relay.test", because="is a relay domain")
        kinds = {row["name"]: row["kind"] for row in self.json("domain", "list")}
        self.assertEqual(kinds, {"mydomain.com": "own", "alias.test": "alias", "relay.test": "relay"})
        self.assertEqual(self.json("domain", "show", "alias.test")["target"], "mydomain.com")
        self.assertIn("alias.test", self.ok("domain", "show", "mydomain.com"))
        self.refused("domain", "remove", "mydomain.com", because="is the target of the alias domain alias.test")

    def test_remove_with_users(self):
        self.add_users(LISI, ZHANG)
        self.ok("alias", "add", ALL, LISI, ZHANG)
        mail = self.make_mail(LISI)
        self.refused("domain", "remove", "mydomain.com", because="still has 2 users and 2 aliases")
        remove = ("domain", "remove", "mydomain.com", "--with-users")
        self.refused(*remove, because="say what becomes of the mail of the 2 users")
        self.assertEqual(len(self.json("user", "list")), 2)
        self.assertTrue(all(user["enabled"] for user in self.json("user", "list")))

        self.ok("domain", "add", "other.example")
        self.ok("alias", "add", "info@other.example", LISI)
        self.refused(
            *remove, "--mail", "keep", because="aliases still lead there: info@other.example"
        )
        self.ok("alias", "remove", "info@other.example")

        result = self.json("domain", "remove", "mydomain.com", "--with-users", "--mail", "archive")
        self.assertEqual([user["mail"] for user in result["users"]], ["archive", "none"])
        self.assertFalse(mail.exists())
        self.assertTrue(os.path.exists(os.path.join(result["users"][0]["path"], "new/1.M1P1.host,S=9:2,")))
        self.assertEqual(self.json("user", "list") + self.json("alias", "list"), [])

    def test_remove_of_odd_rows(self):
        self.admin.sql(
            "INSERT INTO virtual_users (domain_id, password, email) SELECT id, 'x', '../../etc' FROM virtual_domains"
        )
        result = self.json("domain", "remove", "mydomain.com", "--with-users", "--mail", "purge")
        self.assertEqual(result["users"], [{"address": "../../etc", "mail": "none"}])


class Internationalised(Case):
    """A domain is one domain, however its name is written."""

    U, A = "bücher.example", "xn--bcher-kva.example"

    def test_both_spellings_are_one(self):
        self.ok("domain", "add", "Bücher.example")
        self.assertEqual([row["name"] for row in self.json("domain", "list")], [self.U, "mydomain.com"])
        self.refused("domain", "add", self.A, because="is there already")
        told = self.ok("user", "add", f"anna@{self.A}", stdin="x\n")
        self.assertEqual(told, f"Added user anna@{self.U}; its mail goes to {self.admin.mail}/{self.U}/anna.\n")
        self.refused("user", "add", f"anna@{self.U}", stdin="x\n", because="is there already")
        for domain in (self.A, self.U):
            self.assertEqual(self.json("user", "show", f"anna@{domain}")["address"], f"anna@{self.U}")
            self.assertEqual(len(self.json("user", "list", domain)), 1)
        self.ok("alias", "add", f"info@{self.A}", f"anna@{self.U}")
        self.refused("alias", "add", f"info@{self.U}", f"anna@{self.A}", because="already")
        self.refused("alias", "add", f"x@{self.U}", f"nobody@{self.A}", because="leads nowhere")
        self.refused("user", "remove", f"anna@{self.U}", "--mail", "keep", because="aliases still lead there")
        self.ok("alias", "remove", f"info@{self.U}", f"anna@{self.U}")
        mail = self.make_mail(f"anna@{self.U}")
        self.ok("user", "remove", f"anna@{self.A}", "--mail", "keep")
        self.refused("user", "add", f"anna@{self.A}", stdin="x\n", because="mail of a former owner")
        self.ok("user", "remove", f"anna@{self.A}", "--mail", "purge")
        self.assertFalse(mail.exists())
        self.ok("domain", "remove", self.A)

    def test_the_other_spelling_in_the_rows(self):
        self.ok("domain", "add", self.A)
        self.ok("user", "add", f"anna@{self.U}", stdin="x\n")
        self.assertEqual(self.json("user", "show", f"anna@{self.U}")["address"], f"anna@{self.A}")
        self.refused("domain", "add", self.U, because="is there already")


class Users(Case):
    def test_add_list_show_disable_enable(self):
        told = self.ok("user", "add", "LiSi@MyDomain.com", stdin="123456lisi\n")
        self.assertEqual(told, f"Added user {LISI}; its mail goes to {self.admin.mail}/mydomain.com/lisi.\n")
        self.assertEqual(self.ok("user", "list"), "USER               ENABLED\nlisi@mydomain.com  yes\n")
        self.assertEqual(
            self.json("user", "list", "mydomain.com"), [{"address": LISI, "domain": "mydomain.com", "enabled": True}]
        )
        self.ok("alias", "add", ALL, LISI)
        self.assertEqual(
            self.json("user", "show", "LISI@mydomain.com"),
            {
                "address": LISI,
                "domain": "mydomain.com",
                "enabled": True,
                "path": f"{self.admin.mail}/mydomain.com/lisi",
                "aliases": [ALL],
            },
        )
        self.assertIn("Aliases: all@mydomain.com", self.ok("user", "show", LISI))
        self.assertEqual(self.json("user", "disable", LISI), {"address": LISI, "enabled": False})
        self.assertEqual(self.admin.sql("SELECT enable FROM virtual_users"), [["0"]])
        self.ok("user", "enable", LISI)
        self.assertEqual(self.admin.sql("SELECT enable FROM virtual_users"), [["1"]])
        self.assertEqual(self.ok("user", "list", "mydomain.com").count("\n"), 2)

    def test_hashes(self):
        self.ok("user", "add", LISI, stdin="123456lisi\n")
        self.ok("user", "add", ZHANG, stdin="123456lisi\nanother line\n")
        hashes = [self.hash_of(LISI), self.hash_of(ZHANG)]
        for stored in hashes:
            self.assertRegex(stored, r"^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$")
        self.assertNotEqual(*hashes)
        self.assert_password(LISI, "123456lisi")
        self.assert_password(ZHANG, "123456lisi")

    def test_rounds_are_configurable(self):
        self.admin = Admin(self.folder, {"passwords": {"rounds": 20000}})
        self.ok("schema", "init")
        self.ok("domain", "add", "mydomain.com")
        self.add_users(LISI)
        self.assertRegex(self.hash_of(LISI), r"^\$6\$rounds=20000\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$")
        self.assert_password(LISI, "123456lisi")

    def test_passwd(self):
        self.add_users(LISI)
        before = self.hash_of(LISI)
        self.assertEqual(self.ok("user", "passwd", LISI, stdin="pass wörd 2"), f"The password of {LISI} is changed.\n")
        self.assertNotEqual(self.hash_of(LISI), before)
        self.assert_password(LISI, "pass wörd 2")
        self.assertEqual(self.json("user", "passwd", LISI, stdin="3\n"), {"address": LISI, "password": "changed"})

    def test_passwords_that_cannot_be(self):
        self.add_users(LISI)
        before = self.hash_of(LISI)
        for stdin, because in (
            ("", "no password was given"),
            ("\n", "it is empty"),
            ("\nsecond line\n", "it is empty"),
            ("secret\r\n", "control character"),
            ("x" * 257 + "\n", "longer than passwords.max_length"),
            ("x" * 5000 + "\n", "longer than 4096"),
        ):
            self.refused("user", "passwd", LISI, stdin=stdin, because=because)
            self.refused("user", "add", ZHANG, stdin=stdin, because=because)
        self.assertEqual(self.hash_of(LISI), before)
        self.assertEqual(len(self.json("user", "list")), 1)
        # Never an argument.
        self.refused("user", "passwd", LISI, "secret", because="", status=64)

    def test_password_at_a_terminal(self):
        answers = [(f"password of {LISI}: ", "geheim 1"), ("again: ", "geheim 1")]
        shown = self.at_terminal("user", "add", LISI, answers=answers)
        self.assertIn("Added user", shown)
        self.assertNotIn("geheim", shown)
        self.assert_password(LISI, "geheim 1")
        answers = [(": ", "geheim 2"), ("again: ", "geheim 3")]
        shown = self.at_terminal("user", "passwd", LISI, answers=answers, status=1)
        self.assertIn("not the same", shown)
        self.assertNotIn("geheim", shown)
        self.assert_password(LISI, "geheim 1")

    def test_the_terminal_echoes_again_after_ctrl_c(self):
        self.add_users(LISI)
        before = self.hash_of(LISI)
        script = 'trap : INT; "$@"; echo "ended with $?"; stty -a'
        command = ["sh", "-c", script, "sh", *self.admin.argv("user", "passwd", LISI)]
        shown = self.at_terminal(command=command, answers=[(f"password of {LISI}: ", "geh\x03")])
        self.assertIn("ended with 130", shown)
        self.assertRegex(shown, r"\secho\s")
        self.assertEqual(self.hash_of(LISI), before)

    def test_mistakes(self):
        self.add_users(LISI)
        self.admin.sql("INSERT INTO virtual_alias_domains VALUES ('alias.test', 'mydomain.com', 1)")
        self.admin.sql("INSERT INTO virtual_relay_domains VALUES ('relay.test', 1)")
        for address, because in (
            ("wang@nowhere.test", "there is no domain nowhere.test"),
            ("wang@alias.test", "alias.test is an alias domain"),
            ("wang@relay.test", "relay.test is a relay domain"),
            (LISI, "is there already"),
            ("LISI@MYDOMAIN.COM", "is there already"),
            ("wang", "no '@'"),
            ("@mydomain.com", "is empty"),
            ("wang@", "after the '@'"),
            ("wang@@mydomain.com", "no mail server would take"),
            ("wa ng@mydomain.com", "no mail server would take"),
            (".wang@mydomain.com", "no mail server would take"),
            ("../wang@mydomain.com", "no mail server would take"),
            ("wang/x@mydomain.com", "no mail server would take"),
            ("x" * 65 + "@mydomain.com", "longer than 64"),
        ):
            self.refused("user", "add", address, stdin="123456\n", because=because)
        for command in ("show", "remove", "enable", "disable", "passwd"):
            self.refused("user", command, "wang@mydomain.com", stdin="x\n", because="there is no user wang")
            self.refused("user", command, "wang@nowhere.test", stdin="x\n", because="there is no domain nowhere.test")
            self.refused("user", command, "wang", stdin="x\n", because="is not a mail address")
        self.ok("alias", "add", ALL, LISI)
        self.refused("user", "passwd", ALL, stdin="x\n", because="is an alias, not a user")
        self.refused("user", "list", "nowhere.test", because="there is no domain")
        self.refused("user", "add", because="ADDRESS", status=64)
        self.assertEqual([row["address"] for row in self.json("user", "list")], [LISI])

    def test_a_mailbox_that_an_alias_would_starve(self):
        self.add_users(LISI)
        self.ok("alias", "add", "wang@mydomain.com", LISI)
        because = "the mailbox would never get any"
        errors = self.refused("user", "add", "wang@mydomain.com", stdin="x\n", because=because)
        self.assertIn("vmailctl alias remove wang@mydomain.com", errors)

    def test_two_that_a_collation_thinks_equal(self):
        self.ok("user", "add", "muller@mydomain.com", stdin="x\n")
        self.refused("user", "show", "müller@mydomain.com", because="there is no user")
        self.refused("user", "add", "müller@mydomain.com", stdin="x\n", because="Duplicate entry")

    def test_a_disabled_domain_is_mentioned(self):
        self.ok("domain", "disable", "mydomain.com")
        self.assertIn(b"is disabled", self.admin.run("user", "add", LISI, stdin="x\n").stderr)


class Removal(Case):
    def setUp(self):
        super().setUp()
        self.add_users(LISI, ZHANG)
        self.mail = self.make_mail(LISI)

    def users(self):
        return {user["address"]: user["enabled"] for user in self.json("user", "list")}

    def test_without_a_word_about_the_mail_it_is_refused(self):
        errors = self.refused("user", "remove", LISI, because=f"say what becomes of the mail of {LISI}")
        self.assertIn("--mail keep", errors)
        self.refused("user", "remove", LISI, "--mail", "shred", because="shred", status=64)
        self.assertEqual(self.users(), {LISI: True, ZHANG: True})
        self.assertTrue(self.mail.exists())

    def test_a_terminal_is_asked(self):
        shown = self.at_terminal("user", "remove", LISI, answers=[("purge? ", "yes"), ("purge? ", "keep")])
        self.assertIn(f"The mail is kept in {self.mail}", shown)
        self.assertEqual(self.users(), {ZHANG: True})

    def test_keep(self):
        result = self.json("user", "remove", LISI, "--mail", "keep")
        self.assertEqual(result, {"removed": LISI, "address": LISI, "mail": "keep", "path": str(self.mail)})
        self.assertTrue((self.mail / "new/1.M1P1.host,S=9:2,").exists())

    def test_archive(self):
        owner = os.stat(self.admin.mail)
        result = self.json("user", "remove", LISI, "--mail", "archive")
        self.assertFalse(self.mail.exists())
        self.assertRegex(result["path"], rf"^{self.admin.archive}/lisi@mydomain\.com\.\d{{8}}T\d{{6}}Z$")
        self.assertEqual(pathlib.Path(result["path"], "new/1.M1P1.host,S=9:2,").read_text(), "a message")
        self.assertEqual(os.readlink(os.path.join(result["path"], ".dovecot.sieve")), "sieve/a.sieve")
        archive = os.stat(self.admin.archive)
        self.assertEqual((archive.st_mode & 0o7777, archive.st_uid), (0o700, owner.st_uid))

    def test_archives_of_one_address_stand_side_by_side(self):
        for text in ("first", "second", "third"):
            shutil.rmtree(self.mail, ignore_errors=True)
            self.make_mail(LISI, text)
            self.ok("user", "remove", LISI, "--mail", "archive")
            self.add_users(LISI)
        kept = {(path / "new/1.M1P1.host,S=9:2,").read_text() for path in pathlib.Path(self.admin.archive).iterdir()}
        self.assertEqual(kept, {"first", "second", "third"})

    def test_purge(self):
        outside = pathlib.Path(self.admin.path, "outside")
        outside.mkdir()
        (outside / "precious").write_text("x")
        (self.mail / "cur/link").symlink_to(outside)
        (self.mail / "cur/file").symlink_to(outside / "precious")
        told = self.ok("user", "remove", LISI, "--mail", "purge")
        self.assertEqual(told, f"Removed user {LISI}. The mail is deleted.\n")
        self.assertFalse(self.mail.exists())
        self.assertTrue((outside / "precious").exists())
        self.assertEqual(self.users(), {ZHANG: True})

    def test_no_link_leads_out(self):
        """The folder itself, or the one above it, is a symbolic link: nothing there is ours."""
        outside = pathlib.Path(self.admin.path, "elsewhere")
        shutil.move(self.mail, outside)
        self.mail.symlink_to(outside)
        for fate in ("archive", "purge"):
            self.refused("user", "remove", LISI, "--mail", fate, because="is not a folder")
        self.mail.unlink()
        self.mail.parent.rmdir()
        self.mail.parent.symlink_to(self.admin.path)
        shutil.move(outside, pathlib.Path(self.admin.path, "lisi"))
        for fate in ("archive", "purge"):
            self.refused("user", "remove", LISI, "--mail", fate, because="cannot be opened")
        self.assertTrue(pathlib.Path(self.admin.path, "lisi/new").exists())
        self.assertEqual(self.users(), {LISI: True, ZHANG: True})

    def test_mail_that_is_not_there(self):
        shutil.rmtree(self.mail.parent)
        self.assertIn("There was no mail.", self.ok("user", "remove", LISI, "--mail", "purge"))
        self.assertEqual(self.json("user", "remove", ZHANG, "--mail", "archive")["mail"], "none")

    def test_a_missing_base_folder_is_a_volume_that_is_not_mounted(self):
        os.rename(self.admin.mail, self.admin.mail + ".away")
        self.refused("user", "remove", LISI, "--mail", "purge", because="cannot be opened")
        self.refused("user", "add", "wang@mydomain.com", stdin="x\n", because="cannot be opened")
        self.assertEqual(self.users(), {LISI: True, ZHANG: True})

    def test_the_archive_must_be_on_the_same_file_system(self):
        with open(self.admin.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.admin.config, "w", encoding="utf-8") as file:
            file.write(text.replace(self.admin.archive, "/dev/shm"))
        self.refused("user", "remove", LISI, "--mail", "archive", because="is not on the file system")
        self.assertEqual(self.users(), {LISI: True, ZHANG: True})
        self.assertTrue(self.mail.exists())

    def test_interrupted_purge_goes_on(self):
        self.ok("user", "disable", LISI)
        shutil.rmtree(self.mail / "new")
        self.ok("user", "remove", LISI, "--mail", "purge")
        self.assertEqual(self.users(), {ZHANG: True})
        self.assertFalse(self.mail.exists())

    def test_killed_at_any_moment_nothing_is_lost(self):
        """The row, or the mail in the archive, or both; and the same command finishes it."""
        archive = pathlib.Path(self.admin.archive)
        message = "new/1.M1P1.host,S=9:2,"
        for milliseconds in range(0, 60, 4):
            with self.subTest(milliseconds=milliseconds):
                shutil.rmtree(archive, ignore_errors=True)
                argv = self.admin.argv("user", "remove", LISI, "--mail", "archive")
                remove = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
                time.sleep(milliseconds / 1000)
                remove.kill()
                remove.wait()
                archived = [folder for folder in archive.glob("*") if (folder / message).exists()]
                self.assertEqual(len(archived) + (self.mail / message).exists(), 1)
                if LISI in self.users():
                    self.ok("user", "remove", LISI, "--mail", "archive")
                else:
                    self.assertEqual(len(archived), 1)
                self.assertFalse(self.mail.exists())
                self.add_users(LISI)
                self.make_mail(LISI)

    def test_mail_that_cannot_be_removed_leaves_the_user_disabled(self):
        subprocess.run(["mount", "-t", "tmpfs", "none", self.mail / "tmp"], check=False, stderr=subprocess.DEVNULL)
        if not os.path.ismount(self.mail / "tmp"):
            self.skipTest("no mounts here")
        try:
            self.refused("user", "remove", LISI, "--mail", "purge", because="another file system is mounted there")
            self.assertEqual(self.users(), {LISI: False, ZHANG: True})
        finally:
            subprocess.run(["umount", self.mail / "tmp"], check=True)
        self.ok("user", "remove", LISI, "--mail", "purge")
        self.assertEqual(self.users(), {ZHANG: True})
        self.assertFalse(self.mail.exists())

    def test_a_new_owner_never_inherits(self):
        self.ok("user", "remove", LISI, "--mail", "keep")
        errors = self.refused("user", "add", LISI, stdin="x\n", because="mail of a former owner")
        self.assertIn(f"vmailctl user remove {LISI} --mail archive", errors)
        self.assertIn("--adopt-mail", errors)
        self.refused("user", "remove", LISI, "--mail", "keep", because="there is no user")
        told = self.ok("user", "remove", LISI, "--mail", "archive")
        self.assertIn("archived as", told)
        self.ok("user", "add", LISI, stdin="x\n")
        self.assertFalse(self.mail.exists())

    def test_the_same_owner_may_come_back(self):
        self.ok("user", "remove", LISI, "--mail", "keep")
        self.ok("user", "add", LISI, "--adopt-mail", stdin="x\n")
        self.assertTrue((self.mail / "new/1.M1P1.host,S=9:2,").exists())

    def test_aliases_that_would_lead_nowhere(self):
        self.ok("alias", "add", ALL, LISI, ZHANG)
        self.admin.sql("INSERT INTO virtual_alias_domains VALUES ('alias.test', 'mydomain.com', 1)")
        self.ok("alias", "add", "info@mydomain.com", "lisi@alias.test")
        because = "aliases still lead there: all@mydomain.com, info@mydomain.com"
        errors = self.refused("user", "remove", LISI, "--mail", "purge", because=because)
        self.assertIn(f"vmailctl alias remove {ALL} {LISI}", errors)
        self.assertTrue(self.mail.exists())
        self.ok("alias", "remove", ALL, LISI)
        self.ok("alias", "remove", "info@mydomain.com")
        self.ok("user", "remove", LISI, "--mail", "purge")
        # With a catch-all nothing leads nowhere.
        self.ok("alias", "add", "@mydomain.com", "hostmaster@far.test")
        self.ok("user", "remove", ZHANG, "--mail", "purge")


class Aliases(Case):
    def setUp(self):
        super().setUp()
        self.add_users(LISI, ZHANG)
        self.ok("domain", "add", "other.example")

    def test_add_list_show_disable_enable_remove(self):
        told = self.ok("alias", "add", "All@MyDomain.com", ZHANG, "LISI@mydomain.com")
        self.assertEqual(told, f"Added alias {ALL} to {ZHANG}, {LISI}.\n")
        self.assertEqual(
            self.ok("alias", "list"),
            "ALIAS             TO                     ENABLED\n"
            "all@mydomain.com  zhangsan@mydomain.com  yes\n"
            "all@mydomain.com  lisi@mydomain.com      yes\n",
        )
        self.assertEqual(
            self.json("alias", "list", "mydomain.com")[1], {"source": ALL, "destination": LISI, "enabled": True}
        )
        self.assertEqual(self.json("alias", "list", "other.example"), [])
        self.assertEqual(
            self.json("alias", "show", ALL),
            {
                "source": ALL,
                "destinations": [{"destination": ZHANG, "enabled": True}, {"destination": LISI, "enabled": True}],
                "leads_to": [ZHANG, LISI],
                "dead_ends": [],
                "loop": [],
            },
        )
        self.ok("alias", "disable", ALL, LISI)
        self.assertIn("lisi@mydomain.com (disabled)", self.ok("alias", "show", ALL))
        self.assertEqual(self.admin.sql("SELECT enable FROM virtual_aliases ORDER BY id"), [["1"], ["0"]])
        self.ok("alias", "disable", ALL)
        self.ok("alias", "enable", ALL)
        self.assertEqual(self.admin.sql("SELECT enable FROM virtual_aliases ORDER BY id"), [["1"], ["1"]])
        self.assertEqual(self.json("alias", "remove", ALL, LISI), {"source": ALL, "removed": [LISI]})
        self.ok("alias", "remove", ALL)
        self.assertEqual(self.json("alias", "list"), [])

    def test_chains_and_catch_alls(self):
        self.ok("alias", "add", "@mydomain.com", LISI)
        self.ok("alias", "add", "@other.example", "@mydomain.com")
        self.ok("alias", "add", "info@other.example", "sales@other.example", "boss@far.test")
        self.assertEqual(self.json("alias", "show", "info@other.example")["leads_to"], [LISI, "boss@far.test"])
        self.assertEqual(self.json("alias", "show", "@mydomain.com")["leads_to"], [LISI])
        # A copy of a mailbox's own mail.
        self.ok("alias", "add", LISI, LISI, "lisi@far.test")
        self.assertEqual(self.json("alias", "show", LISI)["leads_to"], [LISI, "lisi@far.test"])
        self.ok("alias", "add", "ext@mydomain.com", "lisi+shop@mydomain.com")

    def test_mistakes(self):
        self.admin.sql("INSERT INTO virtual_alias_domains VALUES ('alias.test', 'mydomain.com', 1)")
        self.admin.sql("INSERT INTO virtual_relay_domains VALUES ('relay.test', 1)")
        self.ok("alias", "add", ALL, LISI)
        self.ok("alias", "add", "team@mydomain.com", ALL)
        self.ok("alias", "add", "far@mydomain.com", "x@far.test", "y@relay.test", "lisi@alias.test")
        before = self.json("alias", "list")
        for source, destinations, because in (
            (ALL, ["team@mydomain.com"], "would be a loop: team@mydomain.com -> all@mydomain.com -> team@mydomain.com"),
            (ALL, ["team@alias.test"], "would be a loop"),
            (ALL, ["team+x@mydomain.com"], "with ever longer extensions"),
            ("self@mydomain.com", ["self@mydomain.com"], "would lead to itself"),
            ("self@mydomain.com", ["self@alias.test"], "would be a loop"),
            (ALL, ["nobody@mydomain.com"], "there is no nobody@mydomain.com in our domain"),
            (ALL, ["nobody@alias.test"], "there is no nobody@alias.test in our domain"),
            (ALL, [ZHANG, "nobody@other.example"], "there is no nobody@other.example"),
            (ALL, [LISI], "leads to lisi@mydomain.com already"),
            (ALL, [ZHANG, ZHANG], "leads to zhangsan@mydomain.com already"),
            (LISI, ["x@far.test"], "is a mailbox, and an alias at its address takes all its mail"),
            ("x@nowhere.test", [LISI], "there is no domain nowhere.test"),
            ("x@alias.test", [LISI], "is an alias domain"),
            ("x@relay.test", [LISI], "is a relay domain"),
            ("@nowhere.test", [LISI], "there is no domain nowhere.test"),
            (ALL, ["lisi"], "no '@'"),
            (ALL, ["@other.example"], "cannot lead to the whole domain"),
            (ALL, ["li si@mydomain.com"], "no mail server would take"),
            (ALL, [f"{ZHANG},{LISI}"], "no mail server would take"),
            (ALL, ["|/bin/sh"], "no '@'"),
            ("a b@mydomain.com", [LISI], "no mail server would take"),
            ("@mydomain.com", ["nobody@mydomain.com"], "there is no nobody@mydomain.com" ),
        ):
            with self.subTest(source=source, destinations=destinations):
                self.refused("alias", "add", source, *destinations, because=because)
        self.refused("alias", "add", ALL, because="DESTINATION", status=64)
        for command in ("show", "remove", "enable", "disable"):
            self.refused("alias", command, "nobody@mydomain.com", because="there is no alias nobody@mydomain.com")
        for command in ("remove", "enable", "disable"):
            self.refused("alias", command, ALL, ZHANG, because="does not lead to")
        self.refused("alias", "remove", ALL, because="aliases still lead there: team@mydomain.com")
        self.assertEqual(self.json("alias", "list"), before)

    def test_catch_alls_that_lead_to_each_other(self):
        self.ok("alias", "add", "@mydomain.com", "@other.example")
        self.refused("alias", "add", "@other.example", "@mydomain.com", because="would be a loop")
        self.ok("alias", "add", "@other.example", LISI)
        self.ok("alias", "add", "x@other.example", "unknown@mydomain.com")

    def test_the_last_destination_that_kept_a_mailbox_alive(self):
        self.ok("alias", "add", LISI, LISI, "lisi@far.test")
        self.refused("alias", "remove", LISI, LISI, because="takes all its mail")
        self.ok("alias", "remove", LISI, "lisi@far.test")

    def test_rows_that_were_entered_by_hand(self):
        """Loops, dead ends, lists and odd keys in the table are shown, not stumbled over."""
        self.admin.sql(
            "INSERT INTO virtual_aliases (domain_id, source, destination) SELECT id, s, t FROM virtual_domains JOIN ("
            " SELECT 'a@mydomain.com' s, 'b@mydomain.com' t UNION SELECT 'b@mydomain.com', 'a@mydomain.com'"
            " UNION SELECT 'list@mydomain.com', 'lisi@mydomain.com, zhangsan@mydomain.com'"
            " UNION SELECT 'Gone@MyDomain.com', 'nobody@mydomain.com' UNION SELECT '', ''"
            " UNION SELECT CHAR(27, 91, 50, 74 USING ascii), 'x') pairs WHERE name = 'mydomain.com'"
        )
        self.assertIn("\\x1b[2J", self.ok("alias", "list"))
        self.assertEqual(len(self.json("alias", "list")), 6)
        shown = self.ok("alias", "show", "a@mydomain.com")
        self.assertIn("Loop:       a@mydomain.com -> b@mydomain.com -> a@mydomain.com", shown)
        self.assertEqual(self.json("alias", "show", "list@mydomain.com")["leads_to"], [LISI, ZHANG])
        self.assertIn("Nowhere:    nobody@mydomain.com", self.ok("alias", "show", "gone@mydomain.com"))
        self.ok("alias", "remove", "gone@mydomain.com")
        self.ok("alias", "remove", "a@mydomain.com", status=1)
        self.ok("alias", "add", ALL, LISI)


class Older(SqlTestCase):
    """A database that was never upgraded."""

    def test_it_is_read_and_not_written(self):
        self.admin.make_original()
        domains = [domain["name"] for domain in self.json("domain", "list")]
        self.assertEqual(domains, ["mail.mydomain.com", "mydomain.com"])
        self.assertEqual([user["address"] for user in self.json("user", "list", "mydomain.com")], [LISI, ZHANG])
        self.assertEqual(self.json("user", "show", LISI)["aliases"], [ALL])
        self.assertEqual(self.json("domain", "show", "mydomain.com")["aliases"], 2)
        self.assertEqual(self.json("alias", "show", ALL)["leads_to"], [ZHANG, LISI])
        self.assertEqual(len(self.json("alias", "list")), 2)
        before = self.admin.dump()
        for arguments in (
            ["domain", "add", "other.example"],
            ["domain", "remove", "mydomain.com", "--with-users", "--mail", "purge"],
            ["domain", "disable", "mydomain.com"],
            ["user", "add", "wang@mydomain.com"],
            ["user", "remove", LISI, "--mail", "purge"],
            ["user", "passwd", LISI],
            ["user", "disable", LISI],
            ["alias", "add", "x@mydomain.com", LISI],
            ["alias", "remove", ALL],
            ["alias", "disable", ALL],
        ):
            with self.subTest(arguments=arguments):
                errors = self.refused(*arguments, stdin="x\n", because="older schema")
                self.assertIn("vmailctl schema upgrade", errors)
        self.assertEqual(self.admin.dump(), before)
        self.ok("schema", "upgrade")
        self.ok("user", "passwd", LISI, stdin="x\n")


class Daemons(Case):
    """Daemons that run are told; they are stood in for by a socket that notes what it is asked."""

    @contextlib.contextmanager
    def control_socket(self, section, reply):
        requests = []
        listener = socket.socket(socket.AF_UNIX)
        path = os.path.join(self.admin.path, section + ".control")
        listener.bind(path)
        listener.listen()

        def serve():
            while True:
                peer, _ = listener.accept()
                with peer:
                    header = peer.recv(4, socket.MSG_WAITALL)
                    if len(header) < 4:
                        return
                    requests.append(json.loads(peer.recv(struct.unpack(">I", header)[0], socket.MSG_WAITALL)))
                    body = json.dumps(reply).encode()
                    peer.sendall(struct.pack(">I", len(body)) + body)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield requests
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(path)
            thread.join()
            listener.close()

    def test_each_is_told_what_changed(self):
        with self.control_socket("maps", {"ok": True}) as maps, self.control_socket("store", {"ok": True}) as store:
            self.add_users(LISI)
            self.ok("alias", "add", ALL, LISI)
            self.ok("user", "passwd", LISI, stdin="x\n")
            self.ok("domain", "disable", "mydomain.com")
            self.ok("user", "list")
        keys = [[LISI], [ALL], [LISI], ["@mydomain.com"]]
        self.assertEqual(maps, [{"command": "flush", "keys": key} for key in keys])
        self.assertEqual(store, maps)

    def test_one_that_does_not_run_is_no_matter(self):
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(os.path.join(self.admin.path, "auth.control"))
        dead.close()
        done = self.admin.run("user", "add", LISI, stdin="x\n")
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_one_that_refuses_is_mentioned(self):
        with self.control_socket("maps", {"error": "it will not"}):
            done = self.admin.run("--json", "user", "add", LISI, stdin="x\n")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(json.loads(done.stdout)["added"], LISI)
        self.assertIn(b"it will not", done.stderr)


class Outage(SqlTestCase):
    def test_a_database_that_is_down(self):
        with MariaDB() as server:
            self.admin = Admin(self.folder, {"database": {"hosts": [f"unix:{server.socket}"]}})
            self.ok("schema", "init")
            self.ok("domain", "add", "mydomain.com")
            server.kill()
            for arguments in (["user", "list"], ["domain", "add", "x.test"], ["schema", "status"]):
                self.refused(*arguments, because="check that the server runs", status=69)


if __name__ == "__main__":
    unittest.main()
