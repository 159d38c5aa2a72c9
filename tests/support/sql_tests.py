"""What the tests of the schema and of vmailctl share: a private MariaDB, and an administrator with a configuration."""

import itertools
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import unittest

from private_server import MariaDB, TemporaryFolder
from site_tests import BUILD, ROOT

VMAILCTL = os.path.join(BUILD, "sql/vmailctl/vmailctl")
ORIGINAL = str(ROOT / "sql/upgrades/0000-original.sql")

# The tutorial's rows; its second alias has id 2, since it gives id 1 to both. Its ENCRYPT() makes the hashes.
TUTORIAL_ROWS = """
INSERT INTO virtual_domains (id, name) VALUES (1, 'mail.mydomain.com'), (2, 'mydomain.com');
INSERT INTO virtual_users (id, domain_id, password, email) VALUES
  (1, 2, ENCRYPT('123456zhangsan', CONCAT('$6$', SUBSTRING(SHA(RAND()), -16))), 'zhangsan@mydomain.com'),
  (2, 2, ENCRYPT('123456lisi', CONCAT('$6$', SUBSTRING(SHA(RAND()), -16))), 'lisi@mydomain.com');
INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES
  (1, 2, 'all@mydomain.com', 'zhangsan@mydomain.com'), (2, 2, 'all@mydomain.com', 'lisi@mydomain.com');
"""

_numbers = itertools.count(1)
server = None


def start_server():
    """In setUpModule: one server for the module."""
    global server
    server = unittest.enterModuleContext(MariaDB())


class Admin:
    """A database of its own on that server (not made yet), a folder for mail, and vmailctl with a configuration."""

    def __init__(self, folder, settings=None):
        number = next(_numbers)
        self.database = f"mail_{number}"
        self.path = folder.make(f"admin{number}")
        self.mail = folder.make(f"admin{number}/mail")
        self.etc = folder.make(f"admin{number}/etc")
        self.archive = os.path.join(self.mail, ".archive")
        self.config = os.path.join(self.etc, "vmailkit.toml")
        self.users = {section: f"{section}-{number}" for section in ("maps", "auth", "store")}
        table = {
            "database": {"hosts": [f"unix:{server.socket}"], "name": self.database},
            "mailboxes": {"base": self.mail, "owner": "mail", "group": "mail"},
            "admin": {"archive": self.archive},
        }
        for section, user in self.users.items():
            table[section] = {
                "database_user": user,
                "database_password_file": self.password_file(section),
                "control": os.path.join(self.path, section + ".control"),
            }
        for section, values in (settings or {}).items():
            table.setdefault(section, {}).update(values)
        with open(self.config, "w", encoding="utf-8") as file:
            for section, values in table.items():
                file.write(f"[{section}]\n")
                file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in values.items())

    def password_file(self, section):
        return os.path.join(self.etc, section + ".password")

    def password(self, section):
        return pathlib.Path(self.password_file(section)).read_text("ascii").strip()

    def argv(self, *arguments):
        return [VMAILCTL, "--config", self.config, *arguments]

    def run(self, *arguments, stdin="", prefix=()):
        """CompletedProcess with texts."""
        return subprocess.run(
            [*prefix, *self.argv(*arguments)], input=stdin.encode(), capture_output=True, check=False
        )

    def sql(self, statement, user="root", password=None):
        return server.query(statement, self.database, user=user, password=password)

    def make_original(self, rows=TUTORIAL_ROWS):
        server.query(f"CREATE DATABASE {self.database} CHARACTER SET utf8")
        server.load(ORIGINAL, self.database)
        self.sql(rows)

    def dump(self, *options):
        """Without what is drawn anew each time: when the first note of the feed was written, and its identity."""
        text = server.dump(self.database, "--skip-opt", "--create-options", *options)
        text = re.sub(r"(?m)^INSERT INTO `vmailkit_changes` VALUES\n? ?\(1,'start','','[^']*'\)", "(start)", text)
        return re.sub(r"(?m)^(INSERT INTO `vmailkit_feed` VALUES\n? ?\(1,)'[^']{32}'", r"\1(identity)", text)


class SqlTestCase(unittest.TestCase):
    """Runs vmailctl and looks at status and output."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(TemporaryFolder())

    def setUp(self):
        self.admin = Admin(self.folder)

    def ok(self, *arguments, stdin="", status=0):
        """Standard output of a command that must end with this status."""
        done = self.admin.run(*arguments, stdin=stdin)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, status, f"{arguments}\n{text}\n{done.stderr.decode()}")
        return text

    def json(self, *arguments, stdin="", status=0):
        return json.loads(self.ok("--json", *arguments, stdin=stdin, status=status))

    def refused(self, *arguments, because, stdin="", status=1):
        """Standard error of a command that must be refused for that reason; the same as JSON on standard output."""
        done = self.admin.run(*arguments, stdin=stdin)
        errors = done.stderr.decode()
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout.decode()}\n{errors}")
        self.assertIn(because, errors)
        if status != 64:
            done = self.admin.run("--json", *arguments, stdin=stdin)
            self.assertEqual(done.returncode, status)
            self.assertIn(because, json.loads(done.stdout)["error"])
        return errors

    def at_terminal(self, *arguments, answers, status=0, command=None):
        """Runs vmailctl, or the command, on a terminal, and types each answer when its question has come.

        answers is a list of (end of the question, what is typed). Returns all that it showed.
        """
        command = command or self.admin.argv(*arguments)
        child, terminal = pty.fork()
        if child == 0:
            os.execvp(command[0], command)
        shown = b""
        seen = 0
        try:
            for question, answer in answers:
                while question.encode() not in shown[seen:]:
                    ready, _, _ = select.select([terminal], [], [], 60)
                    self.assertTrue(ready, f"no question; it showed {shown!r}")
                    shown += os.read(terminal, 4096)
                seen = len(shown)
                os.write(terminal, answer.encode() + b"\n")
            while True:
                try:
                    more = os.read(terminal, 4096)
                except OSError:  # the other side is closed
                    break
                if not more:
                    break
                shown += more
        finally:
            os.close(terminal)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.assertEqual(ended, status, shown.decode())
        return shown.decode()
