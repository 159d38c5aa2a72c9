"""Logins through Dovecot 2.3, beside its passdb sql and beside a checkpassword that asks MySQL itself; and what a flood of
guesses does to a user who logs in meanwhile.

Dovecot is asked where its imap-login would ask it, at its socket auth-client: the same protocol as at vmail-authd's own.
"""

import contextlib
import itertools
import json
import os
import subprocess

from lab import READER_PASSWORD, ServerError, wait_until
from logins import CLIENTS, PASSWORD, auth_lab, load, log_in, log_in_result, program, served, users_of, which_engine
from private_server.dovecot import CHECKPASSWORD, LUA, Dovecot, wiring
from private_server.suite import MAIL_UID
from report import ROUNDS, interleave

BLOCK = 10_000
NETWORKS, RATE = 1_000, 10_000
# Who guesses has so many connections, and on each so many guesses on their way.
CONNECTIONS, DEPTH = 400, 32
# For checkpassword Dovecot starts a process for each guess, however many there are. Unless it is told otherwise it has 100
# login processes for each of its four protocols, with one login each.
DEPTH_BY_PROCESSES = 1

_SQL = """\
driver = mysql
connect = host={socket} dbname=mailserver user=reader password={password}
default_pass_scheme = SHA512-CRYPT
password_query = SELECT email AS user, password FROM virtual_users WHERE enable = 1 AND email = '%u'
"""

_PASSDB_SQL = """\
passdb {{
  driver = sql
  args = {path}
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home=/var/mail/%d/%n
}}
"""

_PASSDB_CHECKPASSWORD = """\
passdb {{
  driver = checkpassword
  args = {command}
}}
userdb {{
  driver = prefetch
}}
"""


def _passdb_sql(lab):
    path = os.path.join(lab.folder.path, "dovecot-sql.conf.ext")
    with open(path, "w", encoding="ascii") as file:
        file.write(_SQL.format(socket=lab.database.socket, password=READER_PASSWORD))
    return _PASSDB_SQL.format(path=path, uid=MAIL_UID)


@contextlib.contextmanager
def _dovecots(lab, wirings):
    """A Dovecot for each of {name: passdb and userdb}; {name: the socket to log in at}."""
    with contextlib.ExitStack() as stack:
        sockets = {}
        for number, (name, text) in enumerate(wirings.items()):
            dovecot = stack.enter_context(Dovecot(lab.folder, MAIL_UID, text, name=f"dovecot{number}"))
            sockets[name] = os.path.join(dovecot.run, "auth-client")
        yield sockets


def _blocks(lab):
    """Files of users, none of whom is in two of them."""
    first = 0
    while True:
        yield users_of(lab, first % lab.size.users, BLOCK)
        first += BLOCK


def _rates(sockets, users):
    """Logins a second at each socket, of what `users` has next for it; the first time counts for none."""
    runs = {name: lambda name=name: log_in(sockets[name], next(users[name])) for name in sockets}
    for run in runs.values():
        run()
    return interleave(runs)


def lua_distinct(labs, report):
    """Users who log in for the first time, through Dovecot and the Lua script."""
    lab = auth_lab(labs)
    with served(lab), _dovecots(lab, {"lua": wiring(lab.suite, LUA), "sql": _passdb_sql(lab)}) as sockets:
        rates = _rates(sockets, {name: _blocks(lab) for name in sockets})
    kind, goal = which_engine()
    case = f"distinct users, Dovecot 2.3 and Lua, {CLIENTS} connections, {kind}"
    report.add(case, "logins/s", rates["lua"], (">=", 1.6) if goal == 1.8 else None, "passdb sql", rates["sql"])


