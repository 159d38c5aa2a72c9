"""Logins: hashing alone, and vmail-authd at its SASL socket, beside what libxcrypt alone hashes on the same cores.

SHA512-CRYPT with 5000 rounds, passwords of 12 characters. What rests on the multi-buffer library, and so on AVX-512, is
measured without it too: vmail-authd then finds no library of that name.
"""

import contextlib
import json
import os
import statistics
import subprocess

from lab import ServerError, Size
from report import interleave

SIZE = Size(users=100_000, domains=100)
PASSWORD = "password1234"
CLIENTS = 16
SECONDS = 2


def program(name):
    return os.path.join(os.environ["VMAILKIT_BUILD"], "tests/bench", name)


def _run(argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(done.stderr)
    return json.loads(done.stdout)


def _engine(name):
    """What it calls itself; None where this host does not have it."""
    return _run([program("hash_rate"), name, "1", "0"])["engine"]


def which_engine():
    """The name of what serves for several logins here, and how much of libxcrypt's rate it is to reach."""
    if "AVX-512" in (_engine("several") or ""):
        return "AVX-512", 1.8
    return ("AVX2", 1.4) if _engine("avx2") else ("OpenSSL", 1.2)


def _hash(engine, threads):
    """Hashes a second."""
    result = _run([program("hash_rate"), engine, str(threads), str(SECONDS)])
    return result["hashes"] / result["seconds"]


def _cores():
    return len(os.sched_getaffinity(0))


def hashing(_labs, report):
    """The engines alone."""
    names = {"multi-buffer": "multi-buffer library", "avx2": "four at once with AVX2", "openssl": "OpenSSL"}
    here = [engine for engine in names if _engine(engine)]
    for threads in sorted({1, _cores()}):
        runs = {engine: lambda engine=engine: _hash(engine, threads) for engine in [*here, "libxcrypt"]}
        rates = interleave(runs)
        for engine in here:
            case = f"SHA512-CRYPT alone, {names[engine]}, {threads} threads"
            report.add(case, "hashes/s", rates[engine], None, "libxcrypt", rates["libxcrypt"])


def auth_lab(labs):
    lab = labs.get(SIZE)
    if not lab.database.query("SELECT 1 FROM virtual_users LIMIT 1", "mailserver"):
        lab.fill()
        # One hash for all: whoever remembers verified logins remembers them by user, too.
        lab.database.query(f"UPDATE virtual_users SET password = '{_hashed(5000)}'", "mailserver")
    return lab


def _hashed(rounds):
    argv = ["openssl", "passwd", "-6", "-salt", f"rounds={rounds}$abcdefghijklmnop", "-stdin"]
    return subprocess.run(argv, input=PASSWORD + "\n", capture_output=True, text=True, check=True).stdout.strip()


def users_of(lab, first, count):
    domains = lab.size.domains
    return lab.file(f"user{n}@domain{n % domains}.test" for n in range(first, first + count))


def load(socket_path, users, password, **options):
    """What auth_load says of logins of these users in turns."""
    options |= {"socket": socket_path, "users": users, "password": password}
    argv = [program("auth_load")]
    for name, value in options.items():
        argv += ["--" + name, str(value)]
    return _run(argv)


def log_in_result(socket_path, users, seconds=SECONDS, clients=CLIENTS, pause=0):
    """The same of logins that must all do."""
    result = load(socket_path, users, PASSWORD, clients=clients, seconds=seconds, pause=pause)
    if result["failed"]:
        raise ServerError(f"{result['failed']} logins failed; the first with: {result['first_failure']}")
    if result["logins"] == 0:
        raise ServerError("nobody could log in")
    return result


def log_in(socket_path, users, seconds=SECONDS):
    """Logins a second."""
    result = log_in_result(socket_path, users, seconds)
    return result["logins"] / result["seconds"]


def _sasl_socket(lab):
    return os.path.join(lab.suite.queue, "auth")


@contextlib.contextmanager
def served(lab):
    lab.suite.auth.start()
    try:
        yield
    finally:
        lab.suite.auth.stop()


@contextlib.contextmanager
def _no_library(lab):
    """Programs that are started meanwhile do not find the multi-buffer library: one that is none stands before it."""
    folder = lab.folder.make("no-library")
    for major in (1, 2):
        with open(os.path.join(folder, f"libIPSec_MB.so.{major}"), "wb"):
            pass
    before = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = folder
    try:
        yield
    finally:
        del os.environ["LD_LIBRARY_PATH"]
        if before is not None:
            os.environ["LD_LIBRARY_PATH"] = before


def _distinct(lab, report, case, goal):
    numbers = iter(range(0, SIZE.users, 10_000))

    def ours():
        # Each user once, so that nothing is remembered of any.
        return log_in(_sasl_socket(lab), users_of(lab, next(numbers), 10_000))

    with served(lab):
        ours()
        rates = interleave({"ours": ours, "libxcrypt": lambda: _hash("libxcrypt", _cores())})
    report.add(case, "logins/s", rates["ours"], (">=", goal), "libxcrypt alone", rates["libxcrypt"])


def distinct(labs, report):
    """Users who log in for the first time, at the SASL socket."""
    lab = auth_lab(labs)
    case = f"distinct users at the SASL socket, {CLIENTS} connections"
    kind, goal = which_engine()
    _distinct(lab, report, f"{case}, {kind}", goal)
    if kind == "AVX-512":
        with _no_library(lab):
            kind, goal = which_engine()
            _distinct(lab, report, f"{case}, {kind}", goal)


def repeated(labs, report):
    """Users who log in again and again, at the SASL socket."""
    lab = auth_lab(labs)
    users = users_of(lab, 0, 200)
    with served(lab):
        log_in(_sasl_socket(lab), users)
        rates = interleave({"ours": lambda: log_in(_sasl_socket(lab), users)})
    case = f"200 users again and again at the SASL socket, {CLIENTS} connections"
    report.add(case, "logins/s", rates["ours"], (">=", 50_000))


def timing(labs, report):
    """How long a failure takes tells nobody why it failed: means and deviations of 2,000 answers and more of each kind."""
    lab = auth_lab(labs)
    lab.configure("throttle", passwords=0, accounts=0)
    kinds = {
        "unknown": "",
        "disabled": "enable = 0",
        "wrong password, cheap hash": f"password = '{_hashed(1000)}'",
        "wrong password, dear hash": f"password = '{_hashed(40_000)}'",
    }
    files = {}
    for number, (kind, columns) in enumerate(kinds.items()):
        first = 90_000 + 100 * number
        if columns:
            lab.database.query(
                f"UPDATE virtual_users SET {columns} WHERE id BETWEEN {first + 1} AND {first + 100}", "mailserver"
            )
            files[kind] = users_of(lab, first, 100)
        else:
            files[kind] = lab.file(f"nobody{n}@domain{n % lab.size.domains}.test" for n in range(100))
    with served(lab):
        runs = {
            kind: lambda users=users: load(_sasl_socket(lab), users, "a wrong one", clients=64, seconds=12)
            for kind, users in files.items()
        }
        results = interleave(runs)
    for kind, rounds in results.items():
        answers = sum(each["logins"] for each in rounds)
        if any(each["failed"] != each["logins"] for each in rounds):
            raise ServerError(f"{kind}: somebody was let in")
        report.add(f"a failure: {kind} ({answers:,} answers)", "ms", [each["mean"] for each in rounds])
    # Medians of the rounds: the first answers of a round leave at the next tick, and so tell when it began, not of what
    # kind they are.
    means = {kind: statistics.median(each["mean"] for each in rounds) for kind, rounds in results.items()}
    spread = min(each["deviation"] for rounds in results.values() for each in rounds)
    apart = max(means.values()) - min(means.values())
    report.add("between the means, as part of the least standard deviation", "", [apart / spread], ("<=", 1))
    lab.configure("throttle", passwords=None, accounts=None)


BENCHMARKS = {"logins-timing": timing, "logins-hashing": hashing, "logins-distinct": distinct, "logins-repeated": repeated}
