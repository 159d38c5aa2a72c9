"""What the directory reads and writes about logins, over a real MariaDB, with the rights of vmail-authd alone."""

import unittest

import test_directory
from private_server import wait_until
from site_tests import ROOT
from test_directory import CURRENT, ORIGINAL, ROWS, DirectoryTestCase, add_user, fill

LISI, ZHANG = "lisi@mydomain.com", "zhangsan@mydomain.com"
APP_ROWS = """
INSERT INTO virtual_app_passwords (id, email, selector, label, hash, services, networks, not_after, enable) VALUES
  (1, 'lisi@mydomain.com', 'aaaaaaaa', 'phone', '{SSHA256}a', 'IMAP', '192.0.2.0/24', 77, 1),
  (2, 'lisi@mydomain.com', 'bbbbbbbb', 'ämail', '{SSHA256}b', '', '', 0, 1),
  (3, 'lisi@mydomain.com', 'cccccccc', 'off', '{SSHA256}c', '', '', 0, 0),
  (4, 'gone@mydomain.com', 'dddddddd', 'orphan', '{SSHA256}d', '', '', 0, 1);
"""
APPS = " app=1,aaaaaaaa,phone,{SSHA256}a[imap|192.0.2.0/24|0|77] app=2,bbbbbbbb,ämail,{SSHA256}b[||0|0]"
PLAIN = f"found {ZHANG} $6$zhangsan"


def setUpModule():
    test_directory.setUpModule()


def grants(name, *files):
    """Those of vmail-authd, for the probe, without the routines of the change feed, which this database lacks."""
    lines = []
    for file in files:
        with open(ROOT / "sql/grants" / file, encoding="utf-8") as text:
            lines += [line for line in text if not line.startswith("GRANT EXECUTE")]
    return "".join(lines).replace("mailserver.", name + ".").replace("'vmailkit-auth'@'localhost'", "'probe'@'%'")


class Logins(DirectoryTestCase):
    def start(self, name, *more):
        self.name = name
        fill(name, CURRENT, ROWS)
        test_directory.server.query(APP_ROWS, name)
        add_user(test_directory.server, grants(name, "auth.sql", *more))
        return self.probe(name)

    def sql(self, statement):
        return test_directory.server.query(statement, self.name)

    def set(self, probe, assignments, expected):
        self.sql(f"UPDATE virtual_users SET {assignments} WHERE email = '{ZHANG}'")
        probe.flush()
        self.assertEqual(probe.ask("credentials", ZHANG), PLAIN + expected)

    def test_what_limits_a_login_comes_with_it(self):
        probe = self.start("limits_of_logins")
        self.assertEqual(probe.ask("credentials", "LISI@mydomain.com"), f"found {LISI} $6$lisi{APPS}")
        self.assertEqual(probe.ask("credentials", "gone@mydomain.com"), "not-found")
        self.assertEqual(probe.ask("credentials", "off@mydomain.com"), "disabled")
        self.set(probe, "id = id", "")
        self.set(probe, "services = 'imap SMTP', not_before = 5", " [imap smtp||5|0]")
        self.set(probe, "services = '', networks = '::1/128', not_before = 0, not_after = 9", " [|::1/128|0|9]")
        self.set(probe, "networks = '', not_after = 0, app_passwords_only = 1", " app-passwords-only")
        self.sql("UPDATE virtual_domains SET app_passwords_only = 1")
        self.set(probe, "app_passwords_only = 0", " app-passwords-only")

    def test_keys_belong_to_one_hash(self):
        probe = self.start("keys_of_logins")
        self.set(probe, "scram_sha256 = '4096,s,a,b'", " scram=4096,s,a,b")
        self.set(probe, "scram_for = SHA2(password, 256)", " scram=4096,s,a,b")
        self.set(probe, "scram_for = SHA2('another', 256)", "")

    def test_the_use_of_an_app_password_is_written_down(self):
        probe = self.start("use_of_logins")
        used = "SELECT id, last_ip FROM virtual_app_passwords WHERE last_used > UNIX_TIMESTAMP() - 600"
        probe.write("use 1 192.0.2.7")
        probe.write("use 2 2001:db8::1")
        probe.write("use 99 192.0.2.7")
        wait_until(lambda: len(self.sql(used)) == 2, 30, "the use to be written")
        self.assertEqual(self.sql(used + " ORDER BY id"), [["1", "192.0.2.7"], ["2", "2001:db8::1"]])
        self.assertEqual(probe.log("question-fails"), [])

    def test_a_better_hash_takes_the_place_of_the_one_it_was_made_for(self):
        probe = self.start("rehash_of_logins", "auth-rehash.sql")
        self.set(probe, "scram_sha256 = '4096,s,a,b', scram_for = SHA2(password, 256)", " scram=4096,s,a,b")
        probe.write(f"rehash {ZHANG} $6$other $6$new")
        probe.write(f"rehash {LISI} $6$lisi $6$better")
        self.check_eventually(probe, "credentials", LISI, f"found {LISI} $6$better{APPS}")
        self.assertEqual(probe.ask("credentials", ZHANG), PLAIN + " scram=4096,s,a,b")
        probe.write(f"rehash {ZHANG} $6$zhangsan $6$new")
        self.check_eventually(probe, "credentials", ZHANG, f"found {ZHANG} $6$new scram=4096,s,a,b")
        # The keys of another password stay those of another.
        self.sql("UPDATE virtual_users SET scram_for = SHA2('another', 256)")
        probe.write(f"rehash {ZHANG} $6$new $6$newer")
        self.check_eventually(probe, "credentials", ZHANG, f"found {ZHANG} $6$newer")

    def test_keys_are_kept_for_the_hash_they_were_made_with(self):
        probe = self.start("capture_of_logins", "auth-scram.sql")
        probe.write(f"keys {LISI} $6$other 1,s,a,b")
        probe.write(f"keys {ZHANG} $6$zhangsan 4096,s,a,b")
        self.check_eventually(probe, "credentials", ZHANG, PLAIN + " scram=4096,s,a,b")
        self.assertEqual(probe.ask("credentials", LISI), f"found {LISI} $6$lisi{APPS}")
        self.sql("UPDATE virtual_users SET password = '$6$panel'")
        probe.flush()
        self.assertEqual(probe.ask("credentials", ZHANG), f"found {ZHANG} $6$panel")

    def test_without_the_right_it_is_said_once_and_logins_go_on(self):
        probe = self.start("rights_of_logins")
        probe.write(f"rehash {LISI} $6$lisi $6$better")
        wait_until(lambda: probe.log("question-fails question=replace-hash"), 30, "the refusal to be logged")
        self.assertEqual(probe.ask("credentials", LISI), f"found {LISI} $6$lisi{APPS}")
        self.assertNotIn("$6$", "".join(probe.log()))

    def test_an_older_schema_has_no_place_for_it(self):
        fill("old_of_logins", ORIGINAL, ROWS)
        probe = self.probe("old_of_logins")
        self.assertEqual(probe.ask("credentials", LISI), f"found {LISI} $6$lisi")
        probe.write(f"keys {LISI} $6$lisi 1,s,a,b")
        wait_until(lambda: probe.log("`vmailctl schema upgrade` makes one"), 30, "the refusal to be logged")
        self.assertEqual(probe.ask("credentials", LISI), f"found {LISI} $6$lisi")


if __name__ == "__main__":
    unittest.main()
