"""Three nodes of a Galera cluster: one is killed, one is desynced, one loses the others, and no lookup fails."""

import os
import pathlib
import subprocess
import unittest

from pool_tests import PoolProbe, add_user, host
from private_server import Galera, TemporaryFolder, wait_until
from private_server.galera import PROVIDER
from sql_tests import VMAILCTL
from test_directory import Probe

cluster = None


def setUpModule():
    if not os.path.exists(PROVIDER):
        raise unittest.SkipTest("Galera's provider is not here: packaging/install-packages test")
    global cluster
    cluster = unittest.enterModuleContext(Galera())
    add_user(cluster.nodes[0])


def revive():
    for node in cluster.nodes:
        if node.process.poll() is not None:
            node.start()
        node.query("SET GLOBAL wsrep_desync = OFF; SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
    for node in cluster.nodes:
        wait_until(node.is_synced, 120, f"{host(node)} to be synced")


class Pools(unittest.TestCase):
    def setUp(self):
        self.first, self.second, self.third = cluster.nodes
        self.addCleanup(revive)
        self.folder = self.enterContext(TemporaryFolder())
        self.probe = PoolProbe(self.folder, [host(node) for node in cluster.nodes])
        self.addCleanup(self.probe.close)
        self.wait_for(self.first)
        self.probe.load()

    def wait_for(self, node):
        for kind in ("ask", "background"):
            wait_until(lambda: self.probe.where(kind) == host(node), 60, f"answers of {host(node)}", poll=0.05)

    def check_load(self, *nodes):
        """Each of these answers, in this order, and nothing has failed since the load began."""
        self.wait_for(nodes[-1])
        for node in nodes:
            wait_until(lambda: self.probe.loaded().by_host.get(host(node)), 60, f"load on {host(node)}")
        self.assertEqual(self.probe.loaded().failed, 0, "".join(self.probe.log()))

    def test_one_is_killed_and_one_is_desynced(self):
        self.first.query("SET GLOBAL wsrep_desync = ON")
        self.check_load(self.first, self.second)
        self.assertEqual(len(self.probe.log(f"database-not-synced host={host(self.first)}")), 1)
        self.second.kill()
        self.check_load(self.first, self.second, self.third)
        self.first.query("SET GLOBAL wsrep_desync = OFF")
        self.check_load(self.third, self.first)
        self.assertEqual(len(self.probe.log(f"database-synced host={host(self.first)}")), 1)

    def test_one_is_left_alone(self):
        """A node without the others refuses every question (error 1047) while its connections go on working."""
        self.first.query("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")
        self.check_load(self.first, self.second)

    def test_a_node_that_is_not_synced_is_better_than_none(self):
        for node in cluster.nodes:
            node.query("SET GLOBAL wsrep_desync = ON")
        wait_until(lambda: len(self.probe.log("database-not-synced")) == 3, 60, "the discovery of all three")
        self.assertTrue(self.probe.ask("ask", "SELECT 1").startswith("found "))
        self.assertEqual(self.probe.loaded().failed, 0, "".join(self.probe.log()))


class Changes(unittest.TestCase):
    """A directory that follows the change feed, with rows that it would else keep for an hour."""

    def setUp(self):
        self.addCleanup(revive)
        self.folder = self.enterContext(TemporaryFolder())
        self.hosts = ["unix:" + node.socket for node in cluster.nodes]
        password = os.path.join(self.folder.path, "password")
        config = os.path.join(self.folder.path, "vmailctl.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[database]\nhosts = {self.hosts!r}\nname = 'galera'\n")
            for section in ("maps", "auth", "store"):
                file.write(f"[{section}]\ndatabase_password_file = '{password}.{section}'\n")
        for command in (["schema", "init"], ["schema", "feed", "on"], ["domain", "add", "example.test"]):
            done = subprocess.run([VMAILCTL, "--config", config, *command], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.password = pathlib.Path(password + ".maps").read_text("ascii").strip()

    def test_a_change_on_any_node_is_seen(self):
        lifetimes = {name: "1h" for name in ("found_lifetime", "not_found_lifetime", "domains_refresh")}
        for preload in (True, False):
            with self.subTest(preload=preload):
                probe = Probe(
                    self.folder,
                    "galera",
                    self.hosts,
                    user="vmailkit-maps",
                    password=self.password,
                    settings={"directory": {"preload": preload, **lifetimes}, "database": {"deadline": "2s"}},
                )
                self.addCleanup(probe.close)
                self.check_changes(probe, cluster.nodes)
                cluster.nodes[0].kill()
                self.check_changes(probe, cluster.nodes[1:])
                cluster.nodes[0].start()
                self.check_changes(probe, cluster.nodes)

    def check_changes(self, probe, nodes):
        for number, node in enumerate(nodes):
            address = f"user{number}@example.test"
            self.seen(probe, address, "not-found")
            node.query(
                "INSERT INTO virtual_users (domain_id, email, password) SELECT id, "
                f"'{address}', 'x' FROM virtual_domains",
                "galera",
            )
            self.seen(probe, address, f"found {address}")
            node.query(f"DELETE FROM virtual_users WHERE email = '{address}'", "galera")
            self.seen(probe, address, "not-found")

    def seen(self, probe, address, expected):
        wait_until(lambda: probe.ask("mailbox", address) == expected, 60, f"{address} to be {expected}", poll=0.1)


if __name__ == "__main__":
    unittest.main()
