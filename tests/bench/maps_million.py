"""A directory of a million mailboxes with addresses of 40 bytes: time, memory, and how long lookups wait meanwhile."""

import os
import time

from lab import Size, percentile, wait_until
from report import ROUNDS

SIZE = Size(users=1_000_000, domains=1_000, width=40)
# Lookups a second, by the clock: what waits behind a pause counts for as long as it waits.
RATE = 2_000
CLIENTS = 16


def _lab(labs, report=None):
    lab = labs.get(SIZE)
    if not hasattr(lab, "empty"):
        lab.start_daemon()
        time.sleep(3)
        lab.empty = lab.memory()
        lab.daemon.stop()
        lab.fill()
    return lab


def _keys(lab):
    """The addresses of all users."""
    return lab.file(row[0] for row in lab.database.query("SELECT email FROM virtual_users", "mailserver"))


def memory(labs, report):
    """All million rows in memory."""
    lab = _lab(labs)
    lab.configure("directory", preload_size="512MiB", comparison_interval="10s")
    loads, steady, peaks = [], [], []
    for _ in range(ROUNDS):
        lab.start_daemon(wait=False)
        start = time.monotonic()
        lab.wait_until_loaded()
        loads.append(time.monotonic() - start)
        read = lab.control("status")["preload"]["read"]
        time.sleep(2)
        steady.append((lab.memory() - lab.empty) / SIZE.users)
        lab.forget_peak()
        wait_until(lambda: lab.control("status")["preload"]["read"] > read, 120, "the rows to be read again", poll=0.2)
        time.sleep(1)
        peaks.append((lab.memory("VmHWM") - lab.empty) / SIZE.users)
    lab.configure("directory", preload_size=None, comparison_interval=None)
    report.add("a million mailboxes: loaded after", "s", loads, ("<=", 15))
    report.add("a million mailboxes: memory of each over an empty daemon", "bytes", steady, ("<=", 200))
    report.add("a million mailboxes: at the peak of a reload", "bytes", peaks)


class _Meanwhile:
    """Lookups at a fixed rate; latencies of those that were due while something happened."""

    def __init__(self, lab, keys):
        self._lab = lab
        self._samples = os.path.join(lab.folder.path, "samples")
        options = ["--map", "mailboxes", "--keys", keys, "--clients", CLIENTS, "--rate", RATE]
        self._client = lab.load(*options, "--samples", self._samples)
        self._client.go()
        time.sleep(0.5)
        self._start = time.monotonic()

    def end(self, last=None):
        """99 of 100 waited less than so many milliseconds; of the last so many seconds, or of all."""
        end = max(time.monotonic(), self._start + 1)
        if last:
            self._start = max(self._start, end - last)
        time.sleep(max(0, end - time.monotonic()) + 0.1)
        self._client.end()
        self._client.result()
        with open(self._samples, encoding="ascii") as file:
            samples = [tuple(map(float, line.split())) for line in file]
        during = [microseconds for due, microseconds in samples if self._start <= due <= end]
        return percentile(during, 0.99) / 1000


def latency(labs, report):
    """How long lookups wait while a million rows are read, written and forgotten."""
    lab = _lab(labs)
    keys = _keys(lab)
    lab.configure("directory", preload_size="512MiB")
    loading, reading, flushing = [], [], []
    for _ in range(ROUNDS):
        lab.start_daemon(wait=False)
        meanwhile = _Meanwhile(lab, keys)
        lab.wait_until_loaded()
        loading.append(meanwhile.end())

        meanwhile = _Meanwhile(lab, keys)
        lab.control("flush", keys=[])
        flushing.append(meanwhile.end())
    # It is written every five minutes, and that takes seconds.
    meanwhile = _Meanwhile(lab, keys)
    before = lab.control("status")["snapshot"]["written"]
    wait_until(lambda: lab.control("status")["snapshot"]["written"] > before, 400, "the snapshot to be written", poll=0.2)
    writing = [meanwhile.end(last=5)]

    lab.configure("directory", comparison_interval="10s")
    lab.start_daemon()
    for _ in range(ROUNDS):
        before = lab.control("status")["preload"]["read"]
        meanwhile = _Meanwhile(lab, keys)
        wait_until(lambda: lab.control("status")["preload"]["read"] > before, 120, "the rows to be read again", poll=0.2)
        reading.append(meanwhile.end())
    lab.configure("directory", preload_size=None, comparison_interval=None)

    # The same million in the cache, where none is preloaded.
    lab.configure("directory", preload=False, cache_size="1GiB")
    cached = []
    for _ in range(ROUNDS):
        lab.start_daemon()
        client = lab.load("--map", "mailboxes", "--keys", keys, "--clients", CLIENTS, "--once")
        client.go()
        client.result()
        meanwhile = _Meanwhile(lab, keys)
        lab.control("flush", keys=[])
        cached.append(meanwhile.end())
    lab.configure("directory", preload=None, cache_size=None)
    what = f"p99 at {RATE:,} lookups/s (socketmap_load) while"
    report.add(f"{what} a million rows are loaded", "ms", loading, ("<=", 10))
    report.add(f"{what} they are read again", "ms", reading, ("<=", 10))
    report.add(f"{what} the snapshot is written", "ms", writing, ("<=", 10))
    report.add(f"{what} all is flushed, preloaded", "ms", flushing, ("<=", 10))
    report.add(f"{what} all is flushed, cached", "ms", cached, ("<=", 10))


BENCHMARKS = {"maps-memory": memory, "maps-latency": latency}
