"""vmailctl schema, on a real MariaDB: upgrades, grants, password files."""

import json
import os
import pwd
import re
import subprocess
import unittest

import sql_tests
from private_server import DatabaseError
from sql_tests import Admin, SqlTestCase

TUTORIAL_QUERIES = [
    "SELECT 1 FROM virtual_domains WHERE name='{domain}'",
    "SELECT 1 FROM virtual_users WHERE enable=1 AND email='{address}'",
    "SELECT destination FROM virtual_aliases WHERE source='{address}'",
    "SELECT email as user, password FROM virtual_users WHERE enable=1 AND email='{address}';",
]
TUTORIAL_KEYS = [
    {"domain": domain, "address": f"{local}@{domain}"}
    for domain in ("mydomain.com", "MyDomain.com", "mail.mydomain.com", "elsewhere.test")
    for local in ("lisi", "LISI", "zhangsan", "all", "nobody", "")
]

# What stands in the way of unique indexes and of an ASCII column.
ODD_ROWS = """
INSERT INTO virtual_domains (id, name) VALUES
  (3, 'mydomain.com'), (4, 'MYDOMAIN.com'), (5, "o'dd.test"), (6, "o'dd.test");
INSERT INTO virtual_users (id, domain_id, password, email, enable) VALUES
  (3, 3, 'pässwörd', 'wang@mydomain.com', 1),
  (4, 6, '{PLAIN}密码', "o'neill@o'dd.test", 0);
INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES
  (3, 2, 'ALL@mydomain.com', 'lisi@mydomain.com'),
  (4, 4, 'all@mydomain.com', 'lisi@mydomain.com'),
  (5, 6, "it's@o'dd.test", "o'neill@o'dd.test"),
  (6, 6, "it's@o'dd.test", "o'neill@o'dd.test");
"""

# What every daemon may read.
COLUMNS = {
    "virtual_domains": {"id", "name", "enable"},
    "virtual_users": {"id", "domain_id", "email", "enable"},
    "virtual_aliases": {"id", "domain_id", "source", "destination", "enable"},
    "virtual_alias_domains": {"name", "target", "enable"},
    "virtual_relay_domains": {"name", "enable"},
    "vmailkit_schema": {"version"},
    "vmailkit_changes": {"id", "kind", "name", "noted_at"},
    "vmailkit_feed": {"id", "identity", "enable"},
}

# What vmail-authd may read besides.
LOGIN_COLUMNS = {
    "password",
    "services",
    "networks",
    "not_before",
    "not_after",
    "app_passwords_only",
    "scram_sha256",
    "scram_for",
}
APP_PASSWORD_COLUMNS = {
    "id",
    "email",
    "selector",
    "label",
    "hash",
    "services",
    "networks",
    "not_after",
    "last_used",
    "enable",
}


def setUpModule():
    sql_tests.start_server()


def steps(report, state):
    return [step for step in report["steps"] if step["state"] == state]


