"""Child processes: started as another user, with sockets handed over, and never left behind."""

import atexit
import ctypes
import fcntl
import os
import signal
import socket
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = []


class ServerError(Exception):
    """A server did not do what it was started for; the text ends with what its log says."""


def wait_until(condition, seconds, what, poll=0.01):
    """Returns the first true value of condition(); raises ServerError when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise ServerError(f"waited {seconds} s for {what}")
        time.sleep(poll)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    """Whether somebody listens on this TCP port of IPv4. Asks the kernel, since servers log connections."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return any(row[3] == "0A" and int(row[1].split(":")[1], 16) == port for row in rows[1:])


class Process:
    """A child process, with standard output and error in a log file.

    user and groups are numbers, so that no account is needed for them. listen is a list of (name, socket): they are
    handed over as systemd does it, LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES included. The child is killed when this
    process ends, even by SIGKILL (to the kernel that is when the thread ends that made it: make it in one that stays);
    a child that changes its user by itself loses that last safeguard, so let it begin as its user.
    """

    def __init__(self, argv, log, user=None, groups=None, listen=(), environment=None, death_signal=signal.SIGKILL):
        self.argv = [str(word) for word in argv]
        self.log = str(log)
        self.returncode = None
        environment = dict(os.environ if environment is None else environment)
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"):
            environment.pop(name, None)
        if listen:
            environment["LISTEN_FDS"] = str(len(listen))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in listen)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._child(parent, user, groups, [s.fileno() for _, s in listen], environment, death_signal)
            except BaseException as error:  # nothing of the parent's may run on in the child
                os.write(2, f"{self.argv[0]}: cannot be started: {error}\n".encode())
            finally:
                os._exit(127)
        _running.append(self)

    def _child(self, parent, user, groups, listeners, environment, death_signal):
        os.setsid()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open("/dev/null", os.O_RDONLY)
        # Out of the way first: a listener may stand where another one has to go.
        log, null, *listeners = [_above(fd, 64 + len(listeners)) for fd in (log, null, *listeners)]
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for number, fd in enumerate(listeners, start=3):
            os.dup2(fd, number, inheritable=True)
        os.closerange(3 + len(listeners), 256 + len(listeners))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if user is not None:
            os.setgroups(groups[1:])
            os.setresgid(groups[0], groups[0], groups[0])
            os.setresuid(user, user, user)
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            return
        if "LISTEN_FDS" in environment:
            environment["LISTEN_PID"] = str(os.getpid())
        os.execvpe(self.argv[0], self.argv, environment)

    def poll(self):
        """None while it runs, else its exit status as subprocess counts it (-9 after SIGKILL)."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended(status)
        return self.returncode

    def wait(self, seconds):
        """The exit status; raises ServerError when it still runs after that many seconds."""
        wait_until(lambda: self.poll() is not None, seconds, f"the end of {self.argv[0]} (process {self.pid})")
        return self.returncode

    def signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL if that does not help in time. Returns the exit status; may be called again."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            return self.wait(seconds)
        except ServerError:
            return self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def read_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def wait_until(self, condition, seconds, what):
        """wait_until(), but it gives up at once when the process has ended, and the error shows its log."""

        def ready():
            if self.poll() is not None:
                raise ServerError(f"{self.argv[0]} ended with status {self.returncode}; its log:\n{self.read_log()}")
            return condition()

        try:
            return wait_until(ready, seconds, what)
        except ServerError as error:
            if self.returncode is not None:
                raise
            raise ServerError(f"{error}; the log of {self.argv[0]}:\n{self.read_log()}") from None

    def _ended(self, status):
        self.returncode = os.waitstatus_to_exitcode(status)
        _running.remove(self)


def _above(fd, floor):
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor)


_owner = os.getpid()


@atexit.register
def _stop_all():
    if os.getpid() == _owner:  # not in a fork of ours, whose children they are not
        for process in reversed(list(_running)):
            process.stop(5)
