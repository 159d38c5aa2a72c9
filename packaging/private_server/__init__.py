"""Private instances of MariaDB, Postfix and Dovecot, and of the suite between them.

Everything lives below one temporary folder and listens on loopback or on UNIX sockets in it; the system's own servers
are neither used nor touched. The quickstart and the tests with real servers stand on it. Standard library only; needs
root, since every server runs as its own user.

    with Site(build_folder) as site:
        site.suite.control("domain", "add", "example.test")
        site.add_user("anna@example.test", "secret")
        ...

A server is a child of this process: it is stopped by its process id, at the latest when this process ends, however that
comes about.
"""

from .dovecot import Dovecot
from .folder import TemporaryFolder
from .galera import Galera
from .mariadb import DatabaseError, MariaDB
from .postfix import Postfix
from .process import Process, ServerError, free_port, wait_until
from .sink import Sink
from .site import Site
from .suite import Suite

__all__ = [
    "DatabaseError",
    "Dovecot",
    "Galera",
    "MariaDB",
    "Postfix",
    "Process",
    "ServerError",
    "Sink",
    "Site",
    "Suite",
    "TemporaryFolder",
    "free_port",
    "wait_until",
]
