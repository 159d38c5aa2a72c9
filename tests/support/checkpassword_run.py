"""Runs checkpassword the way Dovecot 2.3 does (db-checkpassword.c)."""

import collections
import contextlib
import fcntl
import os

from site_tests import BUILD

CHECKPASSWORD = os.path.join(BUILD, "dovecot-auth/checkpassword")

# What Dovecot sets for each kind of question.
VERIFY = "password check"
USERDB = "userdb lookup"
CREDENTIALS = "credentials lookup"
_MODES = {
    VERIFY: {},
    USERDB: {"AUTHORIZED": "1"},
    CREDENTIALS: {"AUTHORIZED": "1", "CREDENTIALS_LOOKUP": "1", "SCHEME": ""},
}

Done = collections.namedtuple("Done", "status reply stderr")
_MADE = object()


def run(
    path,
    user,
    password,
    mode=VERIFY,
    raw_input=_MADE,
    options=None,
    program=("/usr/lib/dovecot/checkpassword-reply",),
    output="pipe",
    held=False,
    **environment,
):
    """Asks at the socket `path`; returns (exit status, what came on descriptor 4, standard error).

    raw_input is what descriptor 3 holds in the place of user and password, None for no descriptor 3. output is "pipe",
    "none" for no descriptor 4, or "reader gone". held: somebody else has the writing end of descriptor 3 too.
    """
    if options is None:
        options = ["--socket", path, "--credentials-socket", path]
    if raw_input is _MADE:
        raw_input = f"{user}\0{password}\0\0".encode()
    input_read, input_write = _pipe()
    output_read, output_write = _pipe()
    error_read, error_write = _pipe()
    actions = [(os.POSIX_SPAWN_DUP2, error_write, 2)]
    actions.append((os.POSIX_SPAWN_DUP2, input_read, 3) if raw_input is not None else (os.POSIX_SPAWN_CLOSE, 3))
    actions.append((os.POSIX_SPAWN_DUP2, output_write, 4) if output != "none" else (os.POSIX_SPAWN_CLOSE, 4))
    if output == "reader gone":
        os.close(output_read)
    # Python ignores SIGPIPE, and children inherit that; Dovecot's do not.
    child = os.posix_spawn(
        CHECKPASSWORD, ["checkpassword", *options, *program], {**_MODES[mode], **environment}, file_actions=actions,
        setsigdef=[13],
    )
    for fd in (input_read, output_write, error_write):
        os.close(fd)
    # Less than a pipe holds; one that has ended already reads nothing of it.
    with contextlib.suppress(BrokenPipeError):
        os.write(input_write, raw_input or b"")
    if not held:
        os.close(input_write)
    reply = b""
    if output != "reader gone":
        with open(output_read, "rb") as stream:
            reply = stream.read()
    with open(error_read, "rb") as stream:
        errors = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if held:
        os.close(input_write)
    return Done(status, reply.decode(), errors.decode())


def _pipe():
    """A pipe whose descriptors are clear of 3 and 4, and closed in the child."""
    ends = []
    for fd in os.pipe():
        ends.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(fd)
    return ends
