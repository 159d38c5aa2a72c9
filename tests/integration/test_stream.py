"""Rows as they come from the server, in one view of the database."""

import unittest

from pool_tests import PoolProbe, add_user, host
from private_server import MariaDB, TemporaryFolder

ROWS = 100000
server = None


def setUpModule():
    global server
    server = unittest.enterModuleContext(MariaDB())
    add_user(server)
    server.query(
        f"CREATE TABLE many (n int PRIMARY KEY, text varchar(100)) SELECT seq AS n, 'ten bytes.' AS text FROM seq_1_to_{ROWS};"
        "CREATE TABLE few (text text); INSERT INTO few VALUES ('a'), (NULL), (REPEAT('x', 256)), (REPEAT('y', 257)),"
        " (REPEAT('z', 60000)), ('b'), ('');"
        "CREATE TABLE written (n int) ENGINE=InnoDB",
        "mail",
    )


class Stream(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(TemporaryFolder())
        self.probe = PoolProbe(folder, [host(server)])
        self.addCleanup(self.probe.close)

    def check(self, command, words, expected):
        self.assertRegex(self.probe.ask(command, words), expected)

    def test_rows(self):
        digits = sum(len(str(n)) for n in range(1, ROWS + 1))
        for _ in range(2):
            self.check("stream", "SELECT n, text FROM many", f" {ROWS} {digits + 10 * ROWS} 0$")
            self.check("stream", "SELECT text FROM few", f" 7 {256 + 257 + 60000 + 2} 1$")
            self.check("stream", "SELECT n FROM many WHERE n < 0", " 0 0 0$")

    def test_a_statement_that_is_refused(self):
        self.check("stream", "SELECT nothing FROM many", "^temp-fail .*Unknown column")
        self.check("stream", "SELECT text FROM few", "^found ")

    def test_the_rest_is_not_waited_for(self):
        for _ in range(3):
            # Of these rows more would come than anybody could wait for.
            self.check("abandon", "SELECT a.n FROM many AS a, many AS b", "^temp-fail that is enough$")
        self.check("stream", "SELECT text FROM few", "^found ")
        self.assertEqual(self.probe.log("database-down"), [])

    def test_it_is_one_view_whatever_the_server_is_set_to(self):
        self.addCleanup(server.query, "SET GLOBAL tx_isolation = 'REPEATABLE-READ'; SET GLOBAL autocommit = ON")
        for isolation in ("REPEATABLE-READ", "READ-COMMITTED", "READ-UNCOMMITTED"):
            for autocommit in ("ON", "OFF"):
                with self.subTest(isolation, autocommit=autocommit):
                    server.query(
                        "TRUNCATE written; COMMIT;"
                        f"SET GLOBAL tx_isolation = '{isolation}'; SET GLOBAL autocommit = {autocommit}",
                        "mail",
                    )
                    with TemporaryFolder() as folder:
                        probe = PoolProbe(folder, [host(server)])
                        self.assertEqual(probe.ask("view", "written"), "found 0 0 1")
                        self.assertEqual(probe.ask("view", "written"), "found 1 1 2")
                        probe.close()


if __name__ == "__main__":
    unittest.main()