def checkpassword(labs, report):
    """The same through checkpassword, which Dovecot forks for each login."""
    lab = auth_lab(labs)
    theirs = [program("checkpassword_sql"), lab.database.socket, "reader", READER_PASSWORD, "mailserver", "/tmp"]
    sql = _PASSDB_CHECKPASSWORD.format(command=" ".join(theirs))
    with served(lab), _dovecots(lab, {"ours": wiring(lab.suite, CHECKPASSWORD), "sql": sql}) as sockets:
        rates = _rates(sockets, {name: _blocks(lab) for name in sockets})
    case = f"distinct users, checkpassword, {CLIENTS} connections"
    report.add(case, "logins/s", rates["ours"], (">=", 1.5), "one that asks MySQL", rates["sql"])


def lua_repeated(labs, report):
    """The same users again and again, beside Dovecot's own cache in both its forms."""
    lab = auth_lab(labs)
    users = users_of(lab, 0, 200)
    sql = _passdb_sql(lab) + "auth_cache_size = 10M\n"
    wirings = {
        "lua": wiring(lab.suite, LUA),
        "sql": sql,
        "sql, workers": sql + "auth_cache_verify_password_with_worker = yes\n",
    }
    with served(lab), _dovecots(lab, wirings) as sockets:
        rates = _rates(sockets, {name: itertools.repeat(users) for name in sockets})
    case = f"200 users again and again, Dovecot 2.3 and Lua, {CLIENTS} connections"
    report.add(case, "logins/s", rates["lua"], (">=", 12), "passdb sql, auth_cache_size=10M", rates["sql"])
    peer = "passdb sql, auth_cache and its workers"
    report.add(case, "logins/s", rates["lua"], (">=", 6), peer, rates["sql, workers"])


def flood(labs, report):
    """Guesses from a thousand networks, and people who log in from where they have been well known; none is remembered."""
    lab = auth_lab(labs)
    lab.configure("auth", verified_lifetime="0s")
    guessed = users_of(lab, 50_000, 20_000)
    ways = {"Dovecot and Lua": LUA, "checkpassword": CHECKPASSWORD}
    # Dovecot slows guesses down unless it is told otherwise.
    wirings = {name: wiring(lab.suite, way) + "\nauth_failure_delay = 2 secs\n" for name, way in ways.items()}
    with served(lab), _dovecots(lab, wirings) as sockets:
        sockets = {"the SASL socket": os.path.join(lab.suite.queue, "auth"), **sockets}
        for name, path in sockets.items():
            honest = users_of(lab, 0, 20)
            depth = DEPTH_BY_PROCESSES if name == "checkpassword" else DEPTH
            worst, failed = [], []
            for _ in range(ROUNDS):
                lab.suite.control("throttle", "clear", "--all")
                # The user is known, and what is left of the last flood has passed.
                wait_until(lambda: not load(path, honest, PASSWORD, seconds=1, clients=1)["failed"], 60, "a good login")
                with _flooded(path, guessed, depth):
                    result = load(path, honest, PASSWORD, seconds=8, clients=1, pause=50)
                worst.append(result["max"] / 1000)
                failed.append(result["failed"])
            guesses = f"{RATE:,} guesses/s from {NETWORKS:,} networks, {CONNECTIONS * depth:,} at once"
            case = f"a user's slowest login among {guesses}, {name}"
            report.add(case, "s", worst, ("<=", 1))
            report.add("the same user's logins that failed", "", failed, ("<=", 0))
    lab.configure("auth", verified_lifetime=None)


@contextlib.contextmanager
def _flooded(path, users, depth):
    options = {"socket": path, "users": users, "rate": RATE, "networks": NETWORKS, "clients": CONNECTIONS}
    options["depth"] = depth
    argv = [program("auth_flood"), "--seconds", "10"]
    for name, value in options.items():
        argv += ["--" + name, str(value)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield
        out, errors = process.communicate()
    if process.returncode != 0:
        raise ServerError(errors)
    print(f"   (the flood: {json.loads(out)})")


BENCHMARKS = {
    "logins-lua-distinct": lua_distinct,
    "logins-checkpassword": checkpassword,
    "logins-lua-repeated": lua_repeated,
    "logins-flood": flood,
}
