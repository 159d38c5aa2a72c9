"""The packages of this tree, and roots that they can be installed in without a network."""

import functools
import re
import subprocess
from pathlib import Path

import roots

PACKAGES = [
    "vmailkit",
    "vmailkit-common",
    "vmailkit-dovecot-auth",
    "vmailkit-dovecot-lmtp-store",
    "vmailkit-postfix-maps",
]

# Installed by the tests themselves, from apt's cache; the servers and libraries that the packages recommend among them.
SERVERS = [
    "dovecot-imapd",
    "dovecot-pop3d",
    "libipsec-mb1",
    "libnet-ssleay-perl",
    "mariadb-server",
    "postfix",
    "socat",
    "swaks",
]


@functools.cache
def built() -> Path:
    """The folder with the packages of this tree as it is."""
    subprocess.run([roots.REPOSITORY / "packaging/build-deb"], check=True, stdin=subprocess.DEVNULL)
    return roots.REPOSITORY / ".build/packages"


def libraries() -> list[str]:
    """What the packages need of Debian."""
    names = set()
    for package in built().glob("*.deb"):
        command = ["dpkg-deb", "--field", package, "Depends"]
        depends = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for dependency in depends.split(","):
            name = re.match(r"\s*([a-z0-9.+-]+)", dependency)
            if name and not name[1].startswith("vmailkit"):
                names.add(name[1])
    return sorted(names)


def trixie() -> Path:
    """A root of Debian 13 that this tree can be built in, with its Dovecot 2.4."""
    return roots.root("trixie", sorted({*roots.packages_of("build", "test"), "dovecot-auth-lua", "dovecot-imapd"}))


def bookworm() -> roots.Machine:
    """A Debian 12 without any server, with the packages in /packages."""
    folder = roots.root("bookworm", sorted({"systemd", "systemd-sysv", "dbus", *libraries()}), SERVERS)
    return roots.Machine(folder, read_only={"/packages": built()})

