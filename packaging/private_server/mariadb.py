"""A private MariaDB server."""

import glob
import os
import pwd
import signal
import subprocess

from .folder import TemporaryFolder
from .process import Process, free_port, wait_until


class DatabaseError(Exception):
    """The server refused a statement, or could not be reached."""


class MariaDB:
    """mariadbd on a folder of its own, on a UNIX socket and on a port of 127.0.0.1.

    The administrator is root, by UNIX-socket authentication. The data stays over stop() and start(); with a folder
    given it is the caller's to remove.
    """

    def __init__(self, folder=None, options=()):
        self._options = options
        self.folder = folder or TemporaryFolder()
        self._own_folder = folder is None
        account = pwd.getpwnam("mysql")
        self._account = (account.pw_uid, account.pw_gid)
        self.path = self.folder.make("mysql", owner=self._account)
        self.data = os.path.join(self.path, "data")
        self.socket = os.path.join(self.path, "sock")
        self.log = os.path.join(self.path, "log")
        # Of its own: a server that starts removes the temporary tables that it finds in /tmp, also another one's.
        self.temporary = self.folder.make("mysql/tmp", owner=self._account)
        self.port = free_port()
        self.process = None

    def start(self, *options):
        """Returns when it answers. The same socket and port each time; the options are for this start alone."""
        if not os.path.isdir(self.data):
            self._install()
        self.process = Process(
            [
                "mariadbd",
                "--no-defaults",
                f"--datadir={self.data}",
                f"--socket={self.socket}",
                f"--pid-file={self.path}/pid",
                f"--tmpdir={self.temporary}",
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                "--character-set-server=utf8mb4",
                # Small and quick to make: what is tested is not how MariaDB keeps its data.
                "--innodb-buffer-pool-size=32M",
                "--innodb-log-file-size=8M",
                "--innodb-flush-log-at-trx-commit=2",
                "--max-connections=200",
                *self._options,
                *options,
            ],
            self.log,
            user=self._account[0],
            groups=[self._account[1]],
        )
        self.process.wait_until(self._up, 120, "the start of mariadbd")
        return self

    def stop(self):
        """An orderly end; its clients see their connections closed."""
        if self.process:
            self.process.stop(30)

    def kill(self):
        """The power cord."""
        self.process.kill()

    def freeze(self):
        """It keeps its connections and accepts new ones, and answers nothing."""
        self.process.signal(signal.SIGSTOP)
        wait_until(self._stands, 30, "all threads of mariadbd to stand still")

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def query(self, statement, database="", user="root", password=None, tcp=False):
        """Runs statements, returns the rows as lists of strings (NULL is the string NULL). Raises DatabaseError."""
        argv = [*self._client("mariadb", user, tcp), "--batch", "--skip-column-names", database]
        return [line.split("\t") for line in self._run(argv, statement, password).splitlines()]

    def load(self, file, database=""):
        """Runs the statements of a file."""
        with open(file, encoding="utf-8") as text:
            self.query(text.read(), database)

    def dump(self, database, *options):
        """The database as mariadb-dump writes it, without what differs from run to run."""
        argv = [*self._client("mariadb-dump", "root", False), "--skip-comments", "--skip-dump-date", *options, database]
        return self._run(argv, "")

    def _client(self, program, user, tcp):
        where = ["--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}"] if tcp else [f"--socket={self.socket}"]
        return [program, "--no-defaults", *where, f"--user={user}", "--default-character-set=utf8mb4"]

    def _run(self, argv, statement, password=None):
        environment = dict(os.environ, **({} if password is None else {"MYSQL_PWD": password}))
        done = subprocess.run(argv, input=statement.encode(), capture_output=True, env=environment, check=False)
        if done.returncode != 0:
            raise DatabaseError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode()

    def _stands(self):
        for file in glob.glob(f"/proc/{self.process.pid}/task/*/stat"):
            try:
                with open(file, encoding="ascii", errors="replace") as stat:
                    if stat.read().rpartition(")")[2].split()[0] != "T":
                        return False
            except OSError:  # that thread has ended
                pass
        return True

    def _up(self):
        try:
            return self.query("SELECT 1") == [["1"]]
        except DatabaseError:
            return False

    def _install(self):
        done = subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                "--user=mysql",
                f"--datadir={self.data}",
                f"--tmpdir={self.temporary}",
                "--auth-root-authentication-method=socket",
                "--skip-test-db",
                "--innodb-log-file-size=8M",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            raise DatabaseError("mariadb-install-db failed:\n" + done.stdout.decode(errors="replace"))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        if self._own_folder:
            self.folder.remove()
