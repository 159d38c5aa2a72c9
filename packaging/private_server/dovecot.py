"""A private Dovecot 2.3."""

import os
import shutil
import subprocess

from .certificate import make_certificate
from .process import Process, free_port, listening

SNIPPETS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "dovecot")
CHECKPASSWORD, LUA = "auth-checkpassword.conf.ext", "auth-vmailkit.conf.ext"
LUA_2_4 = "auth-vmailkit-2.4.conf.ext"
LUA_SCRIPT = "vmailkit-auth.lua"

_CONFIG = """\
base_dir = {path}/run
state_dir = {path}/state
instance_name = vmailkit-private
log_path = {path}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_failure_delay = 0
# The address sanitizer reserves terabytes for a checkpassword that is built with it.
default_vsz_limit = 0
first_valid_uid = {uid}
mail_location = maildir:~/
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
# No penalty that grows with each wrong password of a test.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def wiring(suite, snippet):
    """The snippet of the README, with the programs and sockets of that suite in the place of the installed ones."""
    options = f"--socket {suite.verify} --credentials-socket {suite.credentials}"
    script = _installed(LUA_SCRIPT, suite.bin).replace("/run/vmailkit/auth/", os.path.join(suite.run, "auth/"))
    path = os.path.join(suite.bin, LUA_SCRIPT)
    with open(path, "w", encoding="utf-8") as file:
        file.write(script)
    text = _installed(snippet, suite.bin).replace("/usr/share/vmailkit/dovecot/" + LUA_SCRIPT, path)
    program = os.path.join(suite.bin, "checkpassword")
    return text.replace(program, f"{program} {options}")


def _installed(name, programs):
    """The file of packaging/dovecot, with the programs in that folder."""
    with open(os.path.join(SNIPPETS, name), encoding="utf-8") as file:
        return file.read().replace("/usr/lib/vmailkit", programs)


# Its LMTP server, which only those tests need.
_LMTP = """\
protocols = imap pop3 lmtp
hostname = mail.vmailkit.test
service lmtp {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@vmailkit.test
}}
"""


class Dovecot:
    """A Dovecot of its own on 127.0.0.1, imap_port and pop3_port with STARTTLS.

    auth is the text of its passdb and userdb blocks, which say where the mail of a user is; uid owns the mail. lmtp is
    text for a LMTP server at lmtp_socket, which is not there without. name tells several of them apart.
    """

    def __init__(self, folder, uid, auth, name="dovecot", lmtp=None):
        self.path = folder.make(name)
        self.run = folder.make(name + "/run")
        folder.make(name + "/state")
        self.log = os.path.join(self.path, "log")
        self.config = os.path.join(self.path, "dovecot.conf")
        self.imap_port, self.pop3_port = free_port(), free_port()
        self.certificate, key = make_certificate(self.path, "mail.vmailkit.test")
        self.process = None
        text = _CONFIG.format(
            path=self.path,
            certificate=self.certificate,
            key=key,
            uid=uid,
            imap=self.imap_port,
            pop3=self.pop3_port,
        )
        self.lmtp_socket = os.path.join(self.path, "lmtp")
        if lmtp is not None:
            text += _LMTP.format(socket=self.lmtp_socket) + lmtp
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text + auth)

    def start(self):
        self.process = Process([shutil.which("dovecot") or "/usr/sbin/dovecot", "-F", "-c", self.config], self.log)
        for port in (self.imap_port, self.pop3_port):
            self.process.wait_until(lambda: listening(port), 30, f"Dovecot to listen on 127.0.0.1:{port}")
        return self

    def stop(self):
        if self.process:
            self.process.stop(20)

    def doveadm(self, *arguments, stdin=""):
        """Runs doveadm for this instance; returns a CompletedProcess."""
        return subprocess.run(
            ["doveadm", "-c", self.config, *arguments], input=stdin, capture_output=True, text=True, check=False
        )

    def read_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
