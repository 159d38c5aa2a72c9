"""The directory over real MariaDB servers: both schemas, traps of collations, faults of the database, several hosts."""

import contextlib
import os
import subprocess
import unittest

from private_server import DatabaseError, MariaDB, TemporaryFolder, wait_until
from private_server.certificate import make_certificate
from probe_process import ProbeProcess
from site_tests import BUILD, ROOT

PROBE = os.path.join(BUILD, "tests/integration/directory_probe")
ORIGINAL = ROOT / "sql/upgrades/0000-original.sql"
CURRENT = ROOT / "sql/schema.sql"
USER, PASSWORD = "probe", "secret of the probe"

ROWS = """
INSERT INTO virtual_domains (id, name) VALUES (1, 'mail.mydomain.com'), (2, 'mydomain.com');
INSERT INTO virtual_users (domain_id, password, email, enable) VALUES
  (2, '$6$zhangsan', 'zhangsan@mydomain.com', 1), (2, '$6$lisi', 'Lisi@mydomain.com', 1),
  (2, '$6$off', 'off@mydomain.com', 0), (2, '$6$two', 'two@mydomain.com', 2);
INSERT INTO virtual_aliases (domain_id, source, destination) VALUES
  (2, 'all@mydomain.com', 'zhangsan@mydomain.com'), (2, 'all@mydomain.com', 'lisi@mydomain.com');
"""
# Beyond what the original has.
MORE_ROWS = """
INSERT INTO virtual_domains (id, name, enable) VALUES (3, 'closed.test', 0), (4, 'bücher.test', 1);
INSERT INTO virtual_users (domain_id, password, email) VALUES
  (3, 'x', 'anna@closed.test'), (4, 'x', 'anna@bücher.test'), (4, 'x', 'ben@xn--bcher-kva.test');
INSERT INTO virtual_aliases (domain_id, source, destination, enable) VALUES
  (2, 'closed@mydomain.com', 'lisi@mydomain.com', 0), (2, '@mydomain.com', 'zhangsan@mydomain.com', 1);
INSERT INTO virtual_alias_domains (name, target) VALUES ('alias.test', 'mydomain.com'), ('dead.test', 'nowhere.test');
INSERT INTO virtual_relay_domains (name, enable) VALUES ('relay.test', 1), ('norelay.test', 0);
"""
RULES = """
INSERT INTO virtual_aliases (domain_id, source, destination) VALUES
  (2, 'nested@mydomain.com', 'all@mydomain.com'), (2, 'nested@mydomain.com', 'x@foreign.test'),
  (2, 'round@mydomain.com', 'about@alias.test'), (2, 'about@mydomain.com', 'round@mydomain.com'),
  (2, 'dead@mydomain.com', 'nobody@closed.test'), (2, 'dead@mydomain.com', 'nobody@bücher.test');
INSERT INTO virtual_rules (kind, name, value, enable) VALUES
  ('transport', '.foreign.test', 'smtp:[relay.test]', 1), ('transport', '*', 'smtp:', 1),
  ('transport', 'off.test', 'error:', 0), ('transport', 'broken.test', 'smtp:\n[x]', 1),
  ('send-as', 'Lisi@mydomain.com', '@BÜCHER.test', 1), ('send-as', 'zhangsan@mydomain.com', 'anna@bücher.test', 0),
  ('sender-canonical', 'lisi@mydomain.com', 'li.si@mydomain.com', 1),
  ('sender-relay', '<>', '[bounces.test]', 1), ('external-out', 'mydomain.com', 'no', 1),
  ('limit', 'lisi@mydomain.com', 'recipients 2000/1d', 1), ('limit', 'lisi@mydomain.com', 'messages 10/1h', 1),
  ('greeting', 'lisi@mydomain.com', 'hello', 1);
"""

server = None


def setUpModule():
    global server
    server = unittest.enterModuleContext(MariaDB())


class Probe(ProbeProcess):
    """A directory in a process of its own."""

    def __init__(self, folder, database, hosts, user=USER, password=PASSWORD, settings=None):
        table = {
            "database": {
                "hosts": hosts,
                "name": database,
                "deadline": "1s",
                "retry_after": "100ms",
                **(settings or {}).get("database", {}),
            },
            "directory": {"domains_refresh": "1s", **(settings or {}).get("directory", {})},
        }
        super().__init__(PROBE, folder.make("probe"), table, user, password)

    def flush(self):
        self.write("flush")


