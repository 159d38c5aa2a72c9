"""What the tests of several database hosts share: pool_probe, which is the pools of one daemon."""

import collections
import contextlib
import os
import socket
import threading
import time

from private_server import wait_until
from probe_process import ProbeProcess
from site_tests import BUILD

PROBE = os.path.join(BUILD, "tests/integration/pool_probe")
USER, PASSWORD = "probe", "secret of the probe"

Load = collections.namedtuple("Load", "asked failed by_host")


def add_user(server):
    server.query(
        # No rights of an administrator, who may connect where nobody else can and write where nobody may.
        f"CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON mail.* TO '{USER}'@'%';"
        "CREATE DATABASE IF NOT EXISTS mail"
    )


def host(server):
    return f"127.0.0.1:{server.port}"


class PoolProbe(ProbeProcess):
    """Lookups, background and writes over those hosts; the settings are those of [database]."""

    def __init__(self, folder, hosts, **settings):
        table = {"hosts": hosts, "name": "mail", "retry_after": "200ms", **settings}
        super().__init__(PROBE, folder.make("pools"), {"database": table}, USER, PASSWORD)

    def where(self, command="ask"):
        """Which host answers a question of that kind, or "temp-fail ..."."""
        answer = self.ask(command, "SELECT 1")
        return answer.split()[1] if answer.startswith("found ") else answer

    def load(self, clients=8):
        """Clients ask all the time from now on; returns when they have been answered."""
        self.send("load", f"SELECT(1) {clients}")
        wait_until(lambda: self.loaded().asked > clients, 60, "answers under load")

    def loaded(self):
        """What came of the load so far."""
        asked, failed, *hosts = self.ask("loaded").split()
        return Load(int(asked), int(failed), dict(zip(hosts[1::2], map(int, hosts[::2]))))

    def rest(self):
        self.send("rest")


class FarHost:
    """A host that is reached by a slow line: each piece of data takes that many seconds to get to it."""

    def __init__(self, server, seconds):
        self._port, self._seconds = server.port, seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._carry, args=(near, far, self._seconds), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, 0), daemon=True).start()

    @staticmethod
    def _carry(source, target, seconds):
        with source, contextlib.suppress(OSError):
            try:
                while data := source.recv(65536):
                    time.sleep(seconds)
                    target.sendall(data)
            finally:
                target.shutdown(socket.SHUT_RDWR)