class Upgrade(SqlTestCase):
    def fresh(self):
        """A database as `schema init` makes it."""
        other = Admin(self.folder)
        self.assertEqual(other.run("schema", "init").returncode, 0)
        return other

    @staticmethod
    def structure(admin):
        return re.sub(r" AUTO_INCREMENT=\d+", "", admin.dump("--no-data"))

    def original_rows(self):
        return [
            self.admin.sql(query)
            for query in (
                "SELECT id, name FROM virtual_domains ORDER BY id",
                "SELECT id, domain_id, password, email, enable FROM virtual_users ORDER BY id",
                "SELECT id, domain_id, source, destination FROM virtual_aliases ORDER BY id",
            )
        ]

    def tutorial_answers(self):
        return [[self.admin.sql(query.format(**key)) for query in TUTORIAL_QUERIES] for key in TUTORIAL_KEYS]

    def test_fresh_equals_original_and_all_upgrades(self):
        self.admin.make_original(rows="")
        self.ok("schema", "upgrade")
        fresh = self.fresh()
        self.assertEqual(self.admin.dump(), fresh.dump())
        self.assertIn("INSERT INTO `vmailkit_schema`", fresh.dump())

    def test_printed_schema_equals_too(self):
        printed = subprocess.run(
            [sql_tests.VMAILCTL, "--config", "/nonexistent", "schema", "print"], stdout=subprocess.PIPE, check=True
        ).stdout.decode()
        sql_tests.server.query(f"CREATE DATABASE {self.admin.database}")
        self.admin.sql(printed)
        self.ok("schema", "feed", "on")
        self.assertEqual(self.admin.dump(), self.fresh().dump())

    def test_tutorial_is_upgraded_without_a_row_changed(self):
        self.admin.make_original()
        rows, answers = self.original_rows(), self.tutorial_answers()
        self.assertIn([["1"]], answers[0])
        self.assertIn([["zhangsan@mydomain.com"], ["lisi@mydomain.com"]], answers[3])

        before = self.json("schema", "status", status=1)
        self.assertEqual((before["version"], before["good"], steps(before, "blocked")), (0, False, []))
        told = self.ok("schema", "upgrade")
        self.assertIn("Daemons of the version before: keep working", told)
        after = self.json("schema", "status")
        self.assertEqual((after["version"], after["good"]), (after["newest"], True))
        self.assertEqual([len(steps(after, state)) for state in ("pending", "blocked")], [0, 0])

        self.assertEqual(self.original_rows(), rows)
        self.assertEqual(self.tutorial_answers(), answers)
        self.assertEqual(self.admin.sql("SELECT DISTINCT enable FROM virtual_domains"), [["1"]])
        self.assertEqual(self.admin.sql("SELECT DISTINCT enable FROM virtual_aliases"), [["1"]])

    def test_rows_in_the_way_are_listed_mended_and_tried_again(self):
        self.admin.make_original()
        self.admin.sql(ODD_ROWS)
        rows, answers = self.original_rows(), self.tutorial_answers()
        report = self.json("schema", "upgrade", status=1)
        self.assertEqual(self.original_rows(), rows)
        self.assertEqual(self.tutorial_answers(), answers)
        blocked = steps(report, "blocked")
        self.assertEqual(
            [step.get("meanwhile") for step in blocked],
            [
                "plain index on virtual_domains.name",
                None,
                "virtual_users.password of 255 characters",
            ],
        )
        self.assertEqual([len(step["in_the_way"]) for step in blocked], [3, 2, 2])
        self.assertEqual(report["version"], self.json("schema", "status", status=1)["version"])
        self.assertIn("to mend it:", self.ok("schema", "status", status=1))
        # The look-ups are fast already.
        for table, column, index in (
            ("virtual_domains", "name", "name_lookup"),
            ("virtual_aliases", "source", "source"),
        ):
            plan = self.admin.sql(f"EXPLAIN SELECT 1 FROM {table} WHERE {column} = 'x@y'")
            self.assertIn(index, plan[0])
        self.assertEqual(self.json("schema", "upgrade", status=1)["steps"], report["steps"])

        for step in blocked:
            for obstacle in step["in_the_way"]:
                self.admin.sql(obstacle["mend"])
        users = self.admin.sql("SELECT email, domain_id FROM virtual_users ORDER BY id")
        self.assertEqual(
            users,
            [
                ["zhangsan@mydomain.com", "2"],
                ["lisi@mydomain.com", "2"],
                ["wang@mydomain.com", "2"],
                ["o'neill@o'dd.test", "5"],
            ],
        )
        aliases = self.admin.sql("SELECT id, source, domain_id FROM virtual_aliases ORDER BY id")
        self.assertEqual(
            aliases, [["1", "all@mydomain.com", "2"], ["2", "all@mydomain.com", "2"], ["5", "it's@o'dd.test", "5"]]
        )
        # What was mended locks the login, in a form that any checker understands.
        self.assertEqual(self.admin.sql("SELECT LENGTH(password) FROM virtual_users WHERE id = 3"), [["106"]])
        self.ok("schema", "upgrade")
        self.ok("schema", "status")
        self.assertEqual(self.structure(self.admin), self.structure(self.fresh()))

    def test_order_of_many_destinations_stays(self):
        """The tutorial's query has no ORDER BY, yet nobody's alias should come out in another order."""
        self.admin.make_original()
        rows = ", ".join(f"(2, 'list{i % 50}@mydomain.com', 'u{i * 7919 % 4000}@far.test')" for i in range(4000))
        self.admin.sql(f"INSERT INTO virtual_aliases (domain_id, source, destination) VALUES {rows}")
        self.admin.sql("ANALYZE TABLE virtual_aliases")
        query = TUTORIAL_QUERIES[2]
        before = [self.admin.sql(query.format(address=f"list{i}@mydomain.com")) for i in range(50)]
        self.ok("schema", "upgrade")
        self.admin.sql("ANALYZE TABLE virtual_aliases")
        self.assertEqual([self.admin.sql(query.format(address=f"list{i}@mydomain.com")) for i in range(50)], before)

    def test_values_that_differ_only_by_accent_stand_in_the_way_too(self):
        self.admin.make_original()
        self.admin.sql("INSERT INTO virtual_domains (id, name) VALUES (7, 'muller.test'), (8, 'müller.test')")
        report = self.json("schema", "upgrade", status=1)
        self.assertIn("id 8", steps(report, "blocked")[0]["in_the_way"][0]["problem"])

    def test_columns_that_mean_something_else_are_in_the_way(self):
        """Daemons go by the version: it is not noted before all is there that logins are checked by."""
        self.admin.make_original()
        self.admin.sql(
            "ALTER TABLE virtual_users ADD COLUMN services int NOT NULL DEFAULT 0,"
            " ADD COLUMN not_after datetime DEFAULT NULL;"
            "CREATE TABLE virtual_app_passwords (id int)"
        )
        report = self.json("schema", "upgrade", status=1)
        blocked = steps(report, "blocked")
        self.assertEqual(
            [step["step"] for step in blocked],
            ["column virtual_users.services", "column virtual_users.not_after", "table virtual_app_passwords"],
        )
        self.assertEqual(report["version"], 6)
        self.assertIn("is there already, as int", blocked[0]["in_the_way"][0]["problem"])
        self.assertEqual(self.json("schema", "status", status=1)["version"], 6)
        for step in blocked:
            self.admin.sql(step["in_the_way"][0]["mend"])
        self.ok("schema", "upgrade")
        self.ok("schema", "status")
        self.assertEqual(self.admin.sql("SELECT DISTINCT services, old_services FROM virtual_users"), [["", "0"]])

    def test_dry_run_changes_nothing(self):
        self.admin.make_original()
        self.admin.sql(ODD_ROWS)
        before = self.admin.dump()
        shown = self.ok("schema", "upgrade", "--dry-run", status=1)
        self.assertIn("ALTER TABLE virtual_users MODIFY password varchar(255) NOT NULL;", shown)
        self.assertIn("Nothing was changed", shown)
        self.assertEqual(self.admin.dump(), before)

    def test_dry_run_shows_just_what_is_then_done(self):
        self.admin.make_original()
        planned = self.json("schema", "upgrade", "--dry-run")
        self.assertEqual(planned["version"], 0)
        script = "".join(step["statement"] + ";\n" for step in planned["steps"] if "statement" in step)
        self.admin.sql(script)
        self.assertEqual(steps(self.json("schema", "status", status=1), "pending"), [])
        self.ok("schema", "feed", "on")
        self.ok("schema", "status")
        self.assertIn("Nothing to do.", self.ok("schema", "upgrade", "--dry-run"))

    def test_interrupted_at_any_step_it_goes_on(self):
        whole = None
        self.admin.make_original()
        planned = [s["statement"] for s in self.json("schema", "upgrade", "--dry-run")["steps"] if "statement" in s]
        for done in range(len(planned) + 1):
            with self.subTest(done=done):
                self.admin = Admin(self.folder)
                self.admin.make_original(rows="")
                for statement in planned[:done]:
                    self.admin.sql(statement)
                report = self.json("schema", "status", status=1)
                self.assertEqual(bool(steps(report, "pending")), done < len(planned))
                self.ok("schema", "upgrade")
                self.ok("schema", "status")
                whole = whole or self.admin.dump()
                self.assertEqual(self.admin.dump(), whole)

    def test_interrupted_by_a_kill_it_goes_on(self):
        """A reader holds virtual_users, so that the upgrade waits in the middle, and is killed there."""
        self.admin.make_original()
        rows = self.original_rows()
        holder = subprocess.Popen(
            ["mariadb", "--no-defaults", f"--socket={sql_tests.server.socket}", "--user=root", "--unbuffered"]
            + [self.admin.database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        holder.stdin.write(b"START TRANSACTION; SELECT 'holds' FROM virtual_users LIMIT 1;\n")
        holder.stdin.flush()
        while b"holds" not in holder.stdout.readline():
            pass
        upgrade = subprocess.Popen(self.admin.argv("schema", "upgrade"), stdout=subprocess.DEVNULL)
        waiting = "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%'"
        while not (thread := sql_tests.server.query(waiting)):
            self.assertIsNone(upgrade.poll())
        upgrade.kill()
        upgrade.wait()
        sql_tests.server.query(f"KILL {thread[0][0]}")
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()
        self.assertEqual(self.json("schema", "status", status=1)["version"], 1)
        self.ok("schema", "upgrade")
        self.ok("schema", "status")
        self.assertEqual(self.original_rows(), rows)

    def test_an_original_table_of_old_row_format_is_upgraded(self):
        """Tables that were made by a server of 2015 keep its row format."""
        self.admin.make_original()
        for table in ("virtual_domains", "virtual_users", "virtual_aliases"):
            self.admin.sql(f"ALTER TABLE {table} ROW_FORMAT=COMPACT")
        rows = self.original_rows()
        self.ok("schema", "upgrade")
        self.ok("schema", "status")
        self.assertEqual(self.original_rows(), rows)

    def test_tables_that_are_not_there_are_named(self):
        self.refused("schema", "status", because="Unknown database")
        sql_tests.server.query(f"CREATE DATABASE {self.admin.database}")
        for command in ("status", "upgrade", "verify", "grants"):
            self.refused("schema", command, because="holds no mail tables")
        self.admin.sql("CREATE TABLE virtual_users (id int)")
        self.refused("schema", "upgrade", because="holds only some of")
        self.refused("schema", "init", because="holds only some of")


class Init(SqlTestCase):
    def test_it_makes_all_and_may_be_repeated(self):
        self.assertIn("is ready, schema version", self.ok("schema", "init"))
        dump = self.admin.dump()
        passwords = [self.admin.password(section) for section in self.admin.users]
        again = self.json("schema", "init")
        self.assertEqual([user["password"] for user in again["users"]], ["kept"] * 3)
        self.assertEqual(self.admin.dump(), dump)
        self.assertEqual([self.admin.password(section) for section in self.admin.users], passwords)

    def test_interrupted_it_goes_on(self):
        self.ok("schema", "init")
        whole = self.admin.dump()
        self.admin.sql(
            "DROP TABLE virtual_relay_domains, virtual_alias_domains, virtual_aliases; DELETE FROM vmailkit_schema"
        )
        self.ok("schema", "init")
        self.assertEqual(self.admin.dump(), whole)

    def test_an_original_database_is_left_alone(self):
        self.admin.make_original()
        before = self.admin.dump()
        errors = self.admin.run("schema", "init").stderr.decode()
        self.assertIn("vmailctl schema upgrade", errors)
        self.refused("schema", "init", because="already holds mail tables, of an older schema")
        self.assertEqual(self.admin.dump(), before)

    def test_a_name_that_needs_quoting(self):
        self.admin = Admin(self.folder, {"database": {"name": "odd `na-me' %_"}})
        self.ok("schema", "init")
        self.ok("schema", "grants")
        self.ok("schema", "status")
        self.ok("domain", "add", "mydomain.com")
        maps = self.admin.users["maps"]
        rows = sql_tests.server.query(
            "SELECT name FROM virtual_domains", "odd `na-me' %_", user=maps, password=self.admin.password("maps")
        )
        self.assertEqual(rows, [["mydomain.com"]])
        sql_tests.server.query("DROP DATABASE `odd ``na-me' %_`")


class Grants(SqlTestCase):
    def setUp(self):
        super().setUp()
        self.ok("schema", "init")

    def columns(self):
        rows = self.admin.sql(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        )
        return {tuple(row) for row in rows}

    def allowed(self, section, statement):
        try:
            self.admin.sql(statement, user=self.admin.users[section], password=self.admin.password(section))
            return True
        except DatabaseError as error:
            self.assertRegex(str(error), r"ERROR (1142|1143|1044|1045|1227|1370)")
            return False

    def test_each_reads_exactly_its_columns(self):
        for section in ("maps", "auth", "store"):
            expected = {table: set(columns) for table, columns in COLUMNS.items()}
            if section == "auth":
                expected["virtual_domains"].add("app_passwords_only")
                expected["virtual_users"] |= LOGIN_COLUMNS
                expected["virtual_app_passwords"] = APP_PASSWORD_COLUMNS
            expected["virtual_rules"] = {"id", "kind", "name", "value", "enable"}
            if section == "maps":
                expected["vmailkit_usage"] = {"subject", "measure", "period", "slot", "writer", "amount", "ends"}
                expected["vmailkit_held"] = {"host", "queue_id", "login", "held_at"}
            for table, column in sorted(self.columns()):
                with self.subTest(section=section, table=table, column=column):
                    readable = self.allowed(section, f"SELECT `{column}` FROM {table}")
                    self.assertEqual(readable, column in expected.get(table, ()))

    def test_the_hash_is_out_of_reach_by_any_way(self):
        for section in ("maps", "store"):
            for statement in (
                "SELECT * FROM virtual_users",
                "SELECT id FROM virtual_users WHERE password LIKE '$6$%'",
                "SELECT id FROM virtual_users ORDER BY password",
                "SELECT u.id FROM virtual_users u JOIN virtual_users v ON u.password = v.password",
                "CREATE VIEW v AS SELECT password FROM virtual_users",
                "SELECT 1 FROM mysql.user",
            ):
                with self.subTest(section=section, statement=statement):
                    self.assertFalse(self.allowed(section, statement))

    def test_none_can_write(self):
        for section in ("maps", "auth", "store"):
            for statement in (
                "INSERT INTO virtual_domains (name) VALUES ('x.test')",
                "UPDATE virtual_users SET enable = 0",
                "DELETE FROM virtual_aliases",
                "INSERT INTO vmailkit_changes (kind) VALUES ('everything')",
                "DELETE FROM vmailkit_changes",
                "UPDATE vmailkit_feed SET enable = 0",
                "DROP TRIGGER vmailkit_users_insert",
                "DROP PROCEDURE vmailkit_prune",
                "DROP TABLE virtual_aliases",
                "ALTER TABLE virtual_users ADD COLUMN x int",
                "CREATE TABLE t (a int)",
                "LOCK TABLES virtual_domains WRITE",
                "SELECT 1 INTO OUTFILE '/tmp/vmailkit-outfile'",
            ):
                with self.subTest(section=section, statement=statement):
                    self.assertFalse(self.allowed(section, statement))

    def test_each_has_a_password_of_its_own(self):
        passwords = [self.admin.password(section) for section in self.admin.users]
        self.assertEqual(len(set(passwords)), 3)
        for password in passwords:
            self.assertRegex(password, r"^[A-Za-z0-9_-]{32}$")
        for section, user in self.admin.users.items():
            for other in ("", "wrong", *(p for p in passwords if p != self.admin.password(section))):
                with self.assertRaises(DatabaseError):
                    self.admin.sql("SELECT 1", user=user, password=other)

    def test_password_files_are_private_and_never_shown(self):
        for section, owner in (("maps", "vmailkit"), ("auth", "vmailkit-auth"), ("store", "mail")):
            info = os.stat(self.admin.password_file(section))
            self.assertEqual(oct(info.st_mode & 0o7777), oct(0o400))
            try:
                self.assertEqual(info.st_uid, pwd.getpwnam(owner).pw_uid)
            except KeyError:
                self.assertEqual(info.st_uid, 0)
        os.unlink(self.admin.password_file("maps"))
        for arguments in (["schema", "grants"], ["--json", "schema", "grants"], ["--json", "schema", "init"]):
            done = self.admin.run(*arguments)
            for section in self.admin.users:
                self.assertNotIn(self.admin.password(section).encode(), done.stdout + done.stderr)
        files = {section + ".password" for section in self.admin.users}
        self.assertEqual(set(os.listdir(self.admin.etc)), {*files, "vmailkit.toml"})

    def test_a_file_that_is_there_says_the_password(self):
        with open(self.admin.password_file("maps"), "w", encoding="ascii") as file:
            file.write("it's \\ a 'pass' word\n")
        os.chmod(self.admin.password_file("maps"), 0o400)
        self.assertEqual(self.json("schema", "grants")[0]["password"], "kept")
        self.assertTrue(self.allowed("maps", "SELECT id FROM virtual_users"))

    def test_a_file_that_others_could_read_gets_a_new_password(self):
        before = self.admin.password("auth")
        os.chmod(self.admin.password_file("auth"), 0o440)
        self.assertIn("can be read or written by others", self.ok("schema", "verify", status=1))
        self.assertEqual([user["password"] for user in self.json("schema", "grants")], ["kept", "made", "kept"])
        self.assertNotEqual(self.admin.password("auth"), before)
        self.assertEqual(os.stat(self.admin.password_file("auth")).st_mode & 0o7777, 0o400)
        self.assertTrue(self.allowed("auth", "SELECT password FROM virtual_users"))
        with self.assertRaises(DatabaseError):
            self.admin.sql("SELECT 1", user=self.admin.users["auth"], password=before)

    def test_a_lost_file_and_a_changed_password_are_mended(self):
        os.unlink(self.admin.password_file("store"))
        sql_tests.server.query(f"ALTER USER '{self.admin.users['maps']}'@'localhost' IDENTIFIED BY 'other'")
        shown = self.ok("schema", "verify", status=1)
        self.assertIn("No such file", shown)
        self.assertIn("vmailctl schema grants", shown)
        self.ok("schema", "grants")
        for section in self.admin.users:
            self.assertTrue(self.allowed(section, "SELECT id FROM virtual_users"))

    def test_rights_too_many_and_too_few_are_found_and_mended(self):
        maps, store = (f"'{self.admin.users[section]}'@'localhost'" for section in ("maps", "store"))
        sql_tests.server.query(
            f"GRANT INSERT ON {self.admin.database}.virtual_users TO {maps};"
            f"GRANT SELECT (password) ON {self.admin.database}.virtual_users TO {maps};"
            f"GRANT SELECT ON {self.admin.database}.* TO {maps};"
            f"GRANT PROCESS ON *.* TO {maps};"
            f"REVOKE SELECT (email) ON {self.admin.database}.virtual_users FROM {store};"
        )
        problems = self.json("schema", "verify", status=1)["problems"]
        found = "\n".join(problems)
        whole = f"may do more than it should: SELECT {self.admin.database}\n"
        for what in ("INSERT", "virtual_users.password", whole, "PROCESS"):
            self.assertIn(what, found + "\n")
        self.assertIn(f"{store} lacks SELECT {self.admin.database}.virtual_users.email", found)
        self.ok("schema", "grants")
        self.test_each_reads_exactly_its_columns()
        verified = json.loads(self.admin.run("--json", "schema", "verify").stdout)
        self.assertEqual([problem for problem in verified["problems"] if self.admin.database in problem], [])

    def test_verify_is_content_where_the_daemons_users_exist(self):
        """In a mount namespace of its own, with an /etc/passwd that knows them."""
        accounts = os.path.join(self.admin.path, "passwd")
        with open("/etc/passwd", encoding="utf-8") as now, open(accounts, "w", encoding="utf-8") as file:
            file.writelines(line for line in now if not line.startswith("vmailkit"))
            file.write("vmailkit:x:5001:5001::/:/bin/false\nvmailkit-auth:x:5002:5002::/:/bin/false\n")
        prefix = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', accounts]
        if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("no mount namespaces here")
        done = self.admin.run("schema", "grants", prefix=prefix)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        owners = [os.stat(self.admin.password_file(section)).st_uid for section in ("maps", "auth", "store")]
        self.assertEqual(owners, [5001, 5002, pwd.getpwnam("mail").pw_uid])
        done = self.admin.run("--json", "schema", "verify", prefix=prefix)
        self.assertEqual((done.returncode, json.loads(done.stdout)["problems"]), (0, []))

    def test_verify_finds_what_is_missing_in_the_tables(self):
        for statement, what in (
            ("ALTER TABLE virtual_domains DROP INDEX name", "unique index on virtual_domains.name"),
            ("ALTER TABLE virtual_aliases DROP COLUMN enable", "column virtual_aliases.enable"),
            ("DROP TABLE virtual_relay_domains", "table virtual_relay_domains"),
            ("ALTER TABLE virtual_users MODIFY password varchar(106) NOT NULL", "virtual_users.password of 255 ASCII"),
        ):
            with self.subTest(what=what):
                self.admin.sql(statement)
                shown = self.ok("schema", "verify", status=1)
                self.assertIn(what, shown)
                self.assertIn("vmailctl schema upgrade", shown)
                self.ok("schema", "upgrade")
                self.ok("schema", "status")

    def test_an_older_schema_is_upgraded_first(self):
        self.admin = Admin(self.folder)
        self.admin.make_original()
        self.refused("schema", "grants", because="older schema")
        self.ok("schema", "upgrade")
        self.ok("schema", "grants")
        self.test_each_reads_exactly_its_columns()

    def test_an_upgrade_gives_daemons_that_exist_their_rights(self):
        name, maps = self.admin.database, f"'{self.admin.users['maps']}'@'localhost'"
        self.admin.sql("DROP TABLE virtual_rules; DELETE FROM vmailkit_schema WHERE version >= 5")
        sql_tests.server.query(f"REVOKE SELECT (id, kind, name, value, enable) ON {name}.virtual_rules FROM {maps}")
        self.ok("schema", "upgrade")
        self.test_each_reads_exactly_its_columns()

    def test_what_logins_write_is_for_their_daemon_alone(self):
        for section in ("maps", "auth", "store"):
            with self.subTest(section=section):
                use = self.allowed(section, "UPDATE virtual_app_passwords SET last_used = 1, last_ip = '' WHERE id = 1")
                self.assertEqual(use, section == "auth")
                for statement in (
                    "UPDATE virtual_app_passwords SET hash = 'x'",
                    "DELETE FROM virtual_app_passwords",
                    "UPDATE virtual_users SET password = 'x'",
                    "UPDATE virtual_users SET scram_sha256 = 'x'",
                ):
                    self.assertFalse(self.allowed(section, statement), statement)

    def test_features_that_write_have_rights_while_they_are_on(self):
        for setting, column in (("rehash", "password"), ("capture_scram", "scram_sha256")):
            with self.subTest(setting=setting):
                self.admin = Admin(self.folder, {"passwords": {setting: True}})
                self.ok("schema", "init")
                self.assertTrue(self.allowed("auth", f"UPDATE virtual_users SET {column} = 'x', scram_for = 'x'"))
                self.assertFalse(self.allowed("maps", f"UPDATE virtual_users SET {column} = 'x'"))
                with open(self.admin.config, encoding="utf-8") as file:
                    text = file.read()
                with open(self.admin.config, "w", encoding="utf-8") as file:
                    file.write(text.replace(f"{setting} = true", f"{setting} = false"))
                self.assertIn("may do more than it should: UPDATE", self.ok("schema", "verify", status=1))
                self.ok("schema", "grants")
                self.assertFalse(self.allowed("auth", f"UPDATE virtual_users SET {column} = 'x'"))

    def test_over_loopback_and_from_another_machine(self):
        tcp = f"127.0.0.1:{sql_tests.server.port}"
        sql_tests.server.query(
            "CREATE USER tcp_root@'127.0.0.1' IDENTIFIED BY 'x';"
            "GRANT ALL ON *.* TO tcp_root@'127.0.0.1' WITH GRANT OPTION"
        )
        self.addCleanup(sql_tests.server.query, "DROP USER tcp_root@'127.0.0.1'")
        password = os.path.join(self.admin.path, "root.password")
        with open(password, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o400)) as file:
            file.write("x\n")
        admin = {"database_user": "tcp_root", "database_password_file": password}
        self.admin = Admin(self.folder, {"database": {"hosts": [tcp]}, "admin": admin})
        users = self.json("schema", "init")["users"]
        self.assertEqual({user["user"].split("@")[1] for user in users}, {"localhost", "127.0.0.1", "::1"})
        rows = sql_tests.server.query(
            "SELECT id FROM virtual_users",
            self.admin.database,
            self.admin.users["maps"],
            self.admin.password("maps"),
            tcp=True,
        )
        self.assertEqual(rows, [])

        self.admin = Admin(self.folder, {"database": {"hosts": [tcp, "192.0.2.1"]}, "admin": admin})
        self.refused("schema", "init", because="is another machine")
        users = self.json("schema", "init", "--from", "192.0.2.%")["users"]
        self.assertEqual({user["user"].split("@")[1] for user in users}, {"192.0.2.%"})


class Status(SqlTestCase):
    def test_statuses_of_what_goes_wrong(self):
        self.refused("schema", "nonsense", because="vmailctl schema: there is no 'nonsense'; there are: ", status=64)
        self.refused("schema", "upgrade", "--nonsense", because="--nonsense", status=64)
        self.refused(because="vmailctl: a command is missing; there are: schema, domain, ", status=64)
        self.assertIn("schema", self.ok("--help"))

        self.admin = Admin(self.folder, {"database": {"hosts": [f"unix:{self.admin.path}/nobody"]}})
        self.refused("schema", "status", because="nobody", status=69)
        self.admin = Admin(self.folder, {"database": {"hosts": "not a list"}})
        self.refused("schema", "status", because="database.hosts", status=78)
        self.admin = Admin(self.folder, {"admin": {"database_user": "nobody-such"}})
        errors = self.refused("schema", "status", because="nobody-such", status=78)
        self.assertIn("admin.database_user", errors)
        self.admin.config += ".missing"
        self.refused("schema", "status", because=".missing", status=78)


if __name__ == "__main__":
    unittest.main()
