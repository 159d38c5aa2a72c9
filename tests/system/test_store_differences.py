"""The same scripted sessions with vmail-lmtpd and with dovecot-lmtp: replies, their order, what is stored, and its headers.

Every difference stands in store_differences.md, with the reason for it; one that is not there fails the test, and so does
one that is there and no longer seen. `python3 test_store_differences.py --list` prints those that are seen, in the form of
that file.
"""

import itertools
import os
import pathlib
import re
import shutil
import socket
import sys
import unittest

from lmtp_scripts import ANNA, BEN, CARL, scripts
from private_server import Dovecot
from private_server.suite import MAIL_UID
from store_tests import Store

LISTED = pathlib.Path(__file__).with_name("store_differences.md")
MAILBOXES = (ANNA, BEN, CARL)

_USERS = """\
passdb {{
  driver = passwd-file
  args = {users}
}}
userdb {{
  driver = passwd-file
  args = {users}
}}
"""


class Ours:
    def __init__(self):
        self.store = Store(MAILBOXES, {"store": {"hostname": "store.test"}})
        self.socket, self.base = self.store.socket, self.store.base

    def maildir(self, address):
        return self.store.maildir(address)


class Theirs:
    """Dovecot's, with Maildirs of its own."""

    def __init__(self, folder):
        self.base = pathlib.Path(folder.make("theirs", 0o755, (MAIL_UID, MAIL_UID)))
        users = os.path.join(folder.path, "users")
        with open(users, "w", encoding="ascii") as file:
            for address in MAILBOXES:
                file.write(f"{address}:{{PLAIN}}x:{MAIL_UID}:{MAIL_UID}::{self.maildir(address)}\n")
        os.chmod(users, 0o644)
        self.server = Dovecot(folder, MAIL_UID, _USERS.format(users=users), lmtp="hostname = store.test\n")
        self.socket = self.server.lmtp_socket

    def maildir(self, address):
        local, domain = address.split("@")
        return self.base / domain / local


class Session:
    """One script with one server. replies: (label, replies joined by blanks) of each step, and how it ended."""

    def __init__(self, server, script):
        self.replies = []
        self._accepted = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(server.socket)
        self._input = self._socket.makefile("rb")
        self._note("greeting", self._take(1))
        for step in script.steps:
            self._send(step.data)
            replies = self._take(self._accepted if step.replies is None else step.replies)
            self._count(step.data, replies)
            if step.data[:4].upper() == b"LHLO" and replies[:1] == ["250"]:
                self.keywords = set(self._text)
            self._note(step.label, replies)
        if script.hang_up:
            self._socket.shutdown(socket.SHUT_WR)
            self._note("the end", self._take(None))
        else:
            self._send(script.tail + b"QUIT\r\n")
            self._note("tail and QUIT" if script.tail else "QUIT", self._take(None))
        self._input.close()
        self._socket.close()

    def _send(self, data):
        try:
            self._socket.sendall(data)
        except OSError:
            pass  # it has hung up: so say the replies

    def _take(self, count):
        """So many replies as "code enhanced", fewer when the server closes; None: all up to that."""
        replies, self._text = [], []
        while count is None or len(replies) < count:
            try:
                line = self._input.readline()
            except TimeoutError:
                return [*replies, "silence"]
            except OSError:
                line = b""
            if not line:
                return [*replies, "closed"]
            found = re.match(rb"(\d{3})([ -])(\d\.\d{1,3}\.\d{1,3})?", line)
            self._text.append(line[4:].decode(errors="replace").strip())
            if found and found[2] == b" ":
                replies.append(" ".join(part.decode() for part in (found[1], found[3]) if part))
        return replies

    def _count(self, data, replies):
        verb = data[:4].upper()
        if verb in (b"MAIL", b"RSET", b"LHLO") and replies[:1] and replies[0].startswith("250"):
            self._accepted = 0
        elif verb == b"RCPT":
            self._accepted += sum(reply.startswith("250") for reply in replies)

    def _note(self, label, replies):
        runs = [(reply, len(list(same))) for reply, same in itertools.groupby(replies)]
        shown = [[reply] * count if count <= 3 else [f"{count} x {reply}"] for reply, count in runs]
        self.replies.append((label, ", ".join(itertools.chain(*shown))))


