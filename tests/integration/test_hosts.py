"""Several database hosts: no question fails while any of them lives, whatever happens to the others."""

import contextlib
import subprocess
import unittest

from pool_tests import USER, FarHost, PoolProbe, add_user, host
from private_server import MariaDB, TemporaryFolder, wait_until

ROWS = 300000
first = second = third = None


def setUpModule():
    global first, second, third
    first, second, third = (unittest.enterModuleContext(MariaDB()) for _ in range(3))
    for server in (first, second, third):
        add_user(server)
        server.query("CREATE USER other@localhost")


def digits(count):
    return sum(len(str(n)) for n in range(1, count + 1))


@contextlib.contextmanager
def held_connection(server):
    """A connection that somebody else has."""
    client = ["mariadb", "--no-defaults", "--unbuffered", "--batch", "--skip-column-names", "--user=other"]
    with subprocess.Popen(
        [*client, f"--socket={server.socket}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(b"SELECT 'held';\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"held\n"
        yield
        process.stdin.close()


class HostsTestCase(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(TemporaryFolder())
        self.addCleanup(self.revive)

    def revive(self):
        for server in (first, second, third):
            server.thaw()
            if server.process.poll() is not None:
                server.start()
            server.query("SET GLOBAL read_only = OFF; SET GLOBAL max_connections = 200")
            add_user(server)

    def probe(self, hosts=None, **settings):
        probe = PoolProbe(self.folder, hosts or [host(first), host(second)], **settings)
        self.addCleanup(probe.close)
        return probe

    def wait_for(self, probe, server, command="ask"):
        wait_until(lambda: probe.where(command) == host(server), 60, f"answers of {host(server)}", poll=0.05)

    def check_load(self, probe, *servers):
        """Ends the load, when each of these has answered some of it; nothing of it has failed."""
        for server in servers:
            wait_until(lambda: probe.loaded().by_host.get(host(server)), 60, f"load on {host(server)}")
        probe.rest()
        self.assertEqual(probe.loaded().failed, 0, "".join(probe.log()))

    @contextlib.contextmanager
    def load(self, probe, *servers):
        """Under load on the first; ends when questions are answered by the last of the servers."""
        self.wait_for(probe, first)
        probe.load()
        yield
        for kind in ("ask", "background"):
            self.wait_for(probe, servers[-1], kind)
        self.check_load(probe, *servers)


class Failover(HostsTestCase):
    def test_killed(self):
        probe = self.probe()
        with self.load(probe, first, second):
            first.kill()
        self.assertEqual(len(probe.log(f"database-down host={host(first)} user={USER}")), 1)
        self.assertEqual(len(probe.log("database-down")), 1)
        self.assertEqual(len(probe.log(f"database-host host={host(second)} before={host(first)}")), 1)
        self.assertRegex(probe.ask("status"), f"^{host(second)} answers ")

    def test_shut_down(self):
        probe = self.probe()
        with self.load(probe, first, second):
            first.stop()

    def test_frozen(self):
        """Each question in flight is answered by the other host within its deadline."""
        probe = self.probe()
        with self.load(probe, first, second):
            first.freeze()

    def test_two_of_three_frozen_at_once(self):
        probe = self.probe([host(first), host(second), host(third)])
        with self.load(probe, first, third):
            second.freeze()
            first.freeze()

    def test_frozen_before_any_connection(self):
        first.freeze()
        second.freeze()
        probe = self.probe([host(first), host(second), host(third)])
        numbers = [probe.send("ask", "SELECT 1") for _ in range(8)]
        for number in numbers:
            self.assertEqual(probe.answer(number), f"found {host(third)} 1")

    def test_more_questions_than_workers_wait_for_a_frozen_host(self):
        probe = self.probe()
        self.wait_for(probe, first)
        first.freeze()
        numbers = [probe.send("ask", "SELECT 1") for _ in range(200)]
        for number in numbers:
            self.assertEqual(probe.answer(number), f"found {host(second)} 1")

    def test_what_the_background_waits_for_is_interrupted_too(self):
        first.query(
            f"CREATE OR REPLACE TABLE mail.many (n int PRIMARY KEY) SELECT seq AS n FROM seq_1_to_{ROWS}", "mail"
        )
        second.query("CREATE OR REPLACE TABLE mail.many (n int PRIMARY KEY) SELECT seq AS n FROM seq_1_to_1000", "mail")
        probe = self.probe()
        self.assertEqual(probe.ask("stream", "SELECT * FROM many"), f"found {host(first)} {ROWS} {digits(ROWS)} 0")
        first.freeze()
        stream = probe.send("stream", "SELECT * FROM many")
        self.assertEqual(probe.ask("ask", "SELECT 1"), f"found {host(second)} 1")
        self.assertEqual(probe.answer(stream), f"found {host(second)} 1000 {digits(1000)} 0")

    def test_connections_exhausted(self):
        probe = self.probe()
        with contextlib.ExitStack() as holders:
            with self.load(probe, first, second):
                for _ in range(10):
                    holders.enter_context(held_connection(first))
                first.query(f"SET GLOBAL max_connections = 10; KILL USER '{USER}'@'%'")
            self.assertIn("Too many connections", probe.log("database-down")[0])
            self.assertEqual(len(probe.log("database-down")), 1)
        self.wait_for(probe, first)

    def test_all_gone_and_one_comes_back(self):
        probe = self.probe()
        self.wait_for(probe, first)
        first.kill()
        second.kill()
        self.assertRegex(probe.where(), "^temp-fail ")
        self.assertRegex(probe.ask("status"), " silent ")
        second.start()
        self.wait_for(probe, second)
        self.assertRegex(probe.ask("status"), f"^{host(second)} answers ")

    def test_a_question_of_no_use_stays_where_it_is(self):
        probe = self.probe()
        self.assertRegex(probe.ask("ask", "SELECT nothing"), "^temp-fail .*Unknown column")
        self.assertRegex(probe.ask("ask", "SELECT FROM"), "^temp-fail .*SQL syntax")
        self.assertEqual(probe.where(), host(first))
        self.assertEqual(probe.log("database-"), [])

    def test_a_slow_question_is_no_failure_of_the_host(self):
        probe = self.probe()
        probe.load(2)
        self.assertRegex(probe.ask("ask", "SELECT SLEEP(30)"), "^temp-fail .*did not answer in time")
        self.assertEqual(probe.where(), host(first))
        self.check_load(probe, first)
        self.assertEqual(probe.log("database-"), [])

    def test_a_refused_login_is_a_failure_of_the_host(self):
        first.query(f"ALTER USER '{USER}'@'%' ACCOUNT LOCK")
        self.assertEqual(self.probe().where(), host(second))


class ComingBack(HostsTestCase):
    def test_to_the_first_without_a_question_that_fails(self):
        probe = self.probe()
        with self.load(probe, first, second):
            first.kill()
        probe.load()
        first.start()
        self.wait_for(probe, first)
        self.wait_for(probe, first, "background")
        self.check_load(probe, first)
        self.assertEqual(len(probe.log(f"database-up host={host(first)}")), 1)

    def test_after_it_was_frozen(self):
        probe = self.probe()
        with self.load(probe, first, second):
            first.freeze()
        probe.load()
        first.thaw()
        self.wait_for(probe, first)
        self.check_load(probe, first)

    def test_without_any_question(self):
        probe = self.probe()
        self.wait_for(probe, first)
        first.kill()
        wait_until(lambda: probe.ask("status").startswith(host(second)), 60, "the other host")
        first.start()
        wait_until(lambda: probe.ask("status").startswith(host(first)), 60, "the first host")


class Nearest(HostsTestCase):
    def test_the_nearest_is_asked_and_comes_back(self):
        far = FarHost(first, 0.05)
        self.addCleanup(far.close)
        probe = self.probe([far.host, host(second)], choose_host="nearest")
        self.wait_for(probe, second)
        with self.subTest("nearest gone"):
            second.kill()
            self.assertEqual(probe.where(), far.host)
        with self.subTest("nearest back"):
            second.start()
            self.wait_for(probe, second)


class Writes(HostsTestCase):
    def setUp(self):
        super().setUp()
        for server in (first, second):
            server.query("CREATE OR REPLACE TABLE written (n int)", "mail")

    def write(self, probe):
        return probe.ask("write", "INSERT INTO written VALUES (1)")

    def test_a_host_that_is_read_only_is_passed_over(self):
        first.query("SET GLOBAL read_only = ON")
        probe = self.probe()
        for _ in range(3):
            self.assertEqual(self.write(probe), f"found {host(second)}")
        self.assertEqual(second.query("SELECT COUNT(*) FROM written", "mail"), [["3"]])
        # It is no outage, and the answers come from it as before.
        self.assertEqual(probe.where(), host(first))
        self.assertEqual(len(probe.log("database-read-only")), 1)
        self.assertEqual(probe.log("database-down"), [])

    def test_a_list_of_its_own(self):
        probe = self.probe([host(second)], write_hosts=[host(first)])
        self.assertEqual(self.write(probe), f"found {host(first)}")
        self.assertEqual(probe.where(), host(second))

    def test_the_roles_change(self):
        probe = self.probe()
        self.assertEqual(self.write(probe), f"found {host(first)}")
        first.query("SET GLOBAL read_only = ON")
        self.assertEqual(self.write(probe), f"found {host(second)}")
        first.query("SET GLOBAL read_only = OFF")
        second.query("SET GLOBAL read_only = ON")
        wait_until(lambda: self.write(probe) == f"found {host(first)}", 60, "the first host to be written to")

    def test_all_are_read_only(self):
        for server in (first, second):
            server.query("SET GLOBAL read_only = ON")
        self.assertRegex(self.write(self.probe()), "^temp-fail .*read-only.*this host takes no writes")

    def test_the_write_host_is_killed(self):
        probe = self.probe()
        self.assertEqual(self.write(probe), f"found {host(first)}")
        first.kill()
        self.assertEqual(self.write(probe), f"found {host(second)}")


if __name__ == "__main__":
    unittest.main()
