"""The change feed on a real MariaDB: its triggers, whoever writes, and its reader."""

import os
import random
import re
import subprocess
import unittest

import sql_tests
from private_server import DatabaseError, MariaDB
from site_tests import BUILD
from sql_tests import Admin, SqlTestCase

PROBE = os.path.join(BUILD, "tests/integration/feed_probe")
FEED_USER = "'vmailkit-feed'@'localhost'"
PANEL = "panel"

ROWS = """
INSERT INTO virtual_domains (id, name) VALUES (1, 'a.test'), (2, 'b.test');
INSERT INTO virtual_users (id, domain_id, password, email) VALUES
  (1, 1, 'x', 'u@a.test'), (2, 1, 'x', 'V@A.test'), (3, 1, 'x', 'w@other.test');
INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES
  (1, 1, 'all@a.test', 'u@a.test'), (2, 1, '@other.test', 'u@a.test'), (3, 2, 'x@b.test', 'u@a.test');
INSERT INTO virtual_alias_domains (name, target) VALUES ('c.test', 'a.test');
INSERT INTO virtual_relay_domains (name) VALUES ('relay.test');
INSERT INTO virtual_rules (kind, name, value) VALUES ('quota', 'u@a.test', '1G');
"""

# One after the other: what is written, and what the feed says.
CHANGES = [
    ("INSERT INTO virtual_domains (id, name) VALUES (3, 'New.test')", {"domain new.test"}),
    ("UPDATE virtual_domains SET name = 'b2.test' WHERE id = 3", {"domain new.test", "domain b2.test"}),
    ("UPDATE virtual_domains SET name = 'bücher.test' WHERE id = 3", {"domain b2.test", "domain xn--bcher-kva.test"}),
    ("DELETE FROM virtual_domains WHERE id = 3", {"domain xn--bcher-kva.test"}),
    ("INSERT INTO virtual_users (domain_id, password, email) VALUES (1, 'x', 'New@a.test')", {"address new@a.test"}),
    (
        "UPDATE virtual_users SET email = 'm@b.test' WHERE email = 'new@a.test'",
        {"address new@a.test", "address m@b.test"},
    ),
    ("UPDATE virtual_users SET password = 'y' WHERE id = 1", {"address u@a.test"}),
    ("UPDATE virtual_users SET enable = 0 WHERE id < 3", {"address u@a.test", "address v@a.test"}),
    ("UPDATE virtual_users SET enable = 0 WHERE id < 3", set()),
    ("UPDATE virtual_users SET email = 'ü@a.test' WHERE id = 1", {"address u@a.test", "address ü@a.test"}),
    (
        "REPLACE INTO virtual_users (id, domain_id, password, email) VALUES (1, 1, 'x', 'u@a.test')",
        {"address u@a.test", "address ü@a.test"},
    ),
    ("UPDATE virtual_users SET services = 'imap', not_after = 5 WHERE id = 1", {"address u@a.test"}),
    ("UPDATE virtual_users SET networks = '::1' WHERE id = 1", {"address u@a.test"}),
    ("UPDATE virtual_users SET app_passwords_only = 1 WHERE id = 1", {"address u@a.test"}),
    ("UPDATE virtual_users SET scram_sha256 = 'x' WHERE id = 1", {"address u@a.test"}),
    ("UPDATE virtual_users SET scram_for = 'x' WHERE id = 1", {"address u@a.test"}),
    ("UPDATE virtual_domains SET app_passwords_only = 1 WHERE id = 2", {"domain b.test"}),
    (
        "INSERT INTO virtual_app_passwords (email, selector, hash) VALUES ('u@a.test', 'abcdefgh', 'x')",
        {"address u@a.test"},
    ),
    ("UPDATE virtual_app_passwords SET hash = 'y' WHERE selector = 'abcdefgh'", {"address u@a.test"}),
    ("UPDATE virtual_app_passwords SET last_used = 5, last_ip = '::1'", set()),
    ("UPDATE virtual_app_passwords SET enable = 0", {"address u@a.test"}),
    ("DELETE FROM virtual_app_passwords", {"address u@a.test"}),
    ("DELETE FROM virtual_users WHERE email = 'm@b.test'", {"address m@b.test"}),
    (
        "INSERT INTO virtual_aliases (domain_id, source, destination)"
        " VALUES (2, '@b.test', 'u@a.test'), (2, 'n@b.test', 'k')",
        {"address @b.test", "address n@b.test"},
    ),
    ("UPDATE virtual_aliases SET destination = 'v@a.test' WHERE source = 'n@b.test'", {"address n@b.test"}),
    ("UPDATE virtual_aliases SET enable = 0 WHERE id = 1", {"address all@a.test"}),
    (
        "UPDATE virtual_aliases SET source = 'o@b.test' WHERE source = 'n@b.test'",
        {"address n@b.test", "address o@b.test"},
    ),
    ("DELETE FROM virtual_aliases WHERE source = 'o@b.test'", {"address o@b.test"}),
    ("INSERT INTO virtual_alias_domains (name, target) VALUES ('d.test', 'a.test')", {"domain d.test"}),
    ("UPDATE virtual_alias_domains SET target = 'b.test' WHERE name = 'd.test'", {"domain d.test"}),
    ("UPDATE virtual_alias_domains SET enable = 0 WHERE name = 'd.test'", {"domain d.test"}),
    ("DELETE FROM virtual_alias_domains WHERE name = 'd.test'", {"domain d.test"}),
    ("INSERT INTO virtual_relay_domains (name) VALUES ('r.test')", {"domain r.test"}),
    ("UPDATE virtual_relay_domains SET enable = 0", {"domain r.test", "domain relay.test"}),
    ("DELETE FROM virtual_relay_domains WHERE name = 'r.test'", {"domain r.test"}),
    ("INSERT INTO virtual_rules (kind, name, value) VALUES ('send-as', 'u@a.test', '*')", {"rules rules"}),
    ("UPDATE virtual_rules SET value = '2G' WHERE kind = 'quota'", {"rules rules"}),
    ("UPDATE virtual_rules SET kind = 'limit' WHERE kind = 'quota'", {"rules rules"}),
    ("UPDATE virtual_rules SET enable = 0", {"rules rules"}),
    ("UPDATE virtual_rules SET enable = 0", set()),
    ("DELETE FROM virtual_rules WHERE kind = 'send-as'", {"rules rules"}),
    # The cascade: what lies in the domain is meant by its own note.
    ("DELETE FROM virtual_domains WHERE id = 1", {"domain a.test", "address w@other.test", "address @other.test"}),
]


