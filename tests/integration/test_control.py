"""vmailctl status and cache, and the daemons' metrics: on stand-ins that say what a test wants, and on real daemons."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import unittest

from private_server import ServerError, TemporaryFolder, free_port, wait_until
from site_tests import BUILD
from suite_tests import make_suite

VMAILCTL = os.path.join(BUILD, "sql/vmailctl/vmailctl")
NOBODY = 65534
GOOD, WARNING, CRITICAL, UNKNOWN = range(4)
VERSION = ""


def setUpModule():
    global VERSION
    VERSION = subprocess.run([VMAILCTL, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def good_status(program):
    """What a daemon says that is well."""
    return {
        "daemon": program,
        "version": VERSION,
        "uptime": 7500,
        "connections": 12,
        "sockets": {"maps": ["unix:/run/vmailkit/maps/maps"]},
        "database": {"answers": True, "since": 1764000000, "host": "unix:/run/db", "last_failure": ""},
        "feed": {"state": "followed", "reason": "", "lag": 0.4, "position": 7, "gaps": 0, "changes": 3},
        "stale": {"serving": False, "since": 0, "answers": 0},
        "guard": {"tripped": False, "since": 0, "what": ""},
        "cache": {"entries": 10, "bytes": 2048, "limit": 67108864, "evicted": 0, "credentials": 0},
        "answers": {"memory": 98, "stale": 0, "database": 2, "failed": 0},
        "preload": {"state": "loaded", "reason": "", "rows": 1000, "bytes": 65536, "read": 1764000000},
        "domains": {"count": 3, "read": 1764000000},
        "snapshot": {"written": 1764000000, "error": ""},
        "pool": {"asked": 5, "failed": 0, "orphaned": 0, "refused": 0, "waiting": 0},
        "queues": {"hashes": 4},
    }


class StandIn:
    """A control socket that answers each request by a function; None: not at all."""

    def __init__(self, path, answer):
        self.requests = []
        self._path, self._answer = path, answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._held = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            peer, _ = self._listener.accept()
            header = peer.recv(4, socket.MSG_WAITALL)
            if len(header) < 4:
                return peer.close()
            request = json.loads(peer.recv(struct.unpack(">I", header)[0], socket.MSG_WAITALL))
            self.requests.append(request)
            reply = self._answer(request)
            if reply is None:
                self._held.append(peer)
                continue
            body = json.dumps(reply).encode()
            with peer:
                peer.sendall(struct.pack(">I", len(body)) + body)

    def close(self):
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._path)
        self._thread.join()
        for peer in self._held:
            peer.close()
        self._listener.close()


PROGRAMS = {"maps": "vmail-mapd", "auth": "vmail-authd", "store": "vmail-lmtpd"}


class Vmailctl(unittest.TestCase):
    """Runs it with `self.config`, as root or as somebody else."""

    program = VMAILCTL

    def run_vmailctl(self, *arguments, status=0, user=None):
        argv = [self.program, "--config", self.config, *arguments]
        if user is not None:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def out(self, *arguments, **more):
        return self.run_vmailctl(*arguments, **more).stdout

    def json(self, *arguments, **more):
        return json.loads(self.out("--json", *arguments, **more))


class OnStandIns(Vmailctl):
    def setUp(self):
        folder = self.enterContext(TemporaryFolder())
        self.run_folder = folder.make("run")
        self.config = os.path.join(folder.path, "vmailkit.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            for section in PROGRAMS:
                file.write(f'[{section}]\ncontrol = "{self.socket(section)}"\n')

    def socket(self, section):
        return os.path.join(self.run_folder, section, "control")

    def install(self, *sections):
        for section in sections:
            os.mkdir(os.path.dirname(self.socket(section)))

    def stand_in(self, section, answer):
        self.install(section)
        stand_in = StandIn(self.socket(section), answer)
        self.addCleanup(stand_in.close)
        return stand_in

    def reply(self, section, **changes):
        """A stand-in whose status is good but for the changes: whole sections, or fields of them."""
        status = good_status(PROGRAMS[section])
        for key, value in changes.items():
            status[key] = {**status[key], **value} if isinstance(value, dict) else value
        return self.stand_in(section, lambda request: status)

    def test_all_is_well(self):
        for section in PROGRAMS:
            self.reply(section)
        text = self.out("status")
        lines = text.splitlines()
        self.assertEqual(lines[0], "OK: vmail-mapd, vmail-authd, vmail-lmtpd: all is well")
        self.assertEqual(lines[2].split(), list(PROGRAMS.values()))
        table = {line.split("  ")[0]: line for line in lines[3:]}
        for row, cell in {
            "State": "good",
            "Version": VERSION,
            "Uptime": "2 h 5 min",
            "Connections": "12",
            "Database": "answers, unix:/run/db",
            "Answers": "fresh",
            "Change feed": "followed, 0.4 s behind",
            "Domains": "3, read ",
            "Preload": "1000 rows, 64.0 KiB, read ",
            "Cache": "10 rows, 2.0 KiB of 64.0 MiB",
            "Guard": "good",
            "Snapshot": " ago",
            "Queues": "database 0, hashes 4",
        }.items():
            self.assertEqual(table[row].count(cell), 3, table[row])

        result = self.json("status")
        self.assertEqual((result["level"], result["version"], result["findings"]), ("good", VERSION, []))
        self.assertEqual([daemon["program"] for daemon in result["daemons"]], list(PROGRAMS.values()))
        self.assertEqual(result["daemons"][0]["status"], good_status("vmail-mapd"))
        self.assertIn("share of memory", self.out("cache", "stats"))
        self.out("cache", "stats", "--check")

    def test_stale_answers_are_critical_and_told_first(self):
        self.reply("maps", snapshot={"error": "/var/lib: no room"})
        stale = {"serving": True, "since": 1764000000}
        self.reply("auth", stale=stale, database={"answers": False, "last_failure": "cannot connect"})
        lines = self.out("status", status=CRITICAL).splitlines()
        self.assertRegex(
            lines[0],
            r"^CRITICAL: vmail-authd: answers are stale since 2025-11-2\d [\d:]{8} \(.* ago\): "
            r"the database does not answer: cannot connect$",
        )
        self.assertEqual(
            lines[1], "WARNING: vmail-mapd: the snapshot cannot be written: /var/lib: no room"
        )
        self.assertIn("STALE for ", self.out("cache", "stats"))
        self.assertEqual(self.json("cache", "stats", "--check", status=CRITICAL)["level"], "critical")
        # Only who is asked for counts.
        self.assertIn("WARNING", self.out("status", "--daemon", "maps", status=WARNING))

    def test_a_guard_that_holds_is_critical(self):
        self.reply("maps", guard={"tripped": True, "since": 1764000000, "what": "12 rows instead of 50000"})
        text = self.out("cache", "stats", "--check", status=CRITICAL)
        self.assertIn("12 rows instead of 50000", text)
        self.assertIn("vmailctl cache confirm", text)

    def test_another_version_is_a_warning(self):
        self.reply("maps", version="0.0.9")
        self.reply("store", version="0.0.9")
        self.assertTrue(
            self.out("status", status=WARNING).startswith(
                f"WARNING: vmail-mapd, vmail-lmtpd: it is of version 0.0.9, and this vmailctl of {VERSION}: restart it\n"
            )
        )

    def test_a_reply_that_says_nothing_of_what_is_known_here(self):
        self.stand_in("maps", lambda request: {"version": VERSION, "database": 5, "queues": "x", "uptime": "y"})
        self.out("status")
        self.out("cache", "stats")

    def test_control_characters_do_not_reach_the_terminal(self):
        self.reply("maps", database={"answers": False, "last_failure": "\x1b[2J"}, preload={"state": "\x1b[2J"})
        self.assertNotIn("\x1b", self.out("status", status=CRITICAL))

    def test_one_that_is_installed_and_does_not_run(self):
        self.reply("maps")
        self.install("auth")
        dead = socket.socket(socket.AF_UNIX)
        self.install("store")
        dead.bind(self.socket("store"))
        dead.close()
        text = self.out("status", status=CRITICAL)
        self.assertIn("CRITICAL: vmail-authd: it does not run; see systemctl status vmail-authd\n", text)
        self.assertIn("CRITICAL: vmail-lmtpd: it does not run", text)
        daemons = self.json("status", status=CRITICAL)["daemons"]
        self.assertEqual([daemon["answers"] for daemon in daemons], [True, False, False])

    def test_one_that_is_not_installed_is_left_out(self):
        self.reply("maps")
        self.assertEqual(len(self.json("status")["daemons"]), 1)
        done = self.run_vmailctl("status", "--daemon", "auth", status=UNKNOWN)
        self.assertIn("vmail-authd is not installed here: there is no folder", done.stderr)

    def test_none_is_installed(self):
        self.assertIn("no daemon of vmailkit is installed", self.run_vmailctl("status", status=UNKNOWN).stderr)
        self.assertIn("no daemon of vmailkit", self.run_vmailctl("cache", "flush", "--all", status=1).stderr)

    def test_one_that_does_not_answer(self):
        self.stand_in("maps", lambda request: None)
        self.assertIn("no answer in time; is the daemon stuck?", self.out("status", status=CRITICAL))

    def test_one_that_refuses(self):
        self.stand_in("maps", lambda request: {"error": "what is status?"})
        self.assertIn("what is status?; are vmailctl and the daemon", self.out("status", status=UNKNOWN))
        self.assertIn("what is status?", self.run_vmailctl("cache", "confirm", status=1).stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_who_may_not_ask(self):
        self.reply("maps")
        os.chmod(self.config, 0o644)
        os.chmod(os.path.dirname(self.socket("maps")), 0o700)
        # The build folder may not let them in.
        self.program = shutil.copy(VMAILCTL, self.run_folder)
        text = self.out("status", status=UNKNOWN, user=NOBODY)
        self.assertIn("UNKNOWN: vmail-mapd: ", text)
        self.assertIn("only root and those the socket is for may", text)
        done = self.run_vmailctl("cache", "show", "anna@example.test", status=1, user=NOBODY)
        self.assertIn("only root and those the socket is for may", done.stderr)
        self.assertIn("Run vmailctl as root", done.stderr)

    def test_what_is_wrong_with_the_call_is_unknown_to_monitoring(self):
        for arguments in (["status", "--daemon", "smtp"], ["status", "more"], ["cache", "stats", "--chekc"]):
            with self.subTest(arguments=arguments):
                self.run_vmailctl(*arguments, status=UNKNOWN)
        self.run_vmailctl("cache", "show", status=64)
        self.run_vmailctl("cache", status=64)
        self.run_vmailctl("status", "--help")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("nonsense = 1\n")
        self.run_vmailctl("status", status=UNKNOWN)
        self.run_vmailctl("cache", "stats", "--check", status=UNKNOWN)
        self.run_vmailctl("cache", "confirm", status=78)

    def test_flush(self):
        maps = self.stand_in("maps", lambda request: {"ok": True})
        store = self.stand_in("store", lambda request: {"ok": True})
        self.assertEqual(
            self.out("cache", "flush", "Anna@Example.test", "@example.test"),
            "vmail-mapd reads anna@example.test, @example.test anew.\n"
            "vmail-lmtpd reads anna@example.test, @example.test anew.\n",
        )
        self.out("cache", "flush", "--all", "--daemon", "maps")
        keys = {"command": "flush", "keys": ["anna@example.test", "@example.test"]}
        self.assertEqual(maps.requests, [keys, {"command": "flush", "keys": []}])
        self.assertEqual(store.requests, [keys])
        self.assertEqual(
            self.json("cache", "flush", "--all"), {"flushed": ["vmail-mapd", "vmail-lmtpd"], "keys": []}
        )
        for arguments in ([], ["--all", "anna@example.test"]):
            done = self.run_vmailctl("cache", "flush", *arguments, status=1)
            self.assertIn("say what to read anew", done.stderr)
        self.run_vmailctl("cache", "flush", "example.test", status=1)
        # Nobody to tell is not done.
        self.install("auth")
        done = self.run_vmailctl("cache", "flush", "--all", "--daemon", "auth", status=1)
        self.assertIn("vmail-authd does not run", done.stderr)

    def test_show(self):
        row = {
            "key": "anna@example.test",
            "known": True,
            "mailbox": "on",
            "destinations": ["ben@example.test", "carla@example.test"],
            "aliases_off": False,
            "read": 1764000000,
            "expired": False,
            "from": "preload",
        }
        unknown = {**row, "key": "@example.test", "known": False, "read": 0, "from": "", "destinations": []}
        maps = self.stand_in("maps", lambda request: {"domain": "own", "rows": [row, unknown]})
        text = self.out("cache", "show", "Anna@example.test")
        self.assertEqual(maps.requests, [{"command": "show", "key": "anna@example.test"}])
        header, first, second = text.splitlines()
        self.assertEqual(
            header.split(), "DAEMON KEY DOMAIN KNOWN MAILBOX DESTINATIONS READ EXPIRED FROM".split()
        )
        self.assertRegex(
            first,
            r"^vmail-mapd +anna@example\.test +own +yes +on +ben@example\.test, carla@example\.test +.* ago +no +preload$",
        )
        self.assertRegex(second, r"^vmail-mapd +@example\.test +own +no( +-){5}$")
        rows = self.json("cache", "show", "anna@example.test")
        self.assertEqual(rows[0], {"program": "vmail-mapd", "domain": "own", **row})

    def test_confirm(self):
        self.stand_in("maps", lambda request: {"ok": True, "was_tripped": True})
        self.stand_in("auth", lambda request: {"ok": True, "was_tripped": False})
        self.assertEqual(
            self.out("cache", "confirm"),
            "vmail-mapd: the guard holds no longer; the next reading is believed.\n"
            "vmail-authd: the guard did not hold.\n",
        )


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


SAMPLE = re.compile(r'^([a-z_]+)((?:\{(?:[a-z]+="(?:[^"\\]|\\["\\n])*",?)+\})?) (-?[\d.e+-]+|\+Inf)$')


def parse(text):
    """{name and labels: value} of a text of metrics; asserts its form."""
    types, samples = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert len(line.split(" ", 3)) == 4, line
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge", "histogram"), line
            types[name] = kind
        else:
            match = SAMPLE.match(line)
            assert match, line
            name, labels, value = match.groups()
            family = re.sub("_(bucket|count|sum)$", "", name)
            assert types.get(name) or types.get(family) == "histogram", line
            assert types.get(name) != "counter" or name.endswith("_total"), line
            assert name + labels not in samples, line
            samples[name + labels] = float(value)
    assert text.endswith("\n")
    return samples


class OnRealDaemons(Vmailctl):
    """The three daemons over a real MariaDB. Nobody but this test asks them anything."""

    def setUp(self):
        folder = self.enterContext(TemporaryFolder())
        self.port = free_port()
        run = f"unix:{folder.path}/vmailkit/run"
        settings = {
            "directory": {"feed_interval": "100ms", "domains_refresh": "200ms", "comparison_interval": "1s"},
            "maps": {"metrics": [f"inet:127.0.0.1:{self.port}", f"{run}/maps/metrics"]},
            "auth": {"metrics": [f"{run}/auth/metrics"]},
            "store": {"metrics": [f"{run}/store/metrics"]},
        }
        self.database, self.suite = make_suite(self, folder, settings)
        self.config = self.suite.config
        self.program = os.path.join(self.suite.bin, "vmailctl")
        for domain in ("example.test", "other.test"):
            self.suite.control("domain", "add", domain)
        for name in ("anna", "ben", "carla"):
            self.suite.control("user", "add", f"{name}@example.test", stdin="x\n")
        self.suite.control("alias", "add", "team@example.test", "anna@example.test", "ben@example.test")
        self.suite.hand_over_passwords()
        self.suite.start()

    def wait_for_status(self, status, *arguments):
        """Waits until vmailctl ends so; returns what it printed as JSON."""

        def ready():
            argv = [self.program, "--config", self.config, "--json", *(arguments or ["status"])]
            self.last = subprocess.run(argv, capture_output=True, text=True, check=False)
            return self.last.returncode == status

        try:
            wait_until(ready, 60, f"status {status}")
        except ServerError as error:
            logs = "\n".join(daemon.process.read_log()[-2000:] for daemon in self.suite.daemons)
            raise ServerError(f"{error}\n{self.last.stdout}{self.last.stderr}\n{logs}") from None
        return json.loads(self.last.stdout)

    def look_up(self, name, key):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(os.path.join(self.suite.queue, "maps"))
            request = f"{name} {key}".encode()
            client.sendall(b"%d:%s," % (len(request), request))
            reply = b""
            while not reply.endswith(b","):
                more = client.recv(4096)
                self.assertTrue(more, reply)
                reply += more
        return reply.decode().split(":", 1)[1][:-1]

    def get(self, connection, path="/metrics", method="GET", status=200):
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            text = response.read().decode()
            self.assertEqual(response.status, status, text)
            return response, text

    def metrics(self, section="maps"):
        path = os.path.join(self.suite.run, section, "metrics")
        return parse(self.get(UnixConnection(path))[1])

    def test_status_and_cache(self):
        result = self.wait_for_status(GOOD)
        self.assertEqual([daemon["program"] for daemon in result["daemons"]], list(PROGRAMS.values()))
        maps = result["daemons"][0]["status"]
        self.assertEqual((maps["daemon"], maps["version"]), ("vmail-mapd", VERSION))
        self.assertEqual((maps["feed"]["state"], maps["domains"]["count"]), ("followed", 2))
        self.assertEqual(set(maps) - set(good_status("vmail-mapd")), set())

        self.assertEqual(self.look_up("mailboxes", "Anna@example.test"), "OK 1")
        self.assertEqual(self.look_up("aliases", "team@example.test"), "OK anna@example.test,ben@example.test")
        self.assertEqual(self.look_up("mailboxes", "nobody@example.test"), "NOTFOUND ")
        self.assertEqual(self.look_up("mailboxes", "somebody@elsewhere.test"), "NOTFOUND ")

        shown = self.json("cache", "show", "team@example.test", "--daemon", "maps")
        self.assertEqual(shown[0]["key"], "team@example.test")
        self.assertEqual((shown[0]["known"], shown[0]["domain"]), (True, "own"))
        self.assertEqual(shown[0]["destinations"], ["anna@example.test", "ben@example.test"])
        self.assertIn("vmail-mapd reads team@example.test anew.", self.out("cache", "flush", "team@example.test"))
        self.out("cache", "flush", "@example.test")
        self.out("cache", "flush", "--all")
        self.assertEqual(self.look_up("aliases", "team@example.test"), "OK anna@example.test,ben@example.test")
        answers = self.json("cache", "stats", "--daemon", "maps")["daemons"][0]["status"]["answers"]
        self.assertGreaterEqual(sum(answers.values()), 5)
        self.assertEqual(answers["failed"], 0)
        self.assertFalse(any(one["was_tripped"] for one in self.json("cache", "confirm")["confirmed"]))

    def test_metrics(self):
        self.wait_for_status(GOOD)
        before = self.metrics()
        self.assertEqual(self.look_up("mailboxes", "anna@example.test"), "OK 1")
        self.assertEqual(self.look_up("domains", "elsewhere.test"), "NOTFOUND ")
        response, text = self.get(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))
        self.assertEqual(response.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        now = parse(text)

        def grown(start):
            """Of all counters that begin so."""
            names = [name for name in now if name.startswith(start)]
            self.assertTrue(names, start)
            return sum(now[name] - before.get(name, 0) for name in names)

        self.assertEqual(grown('vmailkit_lookups_total{map="mailboxes",result="ok"'), 1)
        self.assertEqual(grown('vmailkit_lookups_total{map="domains",result="notfound",source="memory"}'), 1)
        self.assertEqual(grown("vmailkit_lookups_total"), 2)
        self.assertEqual(grown("vmailkit_lookup_seconds_count"), 2)
        self.assertEqual(grown('vmailkit_connections_total{endpoint="maps",outcome="served"}'), 2)
        self.assertEqual(now[f'vmailkit_build_info{{program="vmail-mapd",version="{VERSION}"}}'], 1)
        self.assertEqual((now["vmailkit_database_up"], now["vmailkit_stale"]), (1, 0))
        self.assertEqual((now["vmailkit_domains"], now["vmailkit_feed_followed"]), (2, 1))
        # Buckets hold all below their bound, and the last of them everything.
        for source in ("memory", "database", "stale"):
            start = f'vmailkit_lookup_seconds_bucket{{source="{source}",le='
            buckets = [value for name, value in now.items() if name.startswith(start)]
            self.assertEqual(buckets, sorted(buckets))
            self.assertEqual(buckets[-1], now[f'vmailkit_lookup_seconds_count{{source="{source}"}}'])
        for section, program in PROGRAMS.items():
            samples = self.metrics(section)
            self.assertEqual(samples[f'vmailkit_build_info{{program="{program}",version="{VERSION}"}}'], 1)
            self.assertEqual(samples["vmailkit_database_up"], 1)
            self.assertGreater(samples["process_start_time_seconds"], 1.7e9)

        there = lambda: http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.assertIn("/metrics", self.get(there(), path="/", status=404)[1])
        self.assertEqual(self.get(there(), method="POST", status=405)[0].headers["Allow"], "GET, HEAD")
        # No address of anybody is in it.
        self.assertNotIn("@", text)
        self.assertNotIn("example", text)

    def test_a_database_that_stops(self):
        self.wait_for_status(GOOD)
        self.assertEqual(self.look_up("mailboxes", "anna@example.test"), "OK 1")
        self.database.kill()
        self.assertEqual(self.look_up("mailboxes", "anna@example.test"), "OK 1")
        result = self.wait_for_status(CRITICAL)
        self.assertIn("the database does not answer", json.dumps(result["findings"]))
        self.assertEqual(self.run_vmailctl("cache", "stats", "--check", status=CRITICAL).stderr, "")
        wait_until(lambda: self.metrics()["vmailkit_database_up"] == 0, 60, "the metric to say so")
        # What is expired is served all the same, and it is said since when.
        self.out("cache", "flush", "--all")
        self.assertEqual(self.look_up("mailboxes", "anna@example.test"), "OK 1")
        text = self.out("status", "--daemon", "maps", status=CRITICAL)
        self.assertRegex(text, r"^CRITICAL: vmail-mapd: answers are stale since [\d-]{10} [\d:]{8} \(\d+ s ago\): ")
        now = self.metrics()
        self.assertEqual(now["vmailkit_stale"], 1)
        self.assertGreater(now["vmailkit_stale_since_timestamp_seconds"], 1.7e9)
        self.assertGreaterEqual(now['vmailkit_answers_total{source="stale"}'], 1)

        self.database.start()
        self.wait_for_status(GOOD)
        self.assertEqual(self.metrics()["vmailkit_stale"], 0)

    def test_a_daemon_that_is_gone(self):
        self.wait_for_status(GOOD)
        self.suite.auth.kill()
        result = self.wait_for_status(CRITICAL)
        self.assertEqual([one["programs"] for one in result["findings"]], [["vmail-authd"]])

    def test_a_table_that_is_emptied(self):
        self.wait_for_status(GOOD)
        self.assertEqual(self.look_up("mailboxes", "anna@example.test"), "OK 1")
        self.database.query("SET FOREIGN_KEY_CHECKS = 0; TRUNCATE virtual_domains", "mailserver")
        result = self.wait_for_status(CRITICAL, "cache", "stats", "--check", "--daemon", "maps")
        self.assertIn("the guard holds", result["findings"][0]["text"])
        self.assertEqual(self.look_up("mailboxes", "anna@example.test"), "OK 1")
        self.assertEqual(self.metrics()["vmailkit_guard_tripped"], 1)
        confirmed = self.json("cache", "confirm", "--daemon", "maps")["confirmed"]
        self.assertEqual(confirmed, [{"program": "vmail-mapd", "was_tripped": True}])
        wait_until(lambda: self.look_up("mailboxes", "anna@example.test") == "NOTFOUND ", 60, "the loss to be believed")

    def test_the_daemons_own_user_may_ask(self):
        self.wait_for_status(GOOD)
        os.chmod(self.config, 0o644)
        self.out("status", "--daemon", "auth", user=self.suite.auth.user)
        self.out("status", "--daemon", "auth", user=self.suite.maps.user, status=UNKNOWN)


if __name__ == "__main__":
    unittest.main()
