"""vmail-mapd between a real MariaDB and real Postfix tools: the tutorial's own tests, odd keys, and what goes wrong."""

import contextlib
import os
import pathlib
import unittest

from map_tests import MapClient, TempFail, postmap
from private_server import MariaDB, Postfix, ServerError, Suite, TemporaryFolder, wait_until
from private_server.suite import MAPS_UID
from site_tests import BUILD
from sql_tests import ORIGINAL, TUTORIAL_ROWS

TEAM = "zhangsan@mydomain.com,lisi@mydomain.com"


def setUpModule():
    global folder, database, postfix, suite
    folder = unittest.enterModuleContext(TemporaryFolder())
    database = unittest.enterModuleContext(MariaDB(folder))
    postfix = Postfix(folder)  # for its tools: it does not run
    # Lifetimes as of a site that changes its tables by hand: what a test changes is seen at once.
    settings = {
        "directory": {"feed": False, "found_lifetime": "0s", "not_found_lifetime": "0s", "domains_refresh": "100ms"}
    }
    suite = Suite(BUILD, folder, ["unix:" + database.socket], postfix.queue, postfix.owner, settings)
    unittest.addModuleCleanup(suite.stop)


def load_tutorial():
    database.query("DROP DATABASE IF EXISTS mailserver; CREATE DATABASE mailserver CHARACTER SET utf8")
    database.load(ORIGINAL, "mailserver")
    database.query(TUTORIAL_ROWS, "mailserver")


def upgrade_tutorial():
    load_tutorial()
    suite.control("schema", "upgrade")
    suite.control("schema", "grants")
    suite.hand_over_passwords()


def ask(table, key):
    return postmap(postfix, table, key)


def client_of_maps():
    return MapClient(postfix)


class TutorialTests:
    """The tutorial's three tests of its MySQL tables, asked of us instead."""

    def test_domain(self):
        self.assertEqual(ask("domains", "mydomain.com"), "1")

    def test_mailbox(self):
        self.assertEqual(ask("mailboxes", "lisi@mydomain.com"), "1")

    def test_alias(self):
        self.assertEqual(ask("aliases", "all@mydomain.com"), TEAM)

    def test_relative_to_the_queue_folder(self):
        """As main.cf names it; the tools then have to stand in the queue folder, as command() does."""
        done = postfix.command("postmap", "-q", "mydomain.com", "socketmap:unix:vmailkit/maps:domains")
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"), done.stderr)

    def test_keys(self):
        table = {
            "domains": {
                "MyDomain.COM": "1",
                "mail.mydomain.com": "1",
                "other.mydomain.com": None,
                "com": None,
                "localhost": None,
                "[192.0.2.1]": None,
                "lisi@mydomain.com": None,
                "*": None,
            },
            "mailboxes": {
                "LiSi@MyDomain.COM": "1",
                "lisi+news@mydomain.com": "1",
                "lisi+a+b@mydomain.com": "1",
                '"lisi"@mydomain.com': "1",
                "lisi@mail.mydomain.com": None,
                "nobody@mydomain.com": None,
                "all@mydomain.com": None,
                "+lisi@mydomain.com": None,
                "lisi@mydomain.com@mydomain.com": None,
                '"li si"@mydomain.com': None,
                '"lisi@mydomain.com': None,
                "lisi@[192.0.2.1]": None,
                "lisi@": None,
                "@mydomain.com": None,
                "mydomain.com": None,
                "lisi": None,
                "<>": None,
                "*": None,
                "l_si@mydomain.com": None,
                "%@mydomain.com": None,
                "' OR 1=1 -- @mydomain.com": None,
                "lisi@mydomain.com ": None,
                " lisi@mydomain.com": None,
                "l\u00edsi@mydomain.com": None,
                "x" * 20000 + "@mydomain.com": None,
            },
            "aliases": {
                "ALL@MyDomain.com": TEAM,
                "all+x@mydomain.com": "zhangsan+x@mydomain.com,lisi+x@mydomain.com",
                "lisi@mydomain.com": None,
                "mydomain.com": None,
                "@mydomain.com": None,
                "all": None,
                "all@elsewhere.test": None,
                "\u00e4ll@mydomain.com": None,
            },
        }
        for name, keys in table.items():
            for key, answer in keys.items():
                with self.subTest(f"{name} {key[:40]}"):
                    self.assertEqual(ask(name, key), answer)


