"""Fresh Debian roots, and machines booted from them: for the tests of this folder.

A root is made once by mmdebstrap from its default archive and kept in ${XDG_CACHE_HOME:-/var/cache}/vmailkit-tests;
what runs in it writes into memory (systemd-nspawn's --volatile=overlay), so that it stays fresh. A machine has no
network.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# What mmdebstrap and systemd-nspawn cannot do without.
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}


def why_not() -> str:
    """Why roots cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    return f"needs the packages {' '.join(missing)} (packaging/install-packages install)" if missing else ""


def packages_of(*groups: str) -> list[str]:
    """The packages of these groups of packaging/packages.list."""
    lines = (REPOSITORY / "packaging/packages.list").read_text().splitlines()
    fields = [line.split() for line in lines if line and not line.startswith("#")]
    return sorted({package for group, package, *_ in fields if group in groups})


def _apt_options() -> list[str]:
    """How this machine reaches the archive (proxy, dates): what its apt was told, so that no host is named here."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries")
    return [f"--aptopt={line}" for line in dump if line.startswith(wanted)]


def root(suite: str, installed: list[str], downloaded: list[str] = ()) -> Path:
    """A root of `suite` with these packages installed, and those (with what they recommend) in apt's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "vmailkit-tests"
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr((suite, sorted(installed), sorted(downloaded))).encode()).hexdigest()[:12]
    folder = cache / f"{suite}-{key}"
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        for old in cache.glob(f"{suite}-*"):
            shutil.rmtree(old)
        unfinished = folder.with_suffix(".unfinished")
        # Each hook is run with the path of the root as $1, and with apt configured for mmdebstrap's own use.
        hooks = ["--customize-hook=echo mail.example.test >\"$1/etc/hostname\""]
        if downloaded:
            hooks += ["--skip=cleanup/apt", "--customize-hook=env -u APT_CONFIG DEBIAN_FRONTEND=noninteractive "
                      'chroot "$1" apt-get -q -y -o APT::Install-Recommends=true --download-only install '
                      f'{" ".join(sorted(downloaded))} >/dev/null']
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(sorted(installed))}",
                   *_apt_options(), *hooks, suite, str(unfinished)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        unfinished.rename(folder)
    return folder


def _nspawn(folder: Path, binds: dict[str, Path], read_only: dict[str, Path]) -> list[str]:
    options = ["systemd-nspawn", "--quiet", f"--directory={folder}", "--volatile=overlay", "--private-network",
               "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off"]
    options += [f"--bind={path}:{inside}" for inside, path in binds.items()]
    options += [f"--bind-ro={path}:{inside}" for inside, path in read_only.items()]
    return options


ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}


def run_in(folder: Path, script: str, binds: dict[str, Path], read_only: dict[str, Path]) -> tuple[int, str]:
    """Runs a shell script in the root, not booted; its exit status and what it said."""
    settings = [f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()]
    command = [*_nspawn(folder, binds, read_only), "--as-pid2", *settings, "sh", "-ec", script]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    output = process.communicate()[0]
    return process.returncode, output


class Machine:
    """A root booted with systemd as its first process. `read_only`: host folders by their path inside."""

    def __init__(self, folder: Path, read_only: dict[str, Path]):
        self._console = tempfile.NamedTemporaryFile(prefix="vmailkit-console.", suffix=".log")
        self._nspawn = subprocess.Popen([*_nspawn(folder, {}, read_only), "--boot"], stdin=subprocess.DEVNULL,
                                        stdout=self._console, stderr=subprocess.STDOUT)
        try:
            self.init = self._find_init()
            # "degraded" is a finding of the tests, not of the boot.
            self.run("systemctl is-system-running --wait", check=False)
        except BaseException:
            self.stop()
            raise

    def _find_init(self) -> int:
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        for _ in range(600):
            if self._nspawn.poll() is not None:
                raise RuntimeError(f"systemd-nspawn ended: {Path(self._console.name).read_text()}")
            for pid in children.read_text().split():
                init = Path(f"/proc/{pid}/root/run/systemd/private")
                if init.exists():
                    return int(pid)
            time.sleep(0.1)
        raise RuntimeError(f"did not boot: {Path(self._console.name).read_text()}")

    def popen(self, script: str, **more) -> subprocess.Popen:
        """A shell script as root, inside."""
        return subprocess.Popen(["nsenter", f"--target={self.init}", "--all", "env", "-i",
                                 *(f"{name}={value}" for name, value in ENVIRONMENT.items()), "sh", "-ec", script],
                                text=True, **more)

    def run(self, script: str, check: bool = True, input: str | None = None) -> subprocess.CompletedProcess:
        process = self.popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.communicate(input if input is not None else "")[0]
        if check and process.returncode != 0:
            raise AssertionError(f"{script}\nended with {process.returncode}:\n{output}")
        return subprocess.CompletedProcess(script, process.returncode, output)

    def output(self, script: str, input: str | None = None) -> str:
        return self.run(script, input=input).stdout.strip()

    def stop(self) -> None:
        if self._nspawn.poll() is None:
            # SIGRTMIN+4: systemd's poweroff; nothing in the machine is worth a long wait.
            init = getattr(self, "init", None)
            if init is not None:
                os.kill(init, signal.SIGRTMIN + 4)
            try:
                self._nspawn.wait(timeout=60 if init is not None else 0)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        self._console.close()
