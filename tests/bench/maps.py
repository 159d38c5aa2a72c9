"""Lookups of vmail-mapd beside Postfix's own mysql: and proxy:mysql: tables, and beside a server that answers a constant.

All on the same 100,000 users, 1,000 domains and 50,000 aliases (indexed), in turns.
"""

import threading
import time

from lab import ServerError, Size, last_core, pinned, processor_time, wait_until
from report import ROUNDS, interleave

SIZE = Size(users=100_000, domains=1_000, aliases=50_000)
KEYS = 20_000
# How much each is asked for a sample: for seconds, long enough that the start of the clients counts for little.
LOOKUPS = {"constant": 240_000, "vmailkit": 240_000, "mysql:": 80_000, "proxy:mysql:": 40_000}
KIND = {"mailboxes": "user", "aliases": "alias"}


def filled_lab(labs):
    lab = labs.get(SIZE)
    if not lab.database.query("SELECT 1 FROM virtual_users LIMIT 1", "mailserver"):
        lab.fill()
    return lab


def _found(keys, lookups):
    """How many of so many lookups, the keys in turns, find something."""
    known = sum(not key.startswith("nobody") for key in keys)
    if lookups % len(keys):
        return None
    return known * (lookups // len(keys))


def warm(labs, report):
    """Everything asked is known: to us in memory, to MariaDB in its buffers."""
    lab = filled_lab(labs)
    lab.start_daemon()
    for name, kind in KIND.items():
        keys = lab.keys(kind, KEYS)
        for clients in (4, 16):
            _warm(lab, report, name, keys, clients)
    keys = lab.keys("user", KEYS)
    files = lab.key_files(keys, 1, LOOKUPS["constant"])
    servers = {"constant": lab.constant, "vmailkit": lab.daemon.process}

    def one(peer):
        with pinned([servers[peer]], last_core()):
            return lab.postmap(lab.tables[peer]["mailboxes"], files, core=last_core()).rate

    rates = interleave({peer: lambda peer=peer: one(peer) for peer in servers})
    case = "warm, mailboxes, 1 client on one core (postmap)"
    report.add(case, "lookups/s", rates["vmailkit"], (">=", 0.85), "constant", rates["constant"])


def _warm(lab, report, name, keys, clients):
    servers = {
        "constant": [lab.constant],
        "vmailkit": [lab.daemon.process, lab.database.process],
        "mysql:": [lab.database.process],
        "proxy:mysql:": [],
    }

    def ask(peer):
        files = lab.key_files(keys, clients, LOOKUPS[peer])
        found = None if peer == "constant" else _found(keys, LOOKUPS[peer])
        return lab.postmap(lab.tables[peer][name], files, servers[peer], found=found)

    ask("vmailkit")
    ask("mysql:")
    runs = interleave({peer: lambda peer=peer: ask(peer) for peer in servers})
    rates = {peer: [run.rate for run in some] for peer, some in runs.items()}
    case = f"warm, {name}, {clients} clients (postmap)"
    for peer, goal in (("constant", 0.85), ("mysql:", 2.5), ("proxy:mysql:", 5)):
        report.add(case, "lookups/s", rates["vmailkit"], (">=", goal), peer, rates[peer])
    used = {peer: [run.processor / run.lookups * 1e6 for run in some] for peer, some in runs.items()}
    case = f"processor time per warm lookup, {name}, {clients} clients"
    report.add(case, "µs", used["vmailkit"], ("<=", 0.333), "mysql:", used["mysql:"])


def idle(labs, report):
    """484 connections that have asked one question each, and then say nothing."""
    lab = filled_lab(labs)
    keys = lab.file(lab.keys("user", KEYS))
    memory = []

    def connect(idle_clients, seconds):
        options = ["--map", "mailboxes", "--keys", keys, "--clients", 16, "--idle", idle_clients, "--seconds", seconds]
        return lab.load(*options)

    for _ in range(ROUNDS):
        lab.start_daemon()
        client = connect(484, 0)
        before = lab.memory()
        client.connect_idle()
        memory.append((lab.memory() - before) / 484)
        client.go()
        client.result()

    def ask(idle_clients):
        client = connect(idle_clients, 3)
        if idle_clients:
            client.connect_idle()
        client.go()
        result = client.result()
        return result["lookups"] / result["seconds"]

    ask(0)
    # Both are vmail-mapd, and what one differs from the other by is less than one run from the next.
    rates = interleave({"500": lambda: ask(484), "16": lambda: ask(0)}, 4 * ROUNDS)
    case = "warm, 500 connections of which 16 busy (socketmap_load)"
    report.add(case, "lookups/s", rates["500"], (">=", 1), "16 connections", rates["16"])
    report.add("resident memory per idle connection", "bytes", memory, ("<=", 1024))


def cold(labs, report):
    """Nothing is in our memory, and each key is asked once."""
    lab = filled_lab(labs)
    lab.configure("directory", preload=False)
    lab.start_daemon()
    count = 80_000
    for clients in (4, 16):
        keys = lab.keys("user", count, seed=clients)
        files = [lab.file(keys[client::clients]) for client in range(clients)]
        statements = []

        def ours():
            lab.control("flush", keys=[])
            before = lab.statements()
            run = lab.postmap(lab.tables["vmailkit"]["mailboxes"], files, found=count // 2)
            statements.append((lab.statements() - before) / count)
            return run.rate

        def theirs(peer):
            return lab.postmap(lab.tables[peer]["mailboxes"], files, found=count // 2).rate

        # The second is the one that has a server between Postfix and the database, as we have.
        runs = {"vmailkit": ours} | {peer: lambda peer=peer: theirs(peer) for peer in ("mysql:", "proxy:mysql:")}
        for run in runs.values():
            run()
        statements.clear()
        rates = interleave(runs)
        case = f"cold, mailboxes, {clients} clients (postmap)"
        report.add(case, "lookups/s", rates["vmailkit"], (">=", 0.8), "mysql:", rates["mysql:"])
        report.add(case, "lookups/s", rates["vmailkit"], None, "proxy:mysql:", rates["proxy:mysql:"])
        # The feed is polled meanwhile too.
        report.add(f"statements per cold address, {clients} clients", "", statements, ("<=", 1.01))

        # As Postfix asks: one statement has brought what both maps need.
        def both(peer):
            if peer == "vmailkit":
                lab.control("flush", keys=[])
            runs = [lab.postmap(lab.tables[peer]["aliases"], files, found=0)]
            runs.append(lab.postmap(lab.tables[peer]["mailboxes"], files, found=count // 2))
            return count / sum(run.seconds for run in runs)

        rates = interleave({peer: lambda peer=peer: both(peer) for peer in ("vmailkit", "mysql:")})
        case = f"cold, aliases and then mailboxes, {clients} clients (postmap)"
        report.add(case, "addresses/s", rates["vmailkit"], None, "mysql:", rates["mysql:"])
    lab.configure("directory", preload=None)


def flood(labs, report):
    """Unknown addresses of our domains, each asked once: an attack that guesses names."""
    lab = filled_lab(labs)
    lab.start_daemon()
    count = 200_000
    questions, rates = [], []
    for number in range(ROUNDS):
        keys = lab.keys("user", count, seed=100 + number, known=0)
        files = [lab.file(keys[client::4]) for client in range(4)]
        with lab.statement_log() as log:
            rates.append(lab.postmap(lab.tables["vmailkit"]["mailboxes"], files, found=0).rate)
        questions.append(sum("email IN" in text for text in log))
    report.add("flood of unknown addresses, 4 clients (postmap)", "lookups/s", rates)
    report.add(f"queries for {count:,} unknown addresses", "", questions, ("<=", 0))


def restart(labs, report):
    """vmail-mapd ends and starts again while 16 clients ask; whoever holds the socket goes on holding it."""
    lab = filled_lab(labs)
    lab.start_daemon()
    keys = lab.keys("user", KEYS)
    failed, pauses = [], []
    for _ in range(ROUNDS):
        files = lab.key_files(keys, 16, 16 * KEYS * 3)
        outcome = []

        def ask():
            try:
                lab.postmap(lab.tables["vmailkit"]["mailboxes"], files, found=_found(keys, 16 * KEYS * 3))
                outcome.append(0)
            except ServerError as error:
                print(f"   {error}")
                outcome.append(max(1, str(error).count("fatal:")))

        clients = threading.Thread(target=ask)
        asked = processor_time(lab.daemon.process)
        clients.start()
        wait_until(lambda: processor_time(lab.daemon.process) > asked + 0.2, 60, "the clients to be at work")
        start = time.monotonic()
        lab.daemon.restart()
        pauses.append(time.monotonic() - start)
        clients.join()
        failed += outcome
    report.add("failed lookups at a restart, 16 clients (postmap)", "", failed, ("<=", 0))
    report.add("end of the old daemon to service by the new one", "s", pauses)


BENCHMARKS = {
    "maps-warm": warm,
    "maps-idle": idle,
    "maps-cold": cold,
    "maps-flood": flood,
    "maps-restart": restart,
}
