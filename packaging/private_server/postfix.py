"""A private Postfix."""

import grp
import os
import pwd
import re
import signal
import subprocess

from .certificate import make_certificate
from .process import Process, ServerError, free_port, listening

SNIPPET = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "postfix", "main.cf")

# The services of Debian's master.cf that this instance needs, with Debian's chroot column: a test without the chroot
# hides the commonest mistake, a socket that smtpd cannot reach.
_MASTER = """\
127.0.0.1:{smtp}       inet n - y - - smtpd
127.0.0.1:{submission} inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup     unix n - y 60 1 pickup
cleanup    unix n - y - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - y 1000? 1 tlsmgr
rewrite    unix - - y - - trivial-rewrite
bounce     unix - - y - 0 bounce
defer      unix - - y - 0 bounce
trace      unix - - y - 0 bounce
verify     unix - - y - 1 verify
flush      unix n - y 1000? 0 flush
proxymap   unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp       unix - - y - - smtp
relay      unix - - y - - smtp
showq      unix n - y - - showq
error      unix - - y - - error
retry      unix - - y - - error
discard    unix - - y - - discard
local      unix - n n - - local
virtual    unix - n n - - virtual
lmtp       unix - - y - - lmtp
anvil      unix - - y - 1 anvil
scache     unix - - y - 1 scache
postlog    unix-dgram n - n - 1 postlogd
"""

_MAIN = """\
compatibility_level = 3.6
queue_directory = {path}/queue
data_directory = {path}/data
maillog_file = {path}/maillog
maillog_file_prefixes = {path}
myhostname = {hostname}
mydestination = localhost
# Nobody is trusted for an address: the tests play the world outside from 127.0.0.1.
mynetworks =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
biff = no
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtp_tls_security_level = none
# No mail leaves this machine.
default_transport = {default_transport}
# What is deferred is tried again within seconds, and a client's errors cost it no time.
queue_run_delay = 3s
minimal_backoff_time = 3s
maximal_backoff_time = 6s
smtpd_error_sleep_time = 0
"""

# master(8) changes its effective user now and then, and with that loses the signal that the kernel sends at the death of
# its parent. This shell keeps it, and hands signals on.
_KEEPER = """\
"$@" &
master=$!
trap 'kill -TERM $master' TERM
trap 'kill -HUP $master' HUP
while kill -0 $master 2>/dev/null; do wait $master; done
"""

NO_MAIL_LEAVES = "error:5.4.4 no mail leaves this private server"


class Postfix:
    """A Postfix of its own, listening on 127.0.0.1 at smtp_port and, for logins over STARTTLS, at submission_port.

    settings are lines of main.cf that come after packaging/postfix/main.cf, the snippet that the README shows; services
    are further ones of master.cf.
    """

    def __init__(self, folder, hostname="mail.vmailkit.test", settings="", services="", default_transport=NO_MAIL_LEAVES):
        account = pwd.getpwnam("postfix")
        self.owner = (account.pw_uid, account.pw_gid)
        self.path = folder.make("postfix")
        self.config = folder.make("postfix/config")
        self.queue = folder.make("postfix/queue")
        folder.make("postfix/data", 0o700, self.owner)
        # What "postfix start" makes, which takes seconds for it.
        for name in "active bounce corrupt defer deferred flush hold incoming private saved trace".split():
            folder.make("postfix/queue/" + name, 0o700, (account.pw_uid, 0))
        postdrop = grp.getgrnam("postdrop").gr_gid
        folder.make("postfix/queue/maildrop", 0o1730, (account.pw_uid, postdrop))
        folder.make("postfix/queue/public", 0o2710, (account.pw_uid, postdrop))
        folder.make("postfix/queue/pid")
        self.log = os.path.join(self.path, "maillog")
        self.hostname = hostname
        self.smtp_port, self.submission_port = free_port(), free_port()
        self.certificate, key = make_certificate(self.path, hostname)
        self.process = None
        with open(SNIPPET, encoding="utf-8") as file:
            wiring = file.read()
        main = _MAIN.format(
            path=self.path,
            hostname=hostname,
            certificate=self.certificate,
            key=key,
            default_transport=default_transport,
        )
        # Postfix warns about a parameter that is set twice: what comes later replaces it here.
        for name in re.findall(r"^(\w+) *=", settings, re.MULTILINE):
            wiring = re.sub(rf"^{name} *=.*\n", "", wiring, flags=re.MULTILINE)
            main = re.sub(rf"^{name} *=.*\n", "", main, flags=re.MULTILINE)
        self._write("main.cf", main + wiring + settings)
        self._write("master.cf", _MASTER.format(smtp=self.smtp_port, submission=self.submission_port) + services)

    def start(self):
        daemons = self.command("postconf", "-h", "daemon_directory").stdout.strip()
        # Not "postfix start": this master stays our child, so that it is stopped by its process id and dies with us.
        self.process = Process(
            ["/bin/sh", "-c", _KEEPER, "postfix", os.path.join(daemons, "master"), "-s", "-c", self.config],
            os.path.join(self.path, "stderr"),
            death_signal=signal.SIGTERM,
        )
        try:
            for port in (self.smtp_port, self.submission_port):
                self.process.wait_until(lambda: listening(port), 30, f"Postfix to listen on 127.0.0.1:{port}")
        except ServerError as error:
            raise ServerError(f"{error}\nmaillog:\n{self.read_log()}") from None
        return self

    def stop(self):
        if self.process:
            self.process.stop(20)

    def reload(self):
        """New smtpd, cleanup and rewrite processes: without what they remember."""
        self.process.signal(signal.SIGHUP)

    def command(self, program, *arguments, stdin=""):
        """Runs postmap, postconf, postqueue ... for this instance, in its queue folder; returns a CompletedProcess."""
        return subprocess.run(
            [program, "-c", self.config, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.queue,
            check=False,
        )

    def queued(self):
        """The queue as postqueue -p prints it; empty when no mail waits."""
        listing = self.command("postqueue", "-p").stdout
        return "" if "Mail queue is empty" in listing else listing

    def read_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def _write(self, name, text):
        path = os.path.join(self.config, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        # A file this young is read again and again until it is seconds old, since it might still be growing.
        os.utime(path, (1, 1))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
