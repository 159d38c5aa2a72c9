"""What the benchmarks stand on: private servers with many users in them, clients that are timed, and what they used."""

import contextlib
import dataclasses
import itertools
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import time
import tomllib

from private_server import MariaDB, Postfix, Process, ServerError, Suite, TemporaryFolder, wait_until

TICKS = os.sysconf("SC_CLK_TCK")

# The maps of the tutorial, with its queries as they are.
TUTORIAL_QUERIES = {
    "domains": "SELECT 1 FROM virtual_domains WHERE name='%s'",
    "mailboxes": "SELECT 1 FROM virtual_users WHERE enable=1 AND email='%s'",
    "aliases": "SELECT destination FROM virtual_aliases WHERE source='%s'",
}
READER_PASSWORD = "not-secret"


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is in the database. The addresses of users have `width` bytes, when that is given."""

    users: int = 0
    domains: int = 0
    aliases: int = 0
    width: int = 0


@dataclasses.dataclass
class Run:
    """What some clients did together."""

    lookups: int
    seconds: float
    processor: float  # seconds of it, of clients and of the servers that were named

    @property
    def rate(self):
        return self.lookups / self.seconds


class Lab:
    """MariaDB with the suite's schema, Postfix with mysql: and proxy:mysql: maps, vmail-mapd, and a constant server.

    vmail-mapd is not started: its settings come first, see configure().
    """

    def __init__(self, build, size):
        self.size = size
        self._load_client = os.path.join(build, "tests/bench/socketmap_load")
        self.folder = TemporaryFolder()
        # All rows in memory, as on a server that is there for them; the clients' threads stay, as they do by default.
        self.database = MariaDB(self.folder, ["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M"])
        config = self.folder.make("postfix/config")
        tables = {name: os.path.join(config, f"mysql-{name}.cf") for name in TUTORIAL_QUERIES}
        # The tutorial's host is 127.0.0.1; the UNIX socket is quicker, and what vmail-mapd has too.
        for name, query in TUTORIAL_QUERIES.items():
            with open(tables[name], "w", encoding="ascii") as file:
                file.write(f"hosts = unix:{self.database.socket}\nuser = reader\npassword = {READER_PASSWORD}\n")
                file.write(f"dbname = mailserver\nquery = {query}\n")
        allowed = " ".join(f"proxy:mysql:{path}" for path in tables.values())
        self.postfix = Postfix(self.folder, settings=f"proxy_read_maps = {allowed}\n")
        hosts = ["unix:" + self.database.socket]
        self.suite = Suite(build, self.folder, hosts, self.postfix.queue, self.postfix.owner)
        self.daemon = self.suite.maps
        constant = os.path.join(self.folder.path, "constant")
        self._constant_argv = [os.path.join(build, "tests/bench/constant_server"), constant]
        self.constant = None
        self.others = []  # Processes of a benchmark, which end with it
        self.tables = {
            "constant": {name: f"socketmap:unix:{constant}:{name}" for name in tables},
            "vmailkit": {name: f"socketmap:unix:{self.suite.queue}/maps:{name}" for name in tables},
            "mysql:": {name: f"mysql:{path}" for name, path in tables.items()},
            "proxy:mysql:": {name: f"proxy:mysql:{path}" for name, path in tables.items()},
        }
        self._files = {}
        self._numbers = itertools.count()

    def start(self):
        self.database.start()
        self.suite.control("schema", "init")
        self.suite.hand_over_passwords()
        self.database.query(
            f"CREATE USER reader@localhost IDENTIFIED BY '{READER_PASSWORD}';"
            "GRANT SELECT ON mailserver.* TO reader@localhost"
        )
        self.postfix.start()
        self.constant = Process(self._constant_argv, os.path.join(self.folder.path, "constant.log"))
        self.constant.wait_until(lambda: os.path.exists(self._constant_argv[1]), 10, "the constant server")
        return self

    def fill(self):
        """Users user0@domain0.test and so on, with all the domains in turns; aliases alias0@domain0.test likewise."""
        size = self.size
        domain = f"CONCAT('domain', seq % {size.domains}, '.test')"
        name = "CONCAT('user', seq)"
        if size.width:
            name = f"RPAD(CONCAT('user', seq, '-'), {size.width - 1} - LENGTH({domain}), 'x')"
        self.database.query(
            f"""
            INSERT INTO virtual_domains (id, name) SELECT seq + 1, {domain} FROM seq_0_to_{size.domains - 1};
            INSERT INTO virtual_users (domain_id, email, password)
              SELECT seq % {size.domains} + 1, CONCAT({name}, '@', {domain}), 'x' FROM seq_0_to_{size.users - 1};
            """,
            "mailserver",
        )
        if size.aliases:
            self.database.query(
                f"""
                INSERT INTO virtual_aliases (domain_id, source, destination)
                  SELECT seq % {size.domains} + 1, CONCAT('alias', seq, '@', {domain}), CONCAT('user', seq, '@', {domain})
                  FROM seq_0_to_{size.aliases - 1};
                """,
                "mailserver",
            )
        # Rules, which the maps beside the mailboxes and aliases answer from.
        for kind, name, value in (
            ("transport", "CONCAT('route', seq, '.test')", "'smtp:[192.0.2.1]'"),
            ("recipient-access", "CONCAT('blocked', seq, '.test')", "'REJECT'"),
            ("send-as", f"CONCAT('user', seq, '@domain', seq % {size.domains}, '.test')", "'user0@domain0.test'"),
        ):
            self.database.query(
                f"INSERT INTO virtual_rules (kind, name, value) SELECT '{kind}', {name}, {value} FROM seq_1_to_1000",
                "mailserver",
            )
        # What the triggers noted is no news to a daemon that starts now; the optimizer knows what there is.
        self.database.query("ANALYZE TABLE virtual_domains, virtual_users, virtual_aliases, virtual_rules", "mailserver")
        return self

    def stop(self):
        try:
            for process in [*self.others, *filter(None, [self.constant])]:
                process.stop()
            self.suite.stop()
            self.postfix.stop()
        finally:
            self.database.stop()
            self.folder.remove()

    # ---- vmail-mapd

    def configure(self, section, **values):
        """Settings of the next start; None takes one back to its default."""
        with open(self.suite.config, "rb") as file:
            sections = tomllib.load(file)
        settings = sections.setdefault(section, {})
        settings.update(values)
        sections[section] = {name: value for name, value in settings.items() if value is not None}
        with open(self.suite.config, "w", encoding="utf-8") as file:
            for name, settings in sections.items():
                file.write(f"[{name}]\n")
                for key, value in settings.items():
                    file.write(f"{key} = {json.dumps(value)}\n")  # which is TOML too, for what is in there

    def start_daemon(self, fresh=True, wait=True):
        """Starts vmail-mapd; a fresh one finds no snapshot. Returns when it knows what it should know."""
        self.daemon.stop()
        if fresh:
            self.forget_snapshot()
        self.daemon.start()
        if wait:
            self.wait_until_loaded()

    def forget_snapshot(self):
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.state_folder()):
                os.unlink(entry.path)

    def state_folder(self):
        with open(self.suite.config, "rb") as file:
            return tomllib.load(file)["maps"]["state"]

    def control(self, command, **more):
        """A request to vmail-mapd's control socket; returns its reply."""
        request = json.dumps({"command": command, **more}).encode()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(os.path.join(self.suite.run, "maps/control"))
            client.sendall(struct.pack("!I", len(request)) + request)
            with client.makefile("rb") as stream:
                (length,) = struct.unpack("!I", stream.read(4))
                reply = json.loads(stream.read(length))
        if "error" in reply:
            raise ServerError(f"vmail-mapd answered {command} with: {reply['error']}")
        return reply

    def wait_until_loaded(self, seconds=120):
        """All rows are in memory, or are not to be; the change feed is followed, or is off."""

        def ready():
            status = self.control("status")
            return status["preload"]["state"] != "loading" and status["feed"]["state"] in ("followed", "off")

        self.daemon.process.wait_until(ready, seconds, "vmail-mapd to know all rows")

    def memory(self, field="VmRSS"):
        """Bytes, of vmail-mapd."""
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith(field + ":"))
        return int(line.split()[1]) * 1024

    def forget_peak(self):
        """VmHWM begins anew (proc(5), clear_refs)."""
        with open(f"/proc/{self.daemon.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    # ---- The database's own counters

    def statements(self):
        """How many SELECTs were executed so far, prepared ones included."""
        return int(self.database.query("SHOW GLOBAL STATUS LIKE 'Com_select'")[0][1])

    @contextlib.contextmanager
    def statement_log(self):
        """Yields a list that holds the text of each statement executed meanwhile, once it has ended."""
        texts = []
        self.database.query("TRUNCATE mysql.general_log; SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1")
        try:
            yield texts
        finally:
            self.database.query("SET GLOBAL general_log = 0")
            rows = self.database.query(
                "SELECT REPLACE(argument, '\\n', ' ') FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')"
            )
            texts += [row[0] for row in rows]

    # ---- Keys and clients

    def keys(self, kind, count, seed=1, known=0.5):
        """Addresses in a random order; `known` says how many of them there are, the others are in our domains too."""
        chosen = random.Random(seed)
        total = self.size.users if kind == "user" else self.size.aliases
        some = chosen.sample(range(total), int(count * known))
        keys = [f"{kind}{n}@domain{n % self.size.domains}.test" for n in some]
        unknown = chosen.sample(range(10 * count), count - len(keys))
        keys += [f"nobody{n}@domain{n % self.size.domains}.test" for n in unknown]
        chosen.shuffle(keys)
        return keys

    def file(self, lines):
        path = os.path.join(self.folder.path, f"keys{next(self._numbers)}")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(line + "\n" for line in lines)
        return path

    def key_files(self, keys, clients, lookups):
        """Files for so many clients, all keys in turns, `lookups` together; the same again when asked again."""
        place = (tuple(keys[:10]), len(keys), clients, lookups)
        if place not in self._files:
            each = lookups // clients
            starts = [client * len(keys) // clients for client in range(clients)]
            self._files[place] = [
                self.file(itertools.islice(itertools.cycle(keys[start:] + keys[:start]), each)) for start in starts
            ]
        return self._files[place]

    def postmap(self, table, files, servers=(), core=None, found=None):
        """A postmap for each file of keys, at once; they must end well and find `found` together (when given)."""
        argv = ["postmap", "-c", self.postfix.config, "-q", "-", table]
        if core is not None:
            argv = ["taskset", "-c", str(core), *argv]
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context
            inputs = [opened(open(path, "rb")) for path in files]
            outputs = [opened(open(f"{path}.out", "w+b")) for path in files]
            errors = opened(open(os.path.join(self.folder.path, "errors"), "w+b"))
            used = sum(map(processor_time, servers))
            start = time.monotonic()
            # With SIGPIPE ignored, as Python has it and as Postfix's daemons have it: without, a postmap whose connection
            # has been closed dies when it asks, before it could connect again.
            clients = [
                subprocess.Popen(argv, stdin=i, stdout=o, stderr=errors, cwd=self.postfix.queue, restore_signals=False)
                for i, o in zip(inputs, outputs)
            ]
            spent = 0.0
            for client in clients:
                _, status, usage = os.wait4(client.pid, 0)
                client.returncode = os.waitstatus_to_exitcode(status)
                spent += usage.ru_utime + usage.ru_stime
                if client.returncode not in (0, 1):  # 1: none was found
                    raise ServerError(f"postmap ended with status {client.returncode}")
            seconds = time.monotonic() - start
            spent += sum(map(processor_time, servers)) - used
            errors.seek(0)
            complaints = errors.read().decode(errors="replace")
            if complaints:
                raise ServerError(f"postmap -q - {table} complained:\n{complaints[:2000]}")
            answers = sum(_count_lines(output) for output in outputs)
        lookups = sum(_lines_in(path) for path in files)
        if found is not None and answers != found:
            raise ServerError(f"postmap -q - {table} found {answers} of {lookups} keys, and {found} are there")
        return Run(lookups, seconds, spent)

    def load(self, *options):
        """tests/bench/socketmap_load on vmail-mapd, connected; see its source."""
        socket_path = os.path.join(self.suite.queue, "maps")
        return LoadClient([self._load_client, "--socket", socket_path, *map(str, options)])


class LoadClient:
    def __init__(self, argv):
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect_connected()

    def go(self):
        """On to its next stage."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def connect_idle(self):
        self.go()
        self._expect_connected()

    def end(self):
        """Ends it, unless it has an end by itself; see result()."""
        self._process.stdin.close()

    def result(self):
        """What it has measured, when it has ended."""
        text = self._process.stdout.read()
        if self._process.wait() != 0:
            raise ServerError("socketmap_load has failed")
        if not self._process.stdin.closed:
            self._process.stdin.close()
        result = json.loads(text)
        if result["failed"]:
            raise ServerError(f"{result['failed']} lookups failed; the first with: {result['first_failure']}")
        return result

    def _expect_connected(self):
        line = self._process.stdout.readline()
        if line != "connected\n":
            self._process.kill()
            raise ServerError(f"socketmap_load said {line!r}")


def processor_time(process):
    """Seconds that it has used so far, with all its threads (proc(5), stat)."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.contextmanager
def pinned(processes, core):
    """All their threads run on that core meanwhile."""
    everywhere = os.sched_getaffinity(0)
    try:
        for process in processes:
            _pin(process, {core})
        yield
    finally:
        for process in processes:
            _pin(process, everywhere)


def _pin(process, cores):
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(thread), cores)


def last_core():
    return max(os.sched_getaffinity(0))


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def _lines_in(path):
    with open(path, "rb") as file:
        return _count_lines(file)


def _count_lines(file):
    file.seek(0)
    return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


median = statistics.median
__all__ = ["Lab", "Run", "ServerError", "Size", "last_core", "median", "percentile", "pinned", "wait_until"]