def stored(server):
    """{address: [text of each message]}, in the order in which they came; the mailboxes are empty afterwards."""
    found = {}
    for address in MAILBOXES:
        folder = server.maildir(address)
        files = sorted((path for sub in ("new", "cur") for path in folder.glob(sub + "/*")), key=lambda path: path.name)
        if files:
            found[address] = [path.read_bytes() for path in files]
        shutil.rmtree(folder, ignore_errors=True)
    return found


def split_trace(message, address):
    """The headers that the server has put in front, in one form for all, and the rest."""
    lines = message.split(b"\n")
    trace, at = [], 0
    for name in (b"Return-Path:", b"Delivered-To:", b"Received:"):
        if at < len(lines) and lines[at].startswith(name):
            end = at + 1
            while lines[end][:1] in (b" ", b"\t"):
                end += 1
            trace.append(b" ".join(line.strip() for line in lines[at:end]).decode(errors="replace"))
            at = end
    text = "; ".join(trace)
    text = re.sub(r"id [\w./+=:-]+", "id ID", text)
    text = re.sub(r"\w{3}, \d+ \w{3} \d{4} [\d:]+ [+-]\d{4}", "DATE", text)
    local, domain = address.split("@")
    return re.sub(rf"{local}(\+\w+)?@{domain}", "RECIPIENT", text), b"\n".join(lines[at:])


def shown(data):
    text = repr(data)[2:-1]
    return text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}"


def differences(script, ours, theirs):
    """(script, what, ours, theirs) of everything that differs."""
    found = []
    sessions = [Session(server, script) for server in (ours, theirs)]
    for (label, mine), (_, other) in zip(*(session.replies for session in sessions)):
        if mine != other:
            found.append((script.name, label, mine, other))
    if all(hasattr(session, "keywords") for session in sessions):
        mine, other = (session.keywords - {"store.test"} for session in sessions)
        if mine != other:
            only = (", ".join(sorted(words)) for words in (mine - other, other - mine))
            found.append(("every script", "keywords", *only))
    boxes = [stored(server) for server in (ours, theirs)]
    for address in MAILBOXES:
        mine, other = (box.get(address, []) for box in boxes)
        if len(mine) != len(other):
            found.append((script.name, f"messages for {address}", str(len(mine)), str(len(other))))
            continue
        for pair in zip(mine, other):
            (my_trace, my_text), (other_trace, other_text) = (split_trace(message, address) for message in pair)
            if my_trace != other_trace:
                several = sum(map(len, boxes[1].values())) > 1
                what = "headers, several recipients" if several else "headers, one recipient"
                found.append(("every script", what, my_trace, other_trace))
            if my_text != other_text:
                found.append((script.name, f"text for {address}", shown(my_text), shown(other_text)))
    return found


def listed():
    """The rows of store_differences.md: lines that are indented, with three bars."""
    rows = []
    for line in LISTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            row = tuple(part.strip() for part in line.split(" | "))
            assert len(row) == 4, f"store_differences.md: not four parts: {line}"
            rows.append(row)
    return rows


def row(difference):
    return tuple(" ".join(part.replace(" | ", " / ").split()) or "-" for part in difference)


def all_differences():
    ours = Ours()
    with ours.store:
        theirs = Theirs(ours.store.folder)
        with theirs.server:
            found = {}
            for script in scripts():
                for difference in differences(script, ours, theirs):
                    found.setdefault(row(difference))
            return list(found)


class Differences(unittest.TestCase):
    def test_every_difference_is_listed(self):
        self.assertGreaterEqual(len(scripts()), 200)
        known, seen = listed(), all_differences()
        self.assertEqual(len(known), len(set(known)), "a row stands twice in store_differences.md")
        new = [" | ".join(each) for each in seen if each not in known]
        gone = [" | ".join(each) for each in known if each not in seen]
        self.assertEqual(new, [], "differences that store_differences.md does not list")
        self.assertEqual(gone, [], "differences that store_differences.md lists, and that were not seen")


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        for each in all_differences():
            print("    " + " | ".join(each))
    else:
        unittest.main()