class AsItIs(TutorialTests, unittest.TestCase):
    """The tutorial's database as its readers made it, and a user that may read it."""

    @classmethod
    def setUpClass(cls):
        load_tutorial()
        file = suite.password_file("maps")
        pathlib.Path(file).write_text("of the test\n", "ascii")
        os.chmod(file, 0o400)
        os.chown(file, MAPS_UID, MAPS_UID)
        database.query(
            "CREATE OR REPLACE USER 'vmailkit-maps'@'localhost' IDENTIFIED BY 'of the test';"
            "GRANT SELECT ON mailserver.* TO 'vmailkit-maps'@'localhost'"
        )
        cls.addClassCleanup(suite.maps.stop)
        cls.addClassCleanup(database.query, "DROP USER 'vmailkit-maps'@'localhost'")
        cls.addClassCleanup(os.unlink, file)
        suite.maps.start()


class Upgraded(TutorialTests, unittest.TestCase):
    """The same database after the upgrades, with the grants of vmailctl."""

    @classmethod
    def setUpClass(cls):
        upgrade_tutorial()
        cls.addClassCleanup(suite.maps.stop)
        suite.maps.start()

    def vmailctl(self, *arguments, stdin=""):
        suite.control(*arguments, stdin=stdin)

    def test_disabled_user(self):
        self.vmailctl("user", "add", "off@mydomain.com", stdin="password 1\n")
        self.assertEqual(ask("mailboxes", "off@mydomain.com"), "1")
        self.vmailctl("alias", "add", "@mail.mydomain.com", "lisi@mydomain.com")
        self.vmailctl("user", "disable", "off@mydomain.com")
        self.assertIsNone(ask("mailboxes", "off@mydomain.com"))
        self.assertIsNone(ask("mailboxes", "off+x@mydomain.com"))
        self.vmailctl("user", "add", "off@mail.mydomain.com", stdin="password 1\n")
        self.vmailctl("user", "disable", "off@mail.mydomain.com")
        self.assertEqual(ask("aliases", "anybody@mail.mydomain.com"), "lisi@mydomain.com")
        self.assertIsNone(ask("aliases", "off@mail.mydomain.com"))
        self.assertIsNone(ask("aliases", "off+x@mail.mydomain.com"))
        self.assertIsNone(ask("aliases", "mail.mydomain.com"))
        self.vmailctl("alias", "remove", "@mail.mydomain.com")

    def test_new_domain_is_seen(self):
        self.assertIsNone(ask("domains", "new.test"))
        self.vmailctl("domain", "add", "new.test")
        wait_until(lambda: ask("domains", "new.test") == "1", 60, "the new domain")
        self.vmailctl("domain", "disable", "new.test")
        wait_until(lambda: ask("domains", "new.test") is None, 60, "the disabled domain to go")

    def test_internationalised_domain(self):
        self.vmailctl("domain", "add", "b\u00fccher.test")
        self.vmailctl("user", "add", "leser@b\u00fccher.test", stdin="password 1\n")
        for domain in ("b\u00fccher.test", "B\u00dcCHER.test", "xn--bcher-kva.test"):
            with self.subTest(domain):
                wait_until(lambda domain=domain: ask("domains", domain) == "1", 60, "the domain")
                self.assertEqual(ask("mailboxes", "leser@" + domain), "1")

    def test_unknown_map(self):
        with self.assertRaises(TempFail):
            ask("mailbox", "lisi@mydomain.com")
        with client_of_maps() as client:
            reply = client.ask(b"mailbox lisi@mydomain.com")
            self.assertTrue(reply.startswith(b'PERM no map "mailbox"; there are: domains, mailboxes, aliases, '), reply)
            self.assertEqual(client.ask(b"domains mydomain.com"), b"OK 1")

    def test_one_connection_for_all(self):
        with client_of_maps() as client:
            for _ in range(50):
                self.assertEqual(client.ask(b"domains mydomain.com"), b"OK 1")
                self.assertEqual(client.ask(b"domains elsewhere.test"), b"NOTFOUND ")
                self.assertEqual(client.ask(b"aliases all@mydomain.com"), b"OK " + TEAM.encode())
            # No client does so, but all are answered, in order.
            for number in range(50):
                client.send(b"mailboxes lisi@mydomain.com" if number % 2 else b"mailboxes nobody@mydomain.com")
            self.assertEqual([client.reply() for _ in range(50)], [b"NOTFOUND ", b"OK 1"] * 25)

    def test_odd_requests(self):
        for request in (b"mailboxes ", b"aliases ", b"domains ", b"aliases \xff\xfe@mydomain.com", b"domains a\0b"):
            with self.subTest(request), client_of_maps() as client:
                self.assertEqual(client.ask(request), b"NOTFOUND ")
        with client_of_maps() as client:
            self.assertEqual(client.ask(b"mailboxes " + b"x" * 99990), b"NOTFOUND ")
            self.assertTrue(client.ask(b"mailboxes").startswith(b"PERM "))
            self.assertEqual(client.ask(b"domains mydomain.com"), b"OK 1")

    def test_malformed(self):
        for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"05:abcde,", b"3:a b;", b"100001:", b":", b"99999999999999999999:"):
            with self.subTest(garbage), client_of_maps() as client:
                seen = len(suite.maps.process.read_log())
                self.assertEqual(client.ask(b"domains mydomain.com"), b"OK 1")
                client.socket.sendall(garbage)
                self.assertIsNone(client.reply())
                lines = suite.maps.process.read_log()[seen:].splitlines()
                self.assertEqual(len([line for line in lines if "result=closed" in line]), 1, lines)

    def test_many_connections(self):
        """Postfix opens two for each SMTP session, and keeps them."""
        clients = [client_of_maps() for _ in range(500)]
        for client in clients:
            self.assertEqual(client.ask(b"domains mydomain.com"), b"OK 1")
        for client in clients:
            self.assertEqual(client.ask(b"domains elsewhere.test"), b"NOTFOUND ")
            client.socket.close()

    def test_outage(self):
        database.stop()
        try:
            self.assertEqual(ask("domains", "mydomain.com"), "1")
            self.assertIsNone(ask("domains", "never-seen.test"))
            self.assertIsNone(ask("aliases", "x@never-seen.test"))
            with self.assertRaises(TempFail):
                ask("mailboxes", "never-seen@mydomain.com")
            with client_of_maps() as client:
                reply = client.ask(b"mailboxes never-seen@mydomain.com")
                self.assertTrue(reply.startswith(b"TEMP "), reply)
                self.assertNotIn(b"password", reply)
        finally:
            database.start()
        with client_of_maps() as client:
            wait_until(lambda: client.ask(b"mailboxes never-seen@mydomain.com") == b"NOTFOUND ", 60, "an answer")
            self.assertEqual(client.ask(b"mailboxes lisi@mydomain.com"), b"OK 1")

    def test_restart_is_not_noticed(self):
        """The socket is held, so a request waits for the daemon instead of failing."""
        suite.maps.stop()
        with client_of_maps() as client:
            client.send(b"domains mydomain.com")
            suite.maps.start()
            self.assertEqual(client.reply(), b"OK 1")

    def test_flush(self):
        self.vmailctl("user", "disable", "zhangsan@mydomain.com")
        self.assertIsNone(ask("mailboxes", "zhangsan@mydomain.com"))
        self.vmailctl("user", "enable", "zhangsan@mydomain.com")
        self.assertEqual(ask("mailboxes", "zhangsan@mydomain.com"), "1")


