"""What is written to the database is what Postfix is told, within two seconds, though rows live for an hour."""

import random
import subprocess
import unittest

from private_server import Site, wait_until
from site_tests import BUILD

PASSWORD = "correct horse battery"
# Visible within 2 s is what is promised; a loaded machine may take longer to look.
SECONDS = 30


class Changes(unittest.TestCase):
    preload = True

    def setUp(self):
        self.site = self.enterContext(
            Site(BUILD, settings={"directory": {"followed_lifetime": "1h", "preload": self.preload}})
        )
        self.site.suite.control("domain", "add", "example.test")
        self.site.database.query(
            "CREATE USER panel@localhost IDENTIFIED BY 'panel';"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.virtual_domains TO panel@localhost;"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.virtual_users TO panel@localhost;"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.virtual_aliases TO panel@localhost;"
        )
        self.followed()

    def followed(self):
        wait_until(
            lambda: '"followed"' in self.site.suite.control("status", "--json"), SECONDS, "the feed to be followed"
        )

    def sql(self, statement):
        self.site.database.query(statement, "mailserver", user="panel", password="panel")

    def get(self, name, key):
        """What `postmap -q` prints, or nothing."""
        done = subprocess.run(
            ["postmap", "-c", self.site.postfix.config, "-q", key, f"socketmap:unix:{self.site.suite.queue}/maps:{name}"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.stdout.strip()

    def expect(self, name, key, value):
        wait_until(lambda: self.get(name, key) == value, SECONDS, f"{name} of {key} to be {value!r}", poll=0.05)

    def test_each_kind_of_change(self):
        for name, key in (("mailboxes", "a@example.test"), ("aliases", "a@example.test"), ("aliases", "b@example.test")):
            self.assertEqual(self.get(name, key), "")  # known to be unknown from now on
        with self.subTest("a user is added, disabled, removed"):
            self.sql("INSERT INTO virtual_users (domain_id, email, password) VALUES (1, 'a@example.test', 'x')")
            self.expect("mailboxes", "a@example.test", "1")
            self.sql("UPDATE virtual_users SET enable = 0 WHERE email = 'a@example.test'")
            self.expect("mailboxes", "a@example.test", "")
            self.sql("UPDATE virtual_users SET enable = 1, email = 'renamed@example.test' WHERE email = 'a@example.test'")
            self.expect("mailboxes", "renamed@example.test", "1")
            self.sql("DELETE FROM virtual_users")
            self.expect("mailboxes", "renamed@example.test", "")
        with self.subTest("an alias"):
            self.sql("INSERT INTO virtual_aliases (domain_id, source, destination) VALUES (1, 'b@example.test', 'c@x.test')")
            self.expect("aliases", "b@example.test", "c@x.test")
            self.sql("UPDATE virtual_aliases SET destination = 'd@x.test'")
            self.expect("aliases", "b@example.test", "d@x.test")
            self.sql("DELETE FROM virtual_aliases")
            self.expect("aliases", "b@example.test", "")
        with self.subTest("a domain, and all that goes with it by cascade"):
            self.sql("INSERT INTO virtual_domains (name) VALUES ('other.test')")
            self.expect("domains", "other.test", "1")
            number = self.site.database.query("SELECT id FROM virtual_domains WHERE name = 'other.test'", "mailserver")[0][0]
            self.sql(f"INSERT INTO virtual_users (domain_id, email, password) VALUES ({number}, 'u@other.test', 'x')")
            # A row of that domain that is not in it by its address.
            self.sql(f"INSERT INTO virtual_users (domain_id, email, password) VALUES ({number}, 'guest@example.test', 'x')")
            self.expect("mailboxes", "u@other.test", "1")
            self.expect("mailboxes", "guest@example.test", "1")
            self.sql("DELETE FROM virtual_domains WHERE name = 'other.test'")
            self.expect("domains", "other.test", "")
            self.expect("mailboxes", "u@other.test", "")
            self.expect("mailboxes", "guest@example.test", "")
        with self.subTest("while the daemon is down"):
            self.sql("INSERT INTO virtual_users (domain_id, email, password) VALUES (1, 'kept@example.test', 'x')")
            self.expect("mailboxes", "kept@example.test", "1")
            self.site.suite.maps.stop()
            self.sql("DELETE FROM virtual_users WHERE email = 'kept@example.test'")
            self.sql("INSERT INTO virtual_users (domain_id, email, password) VALUES (1, 'late@example.test', 'x')")
            self.site.suite.maps.start()
            self.expect("mailboxes", "kept@example.test", "")
            self.expect("mailboxes", "late@example.test", "1")

    def test_many_at_random(self):
        draw = random.Random(11)
        expected = {}
        for _ in range(20):
            statements = []
            for _ in range(50):
                key = f"k{draw.randrange(100)}@example.test"
                if draw.random() < 0.5:
                    expected[key] = f"{draw.randrange(10**6)}@x.test"
                    statements.append(
                        f"DELETE FROM virtual_aliases WHERE source = '{key}'; INSERT INTO virtual_aliases"
                        f" (domain_id, source, destination) VALUES (1, '{key}', '{expected[key]}');"
                    )
                else:
                    expected[key] = ""
                    statements.append(f"DELETE FROM virtual_aliases WHERE source = '{key}';")
            self.sql("".join(statements))
            for key in draw.sample(sorted(expected), 5):
                self.expect("aliases", key, expected[key])
        for key, value in expected.items():
            self.expect("aliases", key, value)


class RowByRow(Changes):
    preload = False


if __name__ == "__main__":
    unittest.main()
