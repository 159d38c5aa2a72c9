"""What the tests of vmail-lmtpd share: one with its database and nothing else, and a client that speaks LMTP."""

import os
import pathlib
import pwd
import select
import socket
import subprocess

from private_server import MariaDB, Suite, TemporaryFolder
from site_tests import BUILD

# openat(2) as on a file system that knows no O_TMPFILE.
_NO_TMPFILE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>
static int pass(const char* name, int folder, const char* path, int flags, mode_t mode) {
  if ((flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return ((int (*)(int, const char*, int, ...))dlsym(RTLD_NEXT, name))(folder, path, flags, mode);
}
#define REPLACE(name)                                   \
  int name(int folder, const char* path, int flags, ...) { \
    va_list list;                                       \
    va_start(list, flags);                              \
    const mode_t mode = va_arg(list, mode_t);           \
    va_end(list);                                       \
    return pass(#name, folder, path, flags, mode);      \
  }
REPLACE(openat)
REPLACE(openat64)
"""


class Store:
    """vmail-lmtpd on a socket of its own, with these addresses as mailboxes. base is its folder of mail.

    no_tmpfile plays a file system without O_TMPFILE to it.
    """

    def __init__(self, addresses, settings=None, no_tmpfile=False):
        self.folder = TemporaryFolder()
        account = pwd.getpwnam("postfix")
        queue = self.folder.make("postfix/queue")
        self.database = MariaDB(self.folder)
        hosts = ["unix:" + self.database.socket]
        self.suite = Suite(BUILD, self.folder, hosts, queue, (account.pw_uid, account.pw_gid), settings)
        self.daemon = self.suite.store
        self.base = pathlib.Path(self.suite.mail)
        self.socket = os.path.join(self.suite.queue, "lmtp")
        self._addresses = addresses
        if no_tmpfile:
            self._without_tmpfile()

    def start(self):
        self.database.start()
        self.suite.control("schema", "init")
        self.suite.hand_over_passwords()
        for domain in sorted({address.split("@")[1] for address in self._addresses}):
            self.suite.control("domain", "add", domain)
        rows = ", ".join(
            f"((SELECT id FROM virtual_domains WHERE name = '{address.split('@')[1]}'), '{address}', 'x')"
            for address in self._addresses
        )
        self.database.query(f"INSERT INTO virtual_users (domain_id, email, password) VALUES {rows}", "mailserver")
        self.daemon.start()
        return self

    def stop(self):
        try:
            self.suite.stop()
        finally:
            self.database.stop()
            self.folder.remove()

    def log(self):
        return self.daemon.process.read_log()

    def maildir(self, address):
        local, domain = address.split("@")
        return self.base / domain / local

    def stored(self, address):
        """The files in new/."""
        new = self.maildir(address) / "new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def unfinished(self):
        """Everything in any tmp/, and what else lies in the base that is no folder."""
        return [*self.base.glob("*/*/tmp/*"), *(path for path in self.base.iterdir() if not path.is_dir())]

    def connect(self):
        return Lmtp(self.socket)

    def deliver(self, recipients, text, sender="somebody@elsewhere.test"):
        """The replies behind the data of one message in a session of its own."""
        with self.connect() as client:
            client.greet()
            return client.deliver(recipients, text, sender)

    def _without_tmpfile(self):
        source, library = (os.path.join(self.folder.path, "no_tmpfile" + end) for end in (".c", ".so"))
        with open(source, "w", encoding="ascii") as file:
            file.write(_NO_TMPFILE)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        program = os.path.join(self.suite.bin, "vmail-lmtpd")
        os.rename(program, program + ".real")
        with open(program, "w", encoding="ascii") as file:
            # The address sanitizer wants to be the first library; it works all the same.
            file.write(
                "#!/bin/sh\nexport ASAN_OPTIONS=verify_asan_link_order=0\n"
                f'export LD_PRELOAD={library}\nexec {program}.real "$@"\n'
            )
        os.chmod(program, 0o755)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()


class Refused(Exception):
    """A reply that was not the expected one."""

    def __init__(self, reply, expected):
        super().__init__(f"expected {expected}, got {reply}")
        self.code = int(reply[:3])


class Lmtp:
    """A client; a connection that ends raises ConnectionError."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._input = self._socket.makefile("rb")
        self._socket.connect(path)

    def write(self, data):
        self._socket.sendall(data)

    def reply(self):
        """One reply, its last line without CRLF."""
        while True:
            line = self._input.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionResetError("the connection ended")
            if line[3:4] != b"-":
                return line[:-2].decode()

    def command(self, line):
        self.write(line.encode() + b"\r\n")
        return self.reply()

    def greet(self):
        self._expect(self.reply(), "220")
        self._expect(self.command("LHLO client.test"), "250")

    def deliver(self, recipients, text, sender="somebody@elsewhere.test"):
        """The replies behind the data, one per recipient."""
        return [reply for _, reply in self.deliver_each(recipients, text, sender)]

    def deliver_each(self, recipients, text, sender="somebody@elsewhere.test"):
        """Pipelined, as Postfix does it; text has LF as line ends. Yields (recipient, reply) as the replies come."""
        self.write(self._envelope(recipients, sender))
        for _ in range(1 + len(recipients)):
            self._expect(self.reply(), "250")
        self._expect(self.reply(), "354")
        self.write(self._data(text))
        for recipient in recipients:
            yield recipient, self.reply()

    def send_all(self, recipients, text, sender="somebody@elsewhere.test"):
        """A whole transaction at once, without a look at any reply."""
        self.write(self._envelope(recipients, sender) + self._data(text))

    def has_input(self):
        return bool(select.select([self._socket], [], [], 0)[0])

    @staticmethod
    def _envelope(recipients, sender):
        lines = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA"]
        return "".join(line + "\r\n" for line in lines).encode()

    @staticmethod
    def _data(text):
        return text.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def _expect(self, reply, code):
        if not reply.startswith(code):
            raise Refused(reply, code)

    def close(self):
        self._input.close()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