class WrongSetUp(unittest.TestCase):
    """One clear message, and nothing answered wrong."""

    @classmethod
    def setUpClass(cls):
        upgrade_tutorial()

    def setUp(self):
        # What an earlier daemon knew would be served.
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(suite.state_folder("maps"), "directory.snapshot"))
        self.addCleanup(suite.maps.stop)

    def assert_temporary(self, table, key):
        with self.assertRaises(TempFail):
            ask(table, key)

    def test_no_password_file(self):
        file = suite.password_file("maps")
        os.rename(file, file + ".away")
        self.addCleanup(os.rename, file + ".away", file)
        with self.assertRaisesRegex(ServerError, "(?s)status 78.*maps.password: cannot be read: No such file"):
            suite.maps.start()

    def test_password_refused(self):
        database.query("ALTER USER 'vmailkit-maps'@'localhost' IDENTIFIED BY 'another'")
        self.addCleanup(suite.control, "schema", "grants")
        suite.maps.start()
        for table, key in (("domains", "mydomain.com"), ("mailboxes", "lisi@mydomain.com"), ("aliases", "x@y.test")):
            self.assert_temporary(table, key)
        self.assertIn("Access denied for user 'vmailkit-maps'@'localhost'", suite.maps.process.read_log())
        # It works by itself as soon as the password is right again.
        suite.control("schema", "grants")
        with client_of_maps() as client:
            wait_until(lambda: client.ask(b"mailboxes lisi@mydomain.com") == b"OK 1", 60, "an answer")

    def test_table_missing(self):
        database.query("RENAME TABLE virtual_users TO away", "mailserver")
        self.addCleanup(database.query, "RENAME TABLE away TO virtual_users", "mailserver")
        suite.maps.start()
        self.assertEqual(ask("domains", "mydomain.com"), "1")
        self.assert_temporary("mailboxes", "lisi@mydomain.com")
        self.assertIn("mailserver.virtual_users", suite.maps.process.read_log())


if __name__ == "__main__":
    unittest.main()