def setUpModule():
    sql_tests.start_server()


class Probe:
    """A reader of the feed in a process of its own, which asks when it is told to."""

    def __init__(self, admin):
        self._process = subprocess.Popen(
            [PROBE, admin.config, admin.users["maps"], admin.password("maps")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def tell(self, command):
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            if line == ".\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the probe ended: {lines}")

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class Client:
    """A connection that stays, with a transaction that may be open."""

    def __init__(self, database, user="root", password=None):
        self._process = subprocess.Popen(
            ["mariadb", "--no-defaults", f"--socket={sql_tests.server.socket}", f"--user={user}", "--unbuffered"]
            + ["--batch", "--skip-column-names", "--force", database],
            env=dict(os.environ, **({"MYSQL_PWD": password} if password else {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def send(self, statements):
        self._process.stdin.write(f"{statements};\nSELECT 'that was all';\n")
        self._process.stdin.flush()

    def take(self):
        lines = []
        for line in self._process.stdout:
            if line == "that was all\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the client ended: {lines}")

    def run(self, statements):
        self.send(statements)
        return self.take()

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class FeedTestCase(SqlTestCase):
    def setUp(self):
        super().setUp()
        self.ok("schema", "init")
        self.admin.sql(ROWS)

    def make_panel(self):
        """A user that may do with the original tables what a panel does, and knows of nothing else."""
        sql_tests.server.query(f"CREATE OR REPLACE USER {PANEL}@localhost IDENTIFIED BY 'p'")
        for table in ("domains", "users", "aliases", "alias_domains", "relay_domains", "rules", "app_passwords"):
            self.admin.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON virtual_{table} TO {PANEL}@localhost")

    def as_panel(self, statements):
        return self.admin.sql("SET sql_mode = 'TRADITIONAL';" + statements, user=PANEL, password="p")

    def client(self, *arguments):
        client = Client(self.admin.database, *arguments)
        self.addCleanup(client.close)
        return client

    def reader(self):
        """A probe that follows."""
        probe = Probe(self.admin)
        self.addCleanup(probe.close)
        self.assertEqual(probe.tell("poll"), ["gap it is read for the first time"])
        self.followed(probe)
        return probe

    def followed(self, probe):
        """The changes since the last time; a gap fails."""
        lines = probe.tell("poll")
        self.assertEqual([line for line in lines if line.split()[0] not in ("followed", "address", "domain", "rules")], [])
        return {line for line in lines if line != "followed"}

    def notes(self):
        return self.admin.sql("SELECT kind, name FROM vmailkit_changes ORDER BY id")


class Triggers(FeedTestCase):
    def test_each_change_is_seen(self):
        probe = self.reader()
        for statement, expected in CHANGES:
            with self.subTest(statement=statement):
                self.admin.sql(statement)
                self.assertEqual(self.followed(probe), expected)

    def test_each_change_by_a_panel_is_seen(self):
        self.make_panel()
        probe = self.reader()
        for statement, expected in CHANGES:
            with self.subTest(statement=statement):
                self.as_panel(statement)
                self.assertEqual(self.followed(probe), expected)
        with self.assertRaises(DatabaseError):
            self.as_panel("SELECT * FROM vmailkit_changes")

    def test_what_is_rolled_back_is_not_seen(self):
        probe = self.reader()
        self.admin.sql("START TRANSACTION; DELETE FROM virtual_users; ROLLBACK")
        self.assertEqual(self.followed(probe), set())

    def test_columns_that_are_not_read_are_not_noted(self):
        self.admin.sql("ALTER TABLE virtual_users ADD COLUMN last_login int")
        probe = self.reader()
        self.admin.sql("UPDATE virtual_users SET last_login = 1")
        self.assertEqual(self.followed(probe), set())

    def test_names_that_are_too_long_or_odd(self):
        """In tables that somebody has widened, with a strict SQL mode."""
        self.make_panel()
        probe = self.reader()
        self.admin.sql(
            "ALTER TABLE virtual_users MODIFY email varchar(500) CHARACTER SET latin1 NOT NULL;"
            "ALTER TABLE virtual_aliases MODIFY source varbinary(500) NOT NULL"
        )
        for table, column, others in (("users", "email", "password"), ("aliases", "source", "destination")):
            for value in ("REPEAT('x', 500)", "CONCAT(REPEAT('ü', 200), '@a.test')", "''", "0xfffe00", "'\\'%_\\\\'"):
                with self.subTest(column=column, value=value):
                    self.as_panel(
                        f"INSERT INTO virtual_{table} (domain_id, {column}, {others}) VALUES (1, {value}, 'y');"
                        f"UPDATE virtual_{table} SET {others} = 'z' WHERE {column} = {value};"
                        f"DELETE FROM virtual_{table} WHERE {column} = {value}"
                    )
                    self.assertNotEqual(self.notes()[-1][0], "everything")
        self.as_panel("INSERT INTO virtual_users (domain_id, email, password) VALUES (1, 'ü@a.test', 'y')")
        self.assertIn("address ü@a.test", self.followed(probe))
        self.as_panel("DELETE FROM virtual_domains WHERE id = 1")
        self.assertIn("domain a.test", self.followed(probe))

    def test_a_write_never_fails_through_them(self):
        """Whatever becomes of what they need; what they cannot tell, they say so."""
        harms = [
            ("ALTER TABLE vmailkit_changes RENAME COLUMN name TO named", True),
            ("RENAME TABLE vmailkit_changes TO elsewhere", False),
            ("RENAME TABLE vmailkit_changes TO elsewhere; CREATE VIEW vmailkit_changes AS SELECT 1 AS kind", False),
            ("RENAME TABLE vmailkit_changes TO elsewhere; CREATE TABLE vmailkit_changes (a int NOT NULL)", False),
            (f"REVOKE INSERT (name) ON vmailkit_changes FROM {FEED_USER}", True),
            (f"REVOKE INSERT (kind, name) ON vmailkit_changes FROM {FEED_USER}", False),
            (f"REVOKE SELECT (email, password) ON virtual_users FROM {FEED_USER}", True),
            (f"REVOKE SELECT (source, destination, domain_id) ON virtual_aliases FROM {FEED_USER}", True),
            (f"REVOKE EXECUTE ON PROCEDURE vmailkit_note FROM {FEED_USER}", False),
            ("DROP PROCEDURE vmailkit_note", False),
            ("INSERT INTO vmailkit_changes (id, kind) VALUES (18446744073709551614, 'start')", False),
        ]
        for harm, told in harms:
            with self.subTest(harm=harm):
                self.admin = Admin(self.folder)
                self.ok("schema", "init")
                self.admin.sql(ROWS)
                self.make_panel()
                self.admin.sql(harm)
                for statement, _ in CHANGES:
                    self.as_panel(statement)
                self.assertEqual(self.admin.sql("SELECT name FROM virtual_domains"), [["b.test"]])
                if told:
                    self.assertIn(["everything"], self.admin.sql("SELECT kind FROM vmailkit_changes"))

    def test_locks_that_are_waited_for_in_vain_are_not_hidden(self):
        """The server undoes the statement or the transaction then: a trigger that went on would hide that."""
        self.make_panel()
        self.admin.sql("CREATE TABLE other (id int PRIMARY KEY, value int); INSERT INTO other VALUES (1, 0)")
        self.admin.sql(f"GRANT SELECT, UPDATE ON other TO {PANEL}@localhost")
        holder, panel = self.client(), self.client(PANEL, "p")
        insert = "INSERT INTO virtual_users (domain_id, email, password) VALUES (2, 'new@b.test', 'x')"
        holder.run("START TRANSACTION; SELECT COUNT(*) FROM vmailkit_changes FOR UPDATE")
        shown = panel.run(f"SET innodb_lock_wait_timeout = 1; START TRANSACTION; {insert}; COMMIT")
        self.assertIn("ERROR 1205", "\n".join(shown))

        panel.run("SET innodb_lock_wait_timeout = 60; START TRANSACTION; UPDATE other SET value = 1")
        panel.send(insert)
        waiting = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        while not sql_tests.server.query(waiting):
            pass
        # The transaction with fewer rows is the one that is undone.
        rows = ", ".join(f"(2, 's{i}@b.test', 'd')" for i in range(50))
        holder.run(f"INSERT INTO virtual_aliases (domain_id, source, destination) VALUES {rows}")
        holder.run("UPDATE other SET value = 2")
        self.assertIn("ERROR 1213", "\n".join(panel.take()))
        self.assertEqual(panel.run("SELECT @@in_transaction"), ["0"])
        holder.run("ROLLBACK")
        self.assertEqual(self.admin.sql("SELECT 1 FROM virtual_users WHERE email = 'new@b.test'"), [])
        self.assertEqual(self.admin.sql("SELECT value FROM other"), [["0"]])

    def test_writers_do_not_wait_for_each_other(self):
        first, second = self.client(), self.client()
        user = "INSERT INTO virtual_users (domain_id, email, password) VALUES"
        first.run(f"START TRANSACTION; {user} (2, 'f@b.test', 'x')")
        first.run("DELETE FROM virtual_domains WHERE id = 1")
        self.assertEqual(
            second.run(
                "SET innodb_lock_wait_timeout = 1; START TRANSACTION;"
                f"{user} (2, 's@b.test', 'x'); INSERT INTO virtual_domains (name) VALUES ('s.test');"
                "DELETE FROM virtual_domains WHERE name = 's.test'; COMMIT"
            ),
            [],
        )
        first.run("COMMIT")

    def test_under_lock_tables(self):
        """As a dump of the rows alone is read in."""
        probe = self.reader()
        for statement, expected in CHANGES:
            with self.subTest(statement=statement):
                table = re.search(r"virtual_\w+", statement)[0]
                self.admin.sql("SELECT COUNT(*) FROM vmailkit_changes")
                self.admin.sql(f"LOCK TABLES {table} WRITE; {statement}; UNLOCK TABLES")
                self.assertEqual(self.followed(probe), expected)

    def test_nobody_can_log_in_as_their_account(self):
        for password in ("", "x"):
            with self.assertRaisesRegex(DatabaseError, "ERROR (1045|4151)"):
                self.admin.sql("SELECT 1", user="vmailkit-feed", password=password)
        grants = {row[0].split(" TO ")[0] for row in sql_tests.server.query(f"SHOW GRANTS FOR {FEED_USER}")}
        self.assertIn("GRANT USAGE ON *.*", grants)
        for grant in grants:
            self.assertNotRegex(grant, r"ALL|UPDATE|SUPER|CREATE|ALTER|DROP")


class Reader(FeedTestCase):
    def test_a_thousand_changes_in_transactions_that_end_in_any_order(self):
        self.make_panel()
        probe = self.reader()
        draw = random.Random(7)
        expected, seen = set(), set()
        clients = [
            {"connection": self.client(*who), "number": number, "keys": set(), "open": False}
            for number, who in enumerate([(), (PANEL, "p")] * 4)
        ]
        for client in clients:
            # None waits for another one's rows.
            client["connection"].run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            number = client["number"]
            users = ", ".join(f"({100 * number + user + 100}, 1, 'x', 'k{user}.{number}@a.test')" for user in range(20))
            self.admin.sql(f"INSERT INTO virtual_users (id, domain_id, password, email) VALUES {users}")
        self.followed(probe)
        for change in range(1000):
            client = draw.choice(clients)
            user = draw.randrange(20)
            key = f"k{user}.{client['number']}@a.test"
            user += 100 * client["number"] + 100
            alias = f"INSERT INTO virtual_aliases (domain_id, source, destination) VALUES (2, '{key}', '{change}')"
            statement = draw.choice(
                [
                    f"UPDATE virtual_users SET password = '{change}' WHERE id = {user}",
                    f"UPDATE virtual_users SET password = '{change}', enable = 1 - enable WHERE id = {user}",
                    alias,
                    f"{alias}; DELETE FROM virtual_aliases WHERE id = LAST_INSERT_ID()",
                ]
            )
            if not client["open"]:
                client["connection"].run("START TRANSACTION")
                client["open"] = True
            self.assertEqual(client["connection"].run(statement), [])
            client["keys"].add("address " + key)
            if draw.random() < 0.3:
                ending = draw.choice(clients)
                commits = draw.random() < 0.8
                ending["connection"].run("COMMIT" if commits else "ROLLBACK")
                expected |= ending["keys"] if commits else set()
                ending.update(keys=set(), open=False)
            if change == 500:
                probe.tell("restart")
            if draw.random() < 0.2:
                seen |= self.followed(probe)
                self.assertEqual(expected - seen, set())
        for client in clients:
            client["connection"].run("COMMIT")
            expected |= client["keys"]
        seen |= self.followed(probe)
        self.assertEqual(expected - seen, set())

    def test_a_transaction_that_is_open_while_others_come_and_go(self):
        probe = self.reader()
        slow = self.client()
        slow.run("START TRANSACTION; UPDATE virtual_users SET enable = 0 WHERE id = 1")
        for number in range(300):
            self.admin.sql(f"INSERT INTO virtual_domains (name) VALUES ('d{number}.test')")
            if number % 50 == 0:
                self.followed(probe)
        self.followed(probe)
        probe.tell("later 1800")
        self.followed(probe)
        slow.run("COMMIT")
        self.assertEqual(self.followed(probe), {"address u@a.test"})

    def test_old_notes_are_pruned(self):
        probe = self.reader()
        self.admin.sql(
            "INSERT INTO vmailkit_changes (kind, noted_at) SELECT 'start', NOW() - INTERVAL 8 DAY FROM seq_1_to_2500;"
        )
        self.assertEqual(self.followed(probe), set())
        self.admin.sql("UPDATE vmailkit_changes SET noted_at = NOW() - INTERVAL 9 DAY WHERE id < 100")
        self.assertEqual(probe.tell("prune"), ["more"])
        self.assertEqual(probe.tell("prune"), ["more"])
        self.assertEqual(probe.tell("prune"), ["done"])
        # The newest stays, as old as it is.
        newest = self.admin.sql("SELECT COUNT(*), MAX(id) - MIN(id) FROM vmailkit_changes")
        self.assertEqual(newest, [["1", "0"]])
        self.admin.sql("DELETE FROM virtual_relay_domains")
        self.assertEqual(self.followed(probe), {"domain relay.test"})
        self.assertEqual(probe.tell("prune"), ["done"])
        self.assertEqual(len(self.notes()), 1)
        self.assertEqual(self.followed(probe), set())

    def test_notes_that_are_gone_are_a_gap(self):
        probe = self.reader()
        self.admin.sql("TRUNCATE vmailkit_changes")
        self.assertRegex(probe.tell("poll")[0], "^gap note .* is not there")
        self.assertIn("is empty", self.ok("schema", "status", status=1))
        self.admin.sql("DELETE FROM virtual_relay_domains")
        self.assertEqual(self.followed(probe), {"domain relay.test"})
        self.admin.sql("DELETE FROM vmailkit_changes; DELETE FROM virtual_domains WHERE id = 2")
        self.assertRegex(probe.tell("poll")[0], "^gap note .* is not there")

    def test_triggers_that_are_gone_are_noticed(self):
        probe = self.reader()
        self.admin.sql("DROP TRIGGER vmailkit_users_update")
        probe.tell("later 30")
        self.assertRegex(probe.tell("poll")[0], "^unavailable triggers of it are missing")
        self.assertIn("trigger vmailkit_users_update is missing", self.ok("schema", "status", status=1))
        self.assertIn("daemons see a change within two seconds", self.ok("schema", "feed", "on"))
        self.ok("schema", "status")
        self.assertEqual(probe.tell("poll"), ["gap it is read for the first time"])

    def test_triggers_that_were_made_anew_are_a_gap(self):
        """A table that was restored alone: no note tells of its rows."""
        probe = self.reader()
        others = [f"--ignore-table={self.admin.database}.{row[0]}" for row in self.admin.sql("SHOW TABLES")]
        others.remove(f"--ignore-table={self.admin.database}.virtual_users")
        self.admin.sql(sql_tests.server.dump(self.admin.database, *others))
        probe.tell("later 30")
        self.assertEqual(probe.tell("poll"), ["gap its triggers were made anew"])
        self.followed(probe)

    def test_rights_that_the_triggers_lack_are_noticed(self):
        probe = self.reader()
        self.admin.sql(f"REVOKE INSERT (kind, name) ON vmailkit_changes FROM {FEED_USER}")
        probe.tell("later 30")
        self.assertRegex(probe.tell("poll")[0], "^unavailable triggers of it are missing")
        self.assertIn("lacks INSERT", self.ok("schema", "verify", status=1))
        self.ok("schema", "feed", "on")
        self.assertEqual(probe.tell("poll"), ["gap it is read for the first time"])

    def test_switched_off_and_on(self):
        probe = self.reader()
        self.assertIn("switched off", self.ok("schema", "feed", "off"))
        self.assertRegex(probe.tell("poll")[0], "^unavailable it is switched off")
        self.assertEqual(self.admin.sql("SHOW TRIGGERS"), [])
        # Which is kept.
        for command in ("upgrade", "grants", "init"):
            self.ok("schema", command)
        self.assertIn("switched off", self.ok("schema", "status"))
        self.admin.sql("DELETE FROM virtual_domains")
        self.ok("schema", "feed", "on")
        self.assertEqual(probe.tell("poll"), ["gap it is read for the first time"])
        self.assertEqual(probe.tell("prune"), ["done"])

    def test_an_older_schema_has_none(self):
        self.admin.sql("DROP TABLE vmailkit_feed; DELETE FROM vmailkit_schema WHERE version > 3")
        probe = Probe(self.admin)
        self.addCleanup(probe.close)
        self.assertRegex(probe.tell("poll")[0], "^unavailable version 3 of the schema has none")
        self.assertEqual(probe.tell("prune"), ["done"])
        self.refused("schema", "feed", "on", because="older schema")
        self.ok("schema", "upgrade")
        self.assertEqual(probe.tell("poll"), ["gap it is read for the first time"])

    def test_tables_that_are_gone_are_told(self):
        probe = self.reader()
        self.admin.sql("DROP TABLE vmailkit_changes")
        self.assertRegex(probe.tell("poll")[0], "^unavailable .*vmailkit_changes")

    def test_everything_is_read_in_one_view(self):
        probe = self.reader()
        self.admin.sql("UPDATE virtual_users SET enable = 0 WHERE id = 2")
        self.admin.sql("UPDATE virtual_aliases SET enable = 0 WHERE id = 3")
        self.assertEqual(
            set(probe.tell("everything")),
            {
                *(f"domain {name}.test" for name in ("a", "b", "c", "relay")),
                "row u@a.test 1 ",
                "row v@a.test 2 ",
                "row w@other.test 1 ",
                "row all@a.test 0 u@a.test",
                "row @other.test 0 u@a.test",
                "row x@b.test 0 ",
            },
        )


class Restore(FeedTestCase):
    def setUp(self):
        super().setUp()
        self.make_panel()

    def restore(self, dump):
        sql_tests.server.query(f"DROP DATABASE {self.admin.database}; CREATE DATABASE {self.admin.database}")
        self.admin.sql(dump)

    def test_in_the_same_server(self):
        """An ordinary dump has the triggers, and not the routines."""
        probe = self.reader()
        dump = sql_tests.server.dump(self.admin.database)
        self.as_panel("DELETE FROM virtual_users WHERE id = 1")
        self.assertEqual(self.followed(probe), {"address u@a.test"})
        self.restore(dump)
        # It works, though nothing notes it.
        self.as_panel("DELETE FROM virtual_users WHERE id = 2")
        self.assertRegex(probe.tell("poll")[0], "^gap note .* is not there")
        self.assertRegex(probe.tell("poll")[0], "^unavailable .*vmailkit_triggers.*vmailctl schema feed on")
        self.assertIn("procedure vmailkit_note is missing", self.ok("schema", "status", status=1))
        self.ok("schema", "feed", "on")
        self.assertEqual(probe.tell("poll"), ["gap it is read for the first time"])
        self.assertEqual(probe.tell("prune"), ["done"])

    def test_with_routines_it_works_at_once(self):
        dump = sql_tests.server.dump(self.admin.database, "--routines")
        probe = self.reader()
        self.restore(dump)
        self.as_panel("DELETE FROM virtual_users WHERE id = 2")
        probe.tell("later 30")
        self.assertRegex(probe.tell("poll")[0], "^gap ")
        self.assertIn("address v@a.test", self.followed(probe))
        self.ok("schema", "status")

    def test_in_a_server_without_the_account(self):
        """MariaDB then refuses the write before the trigger begins: it is said at once, and how to mend it."""
        dump = sql_tests.server.dump(self.admin.database, "--routines")
        for mend in (("schema", "feed", "on"), ("schema", "grants"), ("schema", "upgrade"), ("schema", "feed", "off")):
            with self.subTest(mend=mend):
                sql_tests.server.query(f"DROP USER {FEED_USER}")
                self.restore(dump)
                with self.assertRaisesRegex(DatabaseError, "ERROR 1449"):
                    self.as_panel("DELETE FROM virtual_users")
                probe = Probe(self.admin)
                self.assertRegex(probe.tell("poll")[0], "^unavailable .*vmailkit-feed.*vmailctl schema feed on")
                probe.close()
                for command in ("status", "verify"):
                    shown = self.ok("schema", command, status=1)
                    self.assertIn("EVERY WRITE TO THE MAIL TABLES FAILS", shown)
                    self.assertIn("To mend it: vmailctl schema feed on", shown)
                self.assertTrue(self.json("schema", "status", status=1)["feed"]["writes_fail"])
                self.ok(*mend)
                self.as_panel("DELETE FROM virtual_users")
                self.ok("schema", "status")
                self.ok("schema", "feed", "on")

    def test_a_backup_works_without_the_account(self):
        sql_tests.server.query(f"DROP USER {FEED_USER}")
        dump = sql_tests.server.dump(self.admin.database, "--routines", "--lock-tables")
        self.assertIn("vmailkit_users_insert", dump)
        self.ok("schema", "feed", "on")


class BinaryLog(FeedTestCase):
    """A server with a binary log, and an administrator without SUPER."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        before = sql_tests.server
        cls.addClassCleanup(setattr, sql_tests, "server", before)
        sql_tests.server = cls.enterClassContext(MariaDB(options=["--log-bin=log", "--server-id=1"]))

    def little_admin(self, more=""):
        sql_tests.server.query(
            "CREATE OR REPLACE USER adm@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('x');"
            "GRANT ALL ON *.* TO adm@localhost WITH GRANT OPTION;"
            f"REVOKE SUPER, SET USER, BINLOG ADMIN ON *.* FROM adm@localhost; {more}"
        )
        path = os.path.join(self.admin.path, "adm.password")
        with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o400)) as file:
            file.write("x\n")
        self.admin = Admin(self.folder, {"admin": {"database_user": "adm", "database_password_file": path}})

    def test_all_formats_of_the_log(self):
        self.make_panel()
        for log_format in ("ROW", "MIXED", "STATEMENT"):
            with self.subTest(format=log_format):
                sql_tests.server.query(f"SET GLOBAL binlog_format = {log_format}")
                self.admin = Admin(self.folder)
                self.ok("schema", "init")
                self.admin.sql(ROWS)
                self.make_panel()
                probe = self.reader()
                for statement, expected in CHANGES:
                    self.as_panel(statement)
                    self.assertEqual(self.followed(probe), expected)
                self.assertEqual(probe.tell("prune"), ["done"])
        sql_tests.server.query("SET GLOBAL binlog_format = MIXED")

    def test_error_1419_is_explained_and_the_rest_is_done(self):
        self.little_admin("GRANT SET USER ON *.* TO adm@localhost")
        self.admin.make_original()
        done = self.admin.run("schema", "upgrade")
        self.assertEqual(done.returncode, 1)
        for words in ("SUPER", "(error 1419)", "log_bin_trust_function_creators", "vmailctl schema feed on"):
            self.assertIn(words, done.stderr.decode())
        self.assertIn("daemons see a change as lifetimes end", done.stdout.decode())
        report = self.json("schema", "status", status=1)
        self.assertEqual((report["version"], report["feed"]["good"]), (report["newest"], False))
        self.assertEqual({step["state"] for step in report["steps"]}, {"done"})
        self.refused("schema", "feed", "on", because="(error 1419)")
        self.admin.sql("UPDATE virtual_users SET enable = 0")

        self.ok("schema", "feed", "off")
        self.ok("schema", "status")
        sql_tests.server.query("SET GLOBAL log_bin_trust_function_creators = 1")
        self.addCleanup(sql_tests.server.query, "SET GLOBAL log_bin_trust_function_creators = 0")
        self.ok("schema", "feed", "on")
        self.ok("schema", "status")

    def test_an_account_that_may_not_name_another_one_is_told(self):
        sql_tests.server.query("SET GLOBAL log_bin_trust_function_creators = 1")
        self.addCleanup(sql_tests.server.query, "SET GLOBAL log_bin_trust_function_creators = 0")
        self.little_admin()
        self.admin.make_original()
        done = self.admin.run("schema", "upgrade")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SET USER", done.stderr.decode())
        report = self.json("schema", "status", status=1)
        self.assertEqual(report["version"], report["newest"])

    def test_a_dump_that_somebody_without_super_reads_in(self):
        """It ends at the first trigger: the manual says to leave them out, or to be the administrator."""
        sql_tests.server.query(
            "CREATE USER owner@localhost IDENTIFIED BY 'o';"
            "CREATE DATABASE copy; GRANT ALL ON copy.* TO owner@localhost"
        )
        with self.assertRaisesRegex(DatabaseError, "ERROR (1227|1419)"):
            sql_tests.server.query(sql_tests.server.dump(self.admin.database), "copy", user="owner", password="o")
        dump = sql_tests.server.dump(self.admin.database, "--skip-triggers")
        sql_tests.server.query(dump, "copy", user="owner", password="o")
        sql_tests.server.query("DELETE FROM virtual_users", "copy", user="owner", password="o")


if __name__ == "__main__":
    unittest.main()