def fill(database, *texts):
    """Makes that database anew on the server, with these files or statements."""
    server.query(f"DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database}")
    for text in texts:
        if isinstance(text, str):
            server.query(text, database)
        else:
            server.load(text, database)


def add_user(at, grants="GRANT SELECT ON *.* TO 'probe'@'%'"):
    at.query(f"CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; {grants}")


class DirectoryTestCase(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(TemporaryFolder())
        add_user(server)

    def probe(self, database, hosts=None, **arguments):
        probe = Probe(self.folder, database, hosts or ["unix:" + server.socket], **arguments)
        self.addCleanup(probe.close)
        return probe

    def check(self, probe, cases):
        for question, key, expected in cases:
            with self.subTest(question, key=key):
                self.assertEqual(probe.ask(question, key), expected)

    def check_eventually(self, probe, question, key, expected):
        wait_until(lambda: probe.ask(question, key) == expected, 30, f"{question} {key} to be {expected}", poll=0.05)


BOTH = [
    ("domain", "mydomain.com", "found own"),
    ("domain", "MyDomain.com", "found own"),
    ("domain", "foreign.test", "not-found"),
    ("mailbox", "lisi@mydomain.com", "found lisi@mydomain.com"),
    ("mailbox", "LISI@MyDomain.com", "found lisi@mydomain.com"),
    ("mailbox", "lisi+news@mydomain.com", "found lisi@mydomain.com +news"),
    ("mailbox", "nobody@mydomain.com", "not-found"),
    ("mailbox", "off@mydomain.com", "disabled"),
    ("mailbox", "two@mydomain.com", "disabled"),
    ("mailbox", "lisi@foreign.test", "not-found"),
    ("fresh", "nobody@mydomain.com", "not-found"),
    ("fresh", "lisi@foreign.test", "not-found"),
    ("aliases", "all@mydomain.com", "found zhangsan@mydomain.com,lisi@mydomain.com"),
    ("aliases", "All+x@mydomain.com", "found zhangsan+x@mydomain.com,lisi+x@mydomain.com"),
    ("aliases", "lisi@mydomain.com", "not-found"),
    ("aliases", "mydomain.com", "not-found"),
    ("credentials", "lisi@mydomain.com", "found lisi@mydomain.com $6$lisi"),
    ("credentials", "off@mydomain.com", "disabled"),
    ("credentials", "nobody@mydomain.com", "not-found"),
    ("credentials", "lisi", "not-found"),
]


class Schemas(DirectoryTestCase):
    def test_the_original_untouched(self):
        fill("original", ORIGINAL, ROWS)
        probe = self.probe("original")
        self.check(probe, BOTH)
        self.assertEqual(len(probe.log("schema=0")), 1)

    def test_the_upgraded(self):
        fill("upgraded", CURRENT, ROWS, MORE_ROWS)
        self.check(
            self.probe("upgraded"),
            [
                *BOTH,
                ("domain", "closed.test", "not-found"),
                ("mailbox", "anna@closed.test", "not-found"),
                ("credentials", "anna@closed.test", "not-found"),
                ("domain", "alias.test", "found alias"),
                ("domain", "dead.test", "not-found"),
                ("domain", "relay.test", "found relay"),
                ("domain", "norelay.test", "not-found"),
                ("domain", "BÜCHER.test", "found own"),
                ("domain", "xn--bcher-kva.test", "found own"),
                ("mailbox", "anna@xn--bcher-kva.test", "found anna@bücher.test"),
                ("mailbox", "ben@bücher.test", "found ben@xn--bcher-kva.test"),
                ("mailbox", "lisi@alias.test", "found lisi@mydomain.com"),
                ("aliases", "lisi+x@alias.test", "found lisi+x@mydomain.com"),
                ("credentials", "lisi@alias.test", "found lisi@mydomain.com $6$lisi"),
                ("aliases", "closed@mydomain.com", "disabled"),
                ("aliases", "anybody@mydomain.com", "found zhangsan@mydomain.com"),
                ("aliases", "off@mydomain.com", "disabled"),
                ("aliases", "off@alias.test", "disabled"),
            ],
        )

    def test_rules(self):
        fill("rules", CURRENT, ROWS, MORE_ROWS, RULES)
        probe = self.probe("rules")
        self.check(
            probe,
            [
                ("rule", "transport u@deep.in.foreign.test", "found smtp:[relay.test]"),
                ("rule", "transport u@foreign.test", "found smtp:"),
                ("rule", "transport u@off.test", "found smtp:"),
                ("rule", "transport *", "found smtp:"),
                ("rule", "sender-canonical Lisi+x@alias.test", "found li.si+x@mydomain.com"),
                ("rule", "sender-relay <>", "found [bounces.test]"),
                ("rule", "external-out lisi@mydomain.com", "found no"),
                ("rule", "limit lisi@alias.test", "found recipients 2000/1d,messages 10/1h"),
                ("rule", "limit zhangsan@mydomain.com", "not-found"),
                ("rule", "quota lisi@mydomain.com", "not-found"),
                ("owners", "anna@xn--bcher-kva.test", "found anna@bücher.test,lisi@mydomain.com"),
                ("owners", "nested+x@alias.test", "found zhangsan@mydomain.com,lisi@mydomain.com"),
                ("owners", "anybody@mydomain.com", "found zhangsan@mydomain.com"),
                ("owners", "x@foreign.test", "not-found"),
                (
                    "expansion",
                    "nested@mydomain.com",
                    "found zhangsan@mydomain.com lisi@mydomain.com elsewhere:x@foreign.test",
                ),
                ("expansion", "dead@mydomain.com", "found elsewhere:nobody@closed.test dead:nobody@bücher.test"),
            ],
        )
        self.assertRegex(probe.ask("rule", "transport u@broken.test"), "^temp-fail a transport rule has a value")
        for _ in range(3):
            self.assertEqual(
                probe.ask("expansion", "round@mydomain.com"),
                "found loop:round@mydomain.com loop:about@alias.test loop:round@mydomain.com",
            )
        self.assertEqual(len(probe.log("alias-loop")), 1, probe.log())
        self.assertEqual(len(probe.log("rules-left-out")), 1, probe.log())

        server.query("UPDATE virtual_rules SET value = 'relay:' WHERE name = '*'", "rules")
        self.check_eventually(probe, "rule", "transport u@foreign.test", "found relay:")

    def test_rules_that_may_not_be_read(self):
        fill("norules", CURRENT, ROWS, MORE_ROWS, RULES)
        tables = ["vmailkit_schema"]
        names = ("domains", "users", "aliases", "alias_domains", "relay_domains", "app_passwords")
        tables += [f"virtual_{name}" for name in names]
        add_user(server, "".join(f"GRANT SELECT ON norules.{table} TO 'probe'@'%';" for table in tables))
        probe = self.probe("norules")
        self.check(probe, BOTH)
        self.assertRegex(probe.ask("rule", "transport *"), "^temp-fail the rules cannot be read: .*vmailctl schema")
        server.query("GRANT SELECT ON norules.virtual_rules TO 'probe'@'%'")
        self.check_eventually(probe, "rule", "transport *", "found smtp:")
        server.query("REVOKE SELECT ON norules.virtual_rules FROM 'probe'@'%'")
        wait_until(lambda: len(probe.log("rules-unreadable")) == 2, 30, "the loss of the rights to be logged")
        self.check(probe, [("rule", "transport *", "found smtp:"), ("domain", "alias.test", "found alias")])

    def test_with_rights_on_columns_alone(self):
        fill("columns", CURRENT, ROWS, MORE_ROWS)
        with open(ROOT / "sql/grants/maps.sql", encoding="utf-8") as file:
            # The routines are the change feed's, which this database is without.
            lines = [line for line in file if not line.startswith("GRANT EXECUTE")]
        grants = "".join(lines).replace("mailserver.", "columns.").replace("'vmailkit-maps'@'localhost'", "'probe'@'%'")
        add_user(server, grants)
        probe = self.probe("columns")
        self.check(probe, [case for case in BOTH if case[0] != "credentials"])
        answer = probe.ask("credentials", "lisi@mydomain.com")
        self.assertRegex(answer, "^temp-fail .* denied .*vmailctl schema grants")

    def test_an_upgrade_while_it_serves(self):
        fill("upgrading", ORIGINAL, ROWS)
        probe = self.probe("upgrading")
        self.assertEqual(probe.ask("mailbox", "lisi@mydomain.com"), "found lisi@mydomain.com")
        self.assertEqual(probe.ask("domain", "alias.test"), "not-found")
        fill("upgrading", CURRENT, ROWS, MORE_ROWS)
        self.check_eventually(probe, "domain", "alias.test", "found alias")
        self.assertEqual(probe.ask("aliases", "closed@mydomain.com"), "disabled")
        self.assertEqual(len(probe.log("schema-changed from=0 to=")), 1)

    def test_an_older_schema_restored_while_it_serves(self):
        fill("downgrading", CURRENT, ROWS, MORE_ROWS)
        probe = self.probe("downgrading", settings={"directory": {"domains_refresh": "60s"}})
        self.assertEqual(probe.ask("domain", "mydomain.com"), "found own")
        fill("downgrading", ORIGINAL, ROWS)
        self.assertEqual(probe.ask("mailbox", "lisi@mydomain.com"), "found lisi@mydomain.com")


class Data(DirectoryTestCase):
    def test_collations_make_nothing_equal(self):
        fill("collations", ORIGINAL, ROWS)
        for collation in ("utf8mb3_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "latin1_swedish_ci", "ascii_general_ci"):
            charset = collation.partition("_")[0]
            accents = charset != "ascii"
            with self.subTest(collation):
                server.query(
                    "DELETE FROM virtual_users; DELETE FROM virtual_aliases;"
                    f"ALTER TABLE virtual_users MODIFY email varchar(100) CHARACTER SET {charset} COLLATE {collation};"
                    f"ALTER TABLE virtual_aliases MODIFY source varchar(100) CHARACTER SET {charset} COLLATE {collation};"
                    "INSERT INTO virtual_users (domain_id, password, email) VALUES"
                    + (" (2, 'x', 'émile@mydomain.com')," if accents else "")
                    + " (2, 'x', 'blank@mydomain.com ');"
                    + "INSERT INTO virtual_aliases (domain_id, source, destination) VALUES"
                    + (" (2, 'désk@mydomain.com', 'a@x.test')," if accents else "")
                    + " (2, 'blank2@mydomain.com ', 'a@x.test');",
                    "collations",
                )
                probe = Probe(self.folder, "collations", ["unix:" + server.socket])
                self.check(
                    probe,
                    [
                        ("mailbox", "emile@mydomain.com", "not-found"),
                        ("mailbox", "émile@mydomain.com", "found émile@mydomain.com" if accents else "not-found"),
                        ("mailbox", "Émile@mydomain.com", "found émile@mydomain.com" if accents else "not-found"),
                        ("mailbox", "blank@mydomain.com", "not-found"),
                        ("aliases", "desk@mydomain.com", "not-found"),
                        ("aliases", "désk@mydomain.com", "found a@x.test" if accents else "not-found"),
                        ("aliases", "blank2@mydomain.com", "not-found"),
                        ("credentials", "emile@mydomain.com", "not-found"),
                        ("credentials", "blank@mydomain.com", "not-found"),
                        # Letters that the column cannot hold.
                        ("mailbox", "😀@mydomain.com", "not-found"),
                        ("aliases", "😀+x@mydomain.com", "not-found"),
                        ("credentials", "😀@mydomain.com", "not-found"),
                        ("mailbox", "例@mydomain.com", "not-found"),
                    ],
                )
                probe.close()

    def test_two_rows_where_one_is_due(self):
        fill("twice", ORIGINAL, ROWS)
        server.query(
            "ALTER TABLE virtual_users DROP INDEX email;"
            "INSERT INTO virtual_users (domain_id, password, email) VALUES (2, 'x', 'LISI@mydomain.com')",
            "twice",
        )
        probe = self.probe("twice")
        for question in ("mailbox", "aliases", "credentials"):
            self.assertRegex(probe.ask(question, "lisi@mydomain.com"), "^temp-fail there are two mailboxes lisi@")
        self.assertEqual(probe.ask("mailbox", "zhangsan@mydomain.com"), "found zhangsan@mydomain.com")
        self.assertGreater(len(probe.log("bad-data")), 0)

    def test_rows_that_change(self):
        fill("changes", CURRENT, ROWS)
        probe = self.probe("changes")
        self.check(probe, [("mailbox", "new@mydomain.com", "not-found"), ("domain", "new.test", "not-found")])
        server.query(
            "INSERT INTO virtual_users (domain_id, password, email) VALUES (2, 'x', 'new@mydomain.com');"
            "INSERT INTO virtual_domains (name) VALUES ('new.test')",
            "changes",
        )
        self.check(probe, [("mailbox", "new@mydomain.com", "not-found")])
        self.check_eventually(probe, "fresh", "new@mydomain.com", "found new@mydomain.com")
        self.check_eventually(probe, "domain", "new.test", "found own")
        server.query("UPDATE virtual_users SET enable = 0 WHERE email = 'new@mydomain.com'", "changes")
        self.check(probe, [("mailbox", "new@mydomain.com", "found new@mydomain.com")])
        probe.flush()
        self.check(probe, [("mailbox", "new@mydomain.com", "disabled")])


class Faults(DirectoryTestCase):
    """What is broken is temporary, says what to do, is logged once, and works again by itself."""

    def setUp(self):
        super().setUp()
        fill("mail", CURRENT, ROWS, MORE_ROWS)

    def check_outage(self, probe):
        """While nothing answers: no new address, but what is known, and what is not ours."""
        numbers = [probe.send("mailbox", f"person{i}@mydomain.com") for i in range(20)]
        for number in numbers:
            self.assertRegex(probe.answer(number), "^temp-fail ")
        self.assertRegex(probe.ask("credentials", "lisi@mydomain.com"), "^temp-fail ")
        self.check(
            probe,
            [
                ("mailbox", "lisi@mydomain.com", "found lisi@mydomain.com"),
                ("domain", "mydomain.com", "found own"),
                ("domain", "foreign.test", "not-found"),
                ("mailbox", "x@foreign.test", "not-found"),
                ("aliases", "x@foreign.test", "not-found"),
            ],
        )
        # Within the second after the last reading of the domains it may still be refused.
        wait_until(lambda: probe.ask("fresh", "x@foreign.test").startswith("temp-fail "), 30, "a doubtful refusal")
        self.assertEqual(len(probe.log("database-down")), 1, probe.log())
        self.assertIn(f"user={USER}", probe.log("database-down")[0])

    def check_recovery(self, probe):
        self.check_eventually(probe, "mailbox", "zhangsan@mydomain.com", "found zhangsan@mydomain.com")
        self.check_eventually(probe, "credentials", "lisi@mydomain.com", "found lisi@mydomain.com $6$lisi")
        self.assertEqual(len(probe.log("database-down")), 1, probe.log())
        self.assertEqual(len(probe.log("database-up")), 1, probe.log())

    def test_the_server_is_killed(self):
        self.addCleanup(lambda: server.process.poll() is None or server.start())
        probe = self.probe("mail")
        probe.ask("mailbox", "lisi@mydomain.com")
        server.kill()
        self.check_outage(probe)
        server.start()
        self.check_recovery(probe)

    def test_the_server_is_frozen(self):
        self.addCleanup(server.thaw)
        probe = self.probe("mail")
        probe.ask("mailbox", "lisi@mydomain.com")
        server.freeze()
        self.check_outage(probe)
        server.thaw()
        self.check_recovery(probe)

    def test_it_is_started_before_the_server(self):
        self.addCleanup(lambda: server.process.poll() is None or server.start())
        server.stop()
        probe = self.probe("mail")
        self.assertRegex(probe.ask("domain", "foreign.test"), "^temp-fail the domains could not be read")
        self.assertRegex(probe.ask("mailbox", "lisi@mydomain.com"), "^temp-fail .*check that the server runs")
        server.start()
        self.check_recovery(probe)

    def test_it_ends_while_the_server_is_frozen(self):
        self.addCleanup(server.thaw)
        probe = self.probe("mail", settings={"database": {"deadline": "60s"}})
        probe.ask("mailbox", "lisi@mydomain.com")
        server.freeze()
        numbers = [probe.send("mailbox", f"person{i}@mydomain.com") for i in range(20)]
        probe.close()
        for number in numbers:
            self.assertEqual(probe.answer(number), "temp-fail the daemon is stopping")

    def test_a_table_that_is_locked(self):
        probe = self.probe("mail")
        probe.ask("mailbox", "lisi@mydomain.com")
        client = ["mariadb", "--no-defaults", "--unbuffered", "--batch", "--skip-column-names"]
        with subprocess.Popen(
            [*client, f"--socket={server.socket}", "mail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            holder.stdin.write(b"LOCK TABLES virtual_users WRITE; SELECT 'held';\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline(), b"held\n")
            for i in range(8):
                self.assertRegex(probe.ask("mailbox", f"person{i}@mydomain.com"), "^temp-fail ")
            holder.stdin.close()
            holder.wait(30)
        self.check_eventually(probe, "mailbox", "zhangsan@mydomain.com", "found zhangsan@mydomain.com")

    def test_connections_that_the_server_closed(self):
        probe = self.probe("mail", settings={"directory": {"domains_refresh": "60s"}})
        for i in range(20):
            self.assertEqual(probe.ask("mailbox", f"person{i}@mydomain.com"), "not-found")
            for (number,) in server.query(f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'"):
                with contextlib.suppress(DatabaseError):  # it may have gone by itself
                    server.query(f"KILL {number}")
        self.assertEqual(probe.log("database-down"), [])

    def test_a_wrong_password(self):
        probe = self.probe("mail", password="wrong")
        answer = probe.ask("mailbox", "lisi@mydomain.com")
        self.assertRegex(answer, f"^temp-fail .*Access denied.*check database user '{USER}' and its password file")
        self.assertNotIn("wrong", "".join(probe.log()) + answer)
        self.assertEqual(len(probe.log("database-down")), 1)
        server.query(f"SET PASSWORD FOR '{USER}'@'%' = PASSWORD('wrong')")
        self.check_eventually(probe, "mailbox", "lisi@mydomain.com", "found lisi@mydomain.com")

    def test_a_missing_database(self):
        probe = self.probe("nowhere")
        self.assertRegex(probe.ask("mailbox", "lisi@mydomain.com"), "^temp-fail .*nowhere.*vmailctl schema init")

    def test_missing_tables_and_columns(self):
        probe = self.probe("mail")
        self.assertEqual(probe.ask("mailbox", "lisi@mydomain.com"), "found lisi@mydomain.com")
        for change, undo in (
            ("RENAME TABLE virtual_aliases TO gone", "RENAME TABLE gone TO virtual_aliases"),
            (
                "ALTER TABLE virtual_aliases CHANGE enable gone tinyint NOT NULL DEFAULT 1",
                "ALTER TABLE virtual_aliases CHANGE gone enable tinyint NOT NULL DEFAULT 1",
            ),
        ):
            with self.subTest(change):
                server.query(change, "mail")
                for i in range(5):
                    self.assertRegex(probe.ask("mailbox", f"person{i}@mydomain.com"), "^temp-fail .*vmailctl schema status")
                # What does not need it goes on.
                self.assertEqual(probe.ask("credentials", "lisi@mydomain.com"), "found lisi@mydomain.com $6$lisi")
                self.assertEqual(len(probe.log("question-fails question=addresses")), 1)
                server.query(undo, "mail")
                self.assertEqual(probe.ask("mailbox", "person1@mydomain.com"), "not-found")
                self.assertEqual(len(probe.log("question-works question=addresses")), 1)
                probe.close()
                probe = self.probe("mail")
                os.truncate(probe._log, 0)
        self.assertEqual(probe.log("database-down"), [])

    def test_a_missing_grant(self):
        add_user(server, f"GRANT SELECT ON mail.virtual_users TO '{USER}'@'%'")
        probe = self.probe("mail")
        answer = probe.ask("mailbox", "lisi@mydomain.com")
        self.assertRegex(answer, f"^temp-fail .*denied.*user '{USER}' lacks a grant: run `vmailctl schema grants`")

    def test_tls_is_required_and_the_server_has_none(self):
        probe = self.probe("mail", [f"127.0.0.1:{server.port}"], settings={"database": {"tls": "require"}})
        self.assertRegex(probe.ask("mailbox", "lisi@mydomain.com"), "^temp-fail .*TLS.*check database.tls")
        # A UNIX socket never uses it.
        probe = self.probe("mail", settings={"database": {"tls": "require"}})
        self.assertEqual(probe.ask("mailbox", "lisi@mydomain.com"), "found lisi@mydomain.com")

    def test_tls(self):
        paths = self.folder.make("tls"), self.folder.make("other")
        (certificate, key), (other, _) = (make_certificate(path, "localhost") for path in paths)
        os.chmod(key, 0o644)
        encrypted = self.enterContext(MariaDB(options=[f"--ssl-cert={certificate}", f"--ssl-key={key}"]))
        encrypted.query("CREATE DATABASE mail")
        encrypted.load(CURRENT, "mail")
        encrypted.query(ROWS, "mail")
        add_user(encrypted, f"GRANT SELECT ON *.* TO '{USER}'@'%' REQUIRE SSL")
        found, refused = "^found lisi@", "^temp-fail .*check database.tls"
        for settings, expected in (
            ({"tls": "require"}, found),
            ({"tls": "verify-ca", "tls_ca": certificate}, found),
            ({"tls": "verify-full", "tls_ca": certificate}, found),
            ({"tls": "verify-ca", "tls_ca": other}, refused),
            ({"tls": "verify-full", "tls_ca": other}, refused),
            ({"tls": "verify-full"}, "^temp-fail .*database.tls_ca is empty"),
            ({"tls": "off"}, "^temp-fail .*Access denied"),
        ):
            with self.subTest(settings):
                # What takes long on a loaded machine is not what is looked at.
                patient = {"deadline": "20s", "connect_timeout": "20s", **settings}
                probe = self.probe("mail", [f"localhost:{encrypted.port}"], settings={"database": patient})
                self.assertRegex(probe.ask("mailbox", "lisi@mydomain.com"), expected)


class Hosts(DirectoryTestCase):
    """Two servers; the second has a user more, by which it is known."""

    def setUp(self):
        super().setUp()
        fill("mail", CURRENT, ROWS)
        self.second = self.enterContext(MariaDB())
        self.second.query("CREATE DATABASE mail")
        self.second.load(CURRENT, "mail")
        self.second.query(ROWS, "mail")
        self.second.query(
            "INSERT INTO virtual_users (domain_id, password, email) VALUES (2, 'x', 'second@mydomain.com')", "mail"
        )
        add_user(self.second)
        self.hosts = ["unix:" + server.socket, f"127.0.0.1:{self.second.port}"]

    def test_the_first_is_killed(self):
        self.addCleanup(lambda: server.process.poll() is None or server.start())
        probe = self.probe("mail", self.hosts)
        self.check(probe, [("mailbox", "second@mydomain.com", "not-found")])
        server.kill()
        # Not one question fails: the connection that broke is tried once more, on the other host.
        for i in range(20):
            self.assertEqual(probe.ask("mailbox", f"person{i}@mydomain.com"), "not-found")
        self.check_eventually(probe, "fresh", "second@mydomain.com", "found second@mydomain.com")
        server.start()

    def test_the_first_is_frozen(self):
        self.addCleanup(server.thaw)
        probe = self.probe("mail", self.hosts)
        self.check(probe, [("mailbox", "lisi@mydomain.com", "found lisi@mydomain.com")])
        server.freeze()
        self.check_eventually(probe, "mailbox", "second@mydomain.com", "found second@mydomain.com")
        server.thaw()

    def test_the_first_is_down_from_the_start(self):
        probe = self.probe("mail", ["127.0.0.1:1", *self.hosts[1:]])
        self.check(probe, [("mailbox", "second@mydomain.com", "found second@mydomain.com")])
        self.assertEqual(len(probe.log("database-down host=127.0.0.1:1")), 1)

    def test_both_go_and_the_second_comes_back(self):
        self.addCleanup(lambda: server.process.poll() is None or server.start())
        probe = self.probe("mail", self.hosts)
        self.check(probe, [("mailbox", "lisi@mydomain.com", "found lisi@mydomain.com")])
        server.kill()
        self.second.kill()
        self.assertRegex(probe.ask("mailbox", "person@mydomain.com"), "^temp-fail ")
        self.second.start()
        self.check_eventually(probe, "mailbox", "second@mydomain.com", "found second@mydomain.com")
        server.start()


if __name__ == "__main__":
    unittest.main()
