"""A private Galera cluster."""

import os
import shutil

from .mariadb import DatabaseError, MariaDB
from .process import free_port

PROVIDER = "/usr/lib/galera/libgalera_smm.so"


class GaleraNode(MariaDB):
    """One node; start() returns when it is synced."""

    def __init__(self, listen, addresses):
        provider = f"gmcast.listen_addr=tcp://{listen};ist.recv_addr=127.0.0.1:{free_port()};gcache.size=16M"
        super().__init__(
            options=[
                "--binlog-format=ROW",
                "--innodb-autoinc-lock-mode=2",
                "--wsrep-on=ON",
                f"--wsrep-provider={PROVIDER}",
                "--wsrep-cluster-name=vmailkit",
                "--wsrep-cluster-address=gcomm://" + ",".join(addresses),
                "--wsrep-node-address=127.0.0.1",
                f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
                "--wsrep-sst-method=rsync",
                f"--wsrep-provider-options={provider}",
            ]
        )

    def copy_data(self, other):
        """Begins with the data of another node, which is stopped: what that one commits later comes by itself."""
        shutil.copytree(other.data, self.data, ignore=shutil.ignore_patterns("galera.cache", "gvwstate.dat"))
        for folder, _, files in os.walk(self.data):
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(path, *self._account)

    def is_synced(self):
        return self.query("SHOW GLOBAL STATUS LIKE 'wsrep_local_state'")[0][1] == "4"

    def _up(self):
        try:
            return self.is_synced()
        except (DatabaseError, IndexError):
            return False


class Galera:
    """Nodes on loopback; all of them are synced when start() returns."""

    def __init__(self, count=3):
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
        self.nodes = [GaleraNode(address, addresses) for address in addresses]

    def start(self):
        first, *others = self.nodes
        try:
            # Its data has to have a place in the cluster's history before it can be copied: then the other nodes need
            # no transfer of everything, only of what came since.
            first.start("--wsrep-new-cluster")
            first.query("CREATE DATABASE history; DROP DATABASE history")
            first.stop()
            for node in others:
                node.copy_data(first)
            first.start("--wsrep-new-cluster")
            for node in others:
                node.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        for node in reversed(self.nodes):
            node.stop()
            node.folder.remove()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
