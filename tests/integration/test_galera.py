"""Three nodes of a Galera cluster: one is killed, one is desynced, one loses the others, and no lookup fails."""

import os
import unittest

from pool_tests import PoolProbe, add_user, host
from private_server import Galera, TemporaryFolder, wait_until
from private_server.galera import PROVIDER

cluster = None


def setUpModule():
    if not os.path.exists(PROVIDER):
        raise unittest.SkipTest("Galera's provider is not here: packaging/install-packages test")
    global cluster
    cluster = unittest.enterModuleContext(Galera())
    add_user(cluster.nodes[0])


class Cluster(unittest.TestCase):
    def setUp(self):
        self.first, self.second, self.third = cluster.nodes
        self.addCleanup(self.revive)
        self.folder = self.enterContext(TemporaryFolder())
        self.probe = PoolProbe(self.folder, [host(node) for node in cluster.nodes])
        self.addCleanup(self.probe.close)
        self.wait_for(self.first)
        self.probe.load()

    def revive(self):
        for node in cluster.nodes:
            if node.process.poll() is not None:
                node.start()
            node.query("SET GLOBAL wsrep_desync = OFF; SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
        for node in cluster.nodes:
            wait_until(node.is_synced, 120, f"{host(node)} to be synced")

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


if __name__ == "__main__":
    unittest.main()
