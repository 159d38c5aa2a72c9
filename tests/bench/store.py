"""Mail into Maildirs: vmail-lmtpd beside dovecot-lmtp with its defaults, and a bare loop that is safe, on one file system."""

import json
import os
import random
import shutil
import subprocess
import time

from lab import ServerError, Size, percentile
from private_server import Process, wait_until
from private_server.suite import MAIL_UID
from report import ROUNDS, interleave

SIZE = Size(users=2_000, domains=20)
VOLUME_GIB = 6
PATH_MESSAGES = 1_000
KIB = 1024

_DOVECOT = """\
base_dir = {path}/run
state_dir = {path}/state
instance_name = vmailkit-bench
log_path = {path}/log
protocols = lmtp
ssl = no
first_valid_uid = {uid}
mail_location = maildir:~/
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={mail}/%d/%n allow_all_users=yes
}}
service lmtp {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Volume:
    """A new ext4 as mkfs makes it, in a file that is written through: what Debian's installer gives to a mail server. The
    machine's own may be another, or have no journal: such an ext4 searches for each new file among all inodes that were
    freed in the last minutes, which costs more than a delivery."""

    def __init__(self, folder):
        image = os.path.join(folder.path, "volume.img")
        self.path = folder.make("volume")
        # No holes: else each first write to a block would change the file that the volume is in.
        self._run("dd", "if=/dev/zero", f"of={image}", "bs=1M", f"count={VOLUME_GIB * KIB}", "conv=fsync", "status=none")
        # As many inodes as a million messages want.
        self._run("mkfs.ext4", "-q", "-F", "-i", "4096", image)
        device = self._run("losetup", "--find", "--show", "--direct-io=on", image).strip()
        try:
            self._run("mount", device, self.path)
        finally:
            # It goes with its mount.
            self._run("losetup", "--detach", device)

    def stop(self):
        # Whoever has it open may end later.
        self._run("umount", "--lazy", self.path)

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"{' '.join(command)}: {done.stderr.strip()}; a volume of its own needs root and loop devices")
        return done.stdout


class Bench:
    """Two stores of mail with the same mailboxes on one file system: ours, and dovecot-lmtp's."""

    def __init__(self, lab):
        self.lab = lab
        self.random = random.Random(1)
        self.addresses = [f"user{n}@domain{n % SIZE.domains}.test" for n in range(SIZE.users)]
        self.random.shuffle(self.addresses)
        volume = Volume(lab.folder)
        lab.others.append(volume)
        self.ours, self.theirs, self.bare = (os.path.join(volume.path, name) for name in ("ours", "theirs", "bare"))
        for base in (self.ours, self.theirs, self.bare):
            os.mkdir(base)
            os.chown(base, MAIL_UID, MAIL_UID)
            for address in self.addresses:
                make_maildir(os.path.join(base, path_of(address)))
        lab.configure("mailboxes", base=self.ours)
        self.path = lab.folder.make("dovecot-lmtp")
        for name in ("run", "state"):
            lab.folder.make("dovecot-lmtp/" + name)
        queue = os.path.dirname(lab.suite.queue)
        self.sockets = {"vmailkit": os.path.join(lab.suite.queue, "lmtp"), "dovecot-lmtp": queue + "/dovecot-lmtp"}
        config = os.path.join(self.path, "dovecot.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(_DOVECOT.format(path=self.path, uid=MAIL_UID, mail=self.theirs, socket=self.sockets["dovecot-lmtp"]))
        dovecot = Process(["/usr/sbin/dovecot", "-F", "-c", config], os.path.join(self.path, "log"))
        lab.others.append(dovecot)
        dovecot.wait_until(lambda: os.path.exists(self.sockets["dovecot-lmtp"]), 30, "dovecot-lmtp")
        self.store = lab.suite.store
        self.store.start()
        self.tools = os.path.join(os.environ["VMAILKIT_BUILD"], "tests/bench")

    def tool(self, name, *arguments, lines):
        done = subprocess.run(
            [os.path.join(self.tools, name), *map(str, arguments)],
            input="".join(line + "\n" for line in lines),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(f"{name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def load(self, who, connections, messages, recipients, size, addresses=None):
        """Messages a second of one run; what it has stored is there, whole in number, and taken away again."""
        place = "lmtp:" + self.sockets[who]
        result = self.tool("mail_load", place, connections, messages, recipients, size, lines=addresses or self.addresses)
        self.clear(self.ours if who == "vmailkit" else self.theirs, messages * recipients)
        return messages / result["seconds"]

    def loop(self, threads, messages, size):
        maildirs = [os.path.join(self.bare, path_of(address)) for address in self.addresses]
        result = self.tool("safe_loop", threads, messages, size, lines=maildirs)
        self.clear(self.bare, messages)
        return messages / result["seconds"]

    def clear(self, base, expected):
        removed = 0
        for address in self.addresses:
            new = os.path.join(base, path_of(address), "new")
            for name in os.listdir(new):
                os.unlink(os.path.join(new, name))
                removed += 1
        os.sync()
        if removed != expected:
            raise ServerError(f"{removed} messages were stored below {base}, and {expected} were sent")


_benches = {}


def bench(labs):
    """The one of this lab, made on first use."""
    lab = labs.get(SIZE)
    if lab not in _benches:
        lab.fill()
        _benches.clear()
        _benches[lab] = Bench(lab)
    return _benches[lab]


def path_of(address):
    local, domain = address.split("@")
    return f"{domain}/{local}"


def make_maildir(path):
    for name in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, name), exist_ok=True)
    for folder in (path, os.path.dirname(path), *(os.path.join(path, name) for name in ("cur", "new", "tmp"))):
        os.chown(folder, MAIL_UID, MAIL_UID)


def compare(labs, report, case, goal, connections, messages, recipients, size, unit="messages/s"):
    """Both servers in turns; the figures are deliveries when there are several recipients."""
    one = bench(labs)
    series = {
        who: lambda who=who: one.load(who, connections, messages[who], recipients, size) * recipients
        for who in ("vmailkit", "dovecot-lmtp")
    }
    for run in series.values():
        run()
    rates = interleave(series)
    report.add(case, unit, rates["vmailkit"], goal, "dovecot-lmtp", rates["dovecot-lmtp"])


def counts(ours, theirs):
    return {"vmailkit": ours, "dovecot-lmtp": theirs}


def small(labs, report):
    """2 KiB: over 20 connections beside both, over one connection, and to ten recipients."""
    one = bench(labs)
    series = {
        "vmailkit": lambda: one.load("vmailkit", 20, 8000, 1, 2 * KIB),
        "dovecot-lmtp": lambda: one.load("dovecot-lmtp", 20, 2000, 1, 2 * KIB),
        "bare loop": lambda: one.loop(32, 8000, 2 * KIB),
        "bare loop, as many": lambda: one.loop(20, 8000, 2 * KIB),
    }
    for run in series.values():
        run()
    rates = interleave(series)
    case = "2 KiB, 1 recipient, 20 connections"
    report.add(case, "messages/s", rates["vmailkit"], (">=", 4), "dovecot-lmtp", rates["dovecot-lmtp"])
    report.add(case, "messages/s", rates["vmailkit"], (">=", 0.8), "bare safe loop, 32 threads", rates["bare loop"])
    # 20 connections have no more than 20 messages on their way.
    report.add(case, "messages/s", rates["vmailkit"], None, "bare safe loop, 20 threads", rates["bare loop, as many"])
    case = "2 KiB, 10 recipients, 20 connections"
    compare(labs, report, case, (">=", 5), 20, counts(2000, 400), 10, 2 * KIB, "deliveries/s")
    compare(labs, report, "2 KiB, 1 connection", (">=", 3), 1, counts(1500, 500), 1, 2 * KIB)


def large(labs, report):
    """50 KiB and 5 MiB, and the memory that it takes."""
    compare(labs, report, "50 KiB, 20 connections", None, 20, counts(4000, 1500), 1, 50 * KIB)
    one = bench(labs)
    one.store.restart()
    compare(labs, report, "5 MiB, 8 connections", (">=", 1), 8, counts(120, 120), 1, 5 * KIB * KIB)
    peak = memory(one.store.process.pid, "VmHWM") / 2**20
    report.add("resident memory after that, at its highest", "MiB", [peak], ("<=", 64))


def idle(labs, report):
    """Resident memory of 500 connections that have each sent a message, over that of one."""
    one = bench(labs)
    samples = []
    for _ in range(ROUNDS):
        one.store.restart()
        one.load("vmailkit", 20, 2000, 1, 2 * KIB)
        with open_clients(one, 1):
            before = memory(one.store.process.pid, "VmRSS")
        with open_clients(one, 499):
            samples.append((memory(one.store.process.pid, "VmRSS") - before) / 498)
        one.clear(one.ours, 1 + 499)
    report.add("an idle connection, 499 of them", "bytes resident", samples, ("<=", 1024))


class open_clients:  # pylint: disable=invalid-name
    """mail_load with so many connections that have each had about one message, and idle now."""

    def __init__(self, one, count):
        self._argv = [os.path.join(one.tools, "mail_load"), "lmtp:" + one.sockets["vmailkit"]]
        self._argv += [str(number) for number in (count, count, 1, 2 * KIB)] + ["idle"]
        self._lines = "".join(line + "\n" for line in one.addresses) + "\n"
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process.stdin.write(self._lines)
        self._process.stdin.flush()
        json.loads(self._process.stdout.readline())
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        if self._process.wait(60) != 0:
            raise ServerError("mail_load has failed")


def barrier(labs, report):
    """Deliveries without their protocol: from how many on do they share a barrier?"""
    one = bench(labs)
    for threads in (4, 8, 16, 32, 64):
        series = {
            f"from {together} on": lambda together=together, threads=threads: _deliver(one, threads, together)
            for together in (2, 4, 6, 8, 12, 1000)
        }
        rates = interleave(series, 3)
        for name, rate in rates.items():
            if name != "from 1000 on":
                case = f"{threads} deliveries at a time, one barrier {name}"
                report.add(case, "deliveries/s", rate, None, "each by itself", rates["from 1000 on"])


def _deliver(one, threads, together):
    maildirs = [path_of(address) for address in one.addresses]
    messages = 1000 + 250 * threads
    result = one.tool("delivery_rate", one.bare, threads, messages, 2 * KIB, together, lines=maildirs)
    one.clear(one.bare, messages + len(maildirs))
    return messages / result["seconds"]


def million(labs, report):
    """A Maildir with a million messages beside an empty one."""
    one = bench(labs)
    big, empty = "user1@domain1.test", "user2@domain2.test"
    cur = os.path.join(one.ours, path_of(big), "cur")
    for number in range(1_000_000):
        os.close(os.open(f"{cur}/1700000000.M{number}P1.bench,S=1,W=1:2,S", os.O_CREAT | os.O_EXCL, 0o600))
    os.sync()
    series = {
        name: lambda address=address: one.load("vmailkit", 20, 4000, 1, 2 * KIB, [address])
        for name, address in (("big", big), ("empty", empty))
    }
    for run in series.values():
        run()
    rates = interleave(series)
    case = "2 KiB into a Maildir with 1,000,000 messages"
    report.add(case, "messages/s", rates["big"], (">=", 0.9), "into an empty one", rates["empty"])
    shutil.rmtree(cur)
    make_maildir(os.path.dirname(cur))


def path(labs, report):
    """SMTP to Maildir through Postfix: our maps and store, and proxy:mysql: maps (indexed) with dovecot-lmtp."""
    one = bench(labs)
    lab = one.lab
    lab.start_daemon()
    tables = lab.tables
    wirings = {
        # By the name that a chrooted smtpd has for it; MySQL's socket it reaches through proxymap alone.
        "vmailkit": ({name: f"socketmap:unix:vmailkit/maps:{name}" for name in tables["vmailkit"]}, "lmtp:unix:vmailkit/lmtp"),
        "dovecot-lmtp": (tables["proxy:mysql:"], "lmtp:unix:dovecot-lmtp"),
    }
    latencies = {name: [] for name in wirings}

    def run(who):
        maps, transport = wirings[who]
        settings = {
            "virtual_mailbox_domains": maps["domains"],
            "virtual_mailbox_maps": maps["mailboxes"],
            "virtual_alias_maps": maps["aliases"],
            "virtual_transport": transport,
            "smtpd_sasl_auth_enable": "no",
            "local_recipient_maps": "",
        }
        for line in ("relay_domains", "transport_maps", "sender_bcc_maps", "recipient_bcc_maps", "sender_canonical_maps"):
            settings[line] = ""
        for line in ("recipient_canonical_maps", "sender_dependent_relayhost_maps", "smtpd_sender_login_maps"):
            settings[line] = ""
        done = lab.postfix.command("postconf", "-e", *(f"{name}={value}" for name, value in settings.items()))
        if done.returncode != 0:
            raise ServerError(done.stderr)
        # Not reload: a process that is busy goes on by the old settings for a while.
        lab.postfix.stop()
        lab.postfix.start()
        base = one.ours if who == "vmailkit" else one.theirs
        start = time.monotonic()
        one.tool("mail_load", f"smtp:{lab.postfix.smtp_port}", 20, PATH_MESSAGES, 1, 2 * KIB, lines=one.addresses)
        wait_until(lambda: not queued(lab.postfix.queue), 120, "an empty queue", 0.02)
        rate = PATH_MESSAGES / (time.monotonic() - start)
        latencies[who].append(percentile(list(ages(base, one.addresses)), 0.99) * 1000)
        one.clear(base, PATH_MESSAGES)
        return rate

    for who in wirings:
        run(who)
    for times in latencies.values():
        times.clear()
    rates = interleave({who: lambda who=who: run(who) for who in wirings})
    case = "SMTP to Maildir, 20 sessions"
    report.add(case, "messages/s", rates["vmailkit"], (">=", 1.4), "proxy:mysql: and dovecot-lmtp", rates["dovecot-lmtp"])
    case += ", p99 from RCPT to file"
    report.add(case, "ms", latencies["vmailkit"], None, "proxy:mysql: and dovecot-lmtp", latencies["dovecot-lmtp"])


def queued(queue):
    return any(files for part in ("incoming", "active", "deferred") for _, _, files in os.walk(os.path.join(queue, part)))


def ages(base, addresses):
    """How many seconds after its RCPT each message got its name (which changes the file's ctime)."""
    for address in addresses:
        new = os.path.join(base, path_of(address), "new")
        for name in os.listdir(new):
            file = os.path.join(new, name)
            with open(file, "rb") as text:
                line = next(line for line in text if line.startswith(b"X-Sent: "))
            yield os.stat(file).st_ctime - int(line.split()[1]) / 1e9


def memory(pid, field):
    """Bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) * 1024


BENCHMARKS = {
    "store-small": small,
    "store-large": large,
    "store-idle": idle,
    "store-path": path,
    "store-barrier": barrier,
    "store-million": million,
}
