"""Look-ups, logins, changes, flushes, reloads and outages, all at once: what the thread sanitizer looks at."""

import contextlib
import os
import random
import socket
import subprocess
import threading
import time
import unittest

from private_server import DatabaseError, ServerError, TemporaryFolder, wait_until
from suite_tests import make_suite

USERS = 200
SECONDS = 30


class MixedLoad(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(TemporaryFolder())
        directory = {
            "feed_interval": "50ms",
            "domains_refresh": "100ms",
            "comparison_interval": "1s",
            "followed_lifetime": "2s",
            "max_loss": 100,
        }
        maps = {"metrics": [f"unix:{folder.path}/vmailkit/run/maps/metrics"]}
        self.database, self.suite = make_suite(self, folder, {"directory": directory, "maps": maps})
        self.suite.control("domain", "add", "example.test")
        rows = ",".join(f"(1, 'user{i}@example.test', '$1$x')" for i in range(USERS))
        self.database.query(f"INSERT INTO virtual_users (domain_id, email, password) VALUES {rows}", "mailserver")
        self.suite.hand_over_passwords()
        self.suite.start()
        self.end = threading.Event()
        self.replies = {"OK": 0, "NOTFOUND": 0, "TEMP": 0}
        self.wrong = []

    @contextlib.contextmanager
    def client(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(os.path.join(self.suite.queue, "maps"))
            yield client

    def ask(self, client, name, key):
        request = f"{name} {key}".encode()
        client.sendall(b"%d:%s," % (len(request), request))
        reply = b""
        while not reply.endswith(b","):
            more = client.recv(4096)
            if not more:
                return None
            reply += more
        return reply.decode().split(":", 1)[1][:-1]

    def look_up(self, seed):
        draw = random.Random(seed)
        while not self.end.is_set():
            try:
                with self.client() as client:
                    while not self.end.is_set():
                        key = draw.choice(("user{}@example.test", "user{}+x@example.test", "nobody{}@example.test"))
                        name = draw.choice(("mailboxes", "aliases"))
                        reply = self.ask(client, name, key.format(draw.randrange(USERS)))
                        if reply is None:
                            break
                        kind = reply.split(" ", 1)[0]
                        if kind in self.replies:
                            self.replies[kind] += 1
                        else:
                            self.wrong.append(reply)
            except OSError as error:
                self.wrong.append(error)

    def change(self):
        draw = random.Random(1)
        while not self.end.is_set():
            number = draw.randrange(USERS)
            with contextlib.suppress(DatabaseError, subprocess.SubprocessError):
                self.database.query(
                    draw.choice(
                        (
                            f"UPDATE virtual_users SET password = '{number}' WHERE email = 'user{number}@example.test'",
                            f"REPLACE INTO virtual_aliases (domain_id, source, destination)"
                            f" VALUES (1, 'alias{number}@example.test', 'x@x.test')",
                            f"DELETE FROM virtual_aliases WHERE source = 'alias{number}@example.test'",
                            "INSERT IGNORE INTO virtual_domains (name) VALUES ('other.test')",
                            "DELETE FROM virtual_domains WHERE name = 'other.test'",
                        )
                    ),
                    "mailserver",
                )
            time.sleep(0.02)

    def administer(self):
        draw = random.Random(2)
        commands = (
            ("cache", "flush", "--all"),
            ("cache", "flush", "user7@example.test"),
            ("cache", "flush", "@example.test"),
            ("cache", "show", "user8@example.test"),
            ("cache", "confirm"),
            ("status",),
        )
        while not self.end.is_set():
            self.suite.vmailctl(*draw.choice(commands))
            if draw.random() < 0.2:
                for daemon in self.suite.daemons:
                    daemon.reload()
            time.sleep(0.1)

    def log_in(self):
        while not self.end.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(os.path.join(self.suite.queue, "auth"))
                login = "AHVzZXI3QGV4YW1wbGUudGVzdAB3cm9uZw=="  # user7@example.test, "wrong"
                client.sendall(f"VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp={login}\n".encode())
                while b"\t1\t" not in client.recv(4096):
                    pass
            time.sleep(0.05)

    def test_all_at_once(self):
        threads = [threading.Thread(target=self.look_up, args=(seed,)) for seed in range(6)]
        threads += [threading.Thread(target=task) for task in (self.change, self.administer, self.log_in)]
        for thread in threads:
            thread.start()
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            time.sleep(3)
            self.database.freeze()
            time.sleep(2)
            self.database.thaw()
            time.sleep(3)
            self.database.kill()
            time.sleep(1)
            self.database.start()
        self.end.set()
        for thread in threads:
            thread.join()
        self.assertEqual(self.wrong, [])
        self.assertGreater(self.replies["OK"], 1000, self.replies)
        self.assertGreater(self.replies["NOTFOUND"], 1000, self.replies)

        def right():
            with self.client() as client:
                return self.ask(client, "mailboxes", "user7@example.test") == "OK 1"

        wait_until(right, 60, "user7 to be found")
        for daemon in self.suite.daemons:
            try:
                daemon.restart()
            except ServerError as error:
                self.fail(str(error))


if __name__ == "__main__":
    unittest.main()
