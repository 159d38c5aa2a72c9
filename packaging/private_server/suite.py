"""The suite's own daemons, on sockets that are made and handed over as systemd would do it."""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess

from .process import Process, ServerError

# The daemons' users. They need no accounts: numbers will do.
MAIL_UID = 5000
MAPS_UID = 5001
AUTH_UID = 5002

PROGRAMS = {
    "vmail-mapd": "postfix-maps/vmail-mapd",
    "vmail-authd": "dovecot-auth/vmail-authd",
    "checkpassword": "dovecot-auth/checkpassword",
    "vmailkit_auth.so": "dovecot-auth/vmailkit_auth.so",
    "libvmailkit.so": "dovecot-auth/libvmailkit.so",
    "vmail-lmtpd": "dovecot-lmtp-store/vmail-lmtpd",
    "vmailctl": "sql/vmailctl/vmailctl",
}


class Daemon:
    """One of the three. Its sockets are held here, so that they stay while the daemon is away."""

    def __init__(self, section, program, user, groups, config, log):
        self.section, self.user = section, user
        self.log = log
        self._program, self._groups, self._config = program, groups, config
        self._sockets = []
        self.process = None

    def listen(self, name, path, owner, mode):
        """Makes a socket that is handed over under that name from the next start on."""
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        held.bind(path)
        os.chown(path, *owner)
        os.chmod(path, mode)
        held.listen(512)
        self._sockets.append((name, held))

    def listen_tcp(self, name, port):
        """The same on 127.0.0.1."""
        held = socket.create_server(("127.0.0.1", port))
        self._sockets.append((name, held))

    def start(self):
        """Returns when it serves. Who connects before waits in the socket's queue."""
        seen = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.process = Process(
            [self._program, "--config", self._config, "--foreground"],
            self.log,
            user=self.user,
            groups=self._groups,
            listen=self._sockets,
        )
        name = os.path.basename(self._program)
        self.process.wait_until(lambda: " serves; " in self.process.read_log()[seen:], 60, f"{name} to serve")
        return self

    def stop(self):
        """SIGTERM; raises ServerError when it does not end with status 0."""
        if self.process and self.process.returncode is None:
            status = self.process.stop(30)
            if status != 0:
                raise ServerError(f"{self._program} ended with status {status}:\n{self.process.read_log()}")

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def close(self):
        self.stop()
        for _, held in self._sockets:
            held.close()


class Suite:
    """vmail-mapd (maps), vmail-authd (auth), vmail-lmtpd (store) and vmailctl, built in the folder `build`.

    queue is Postfix's queue folder and postfix its (uid, gid). settings are {section: {key: value}} on top of what is
    needed here. credentials_peers are the uids that may look up password hashes, for whom that socket is then switched
    on. Programs are copied first: the users of the daemons might not be allowed to enter the build folder.
    """

    def __init__(self, build, folder, database_hosts, queue, postfix, settings=None, credentials_peers=()):
        self.path = folder.make("vmailkit")
        self.bin = folder.make("vmailkit/bin")
        self.etc = folder.make("vmailkit/etc")
        self.mail = folder.make("mail", 0o755, (MAIL_UID, MAIL_UID))
        self.config = os.path.join(self.etc, "vmailkit.toml")
        self.queue = os.path.join(queue, "vmailkit")
        for name, path in PROGRAMS.items():
            built = os.path.join(build, path)
            if not os.path.exists(built):
                raise ServerError(f"{built} is not there: build the programs first")
            shutil.copy(built, os.path.join(self.bin, name))

        self.run = folder.make("vmailkit/run")
        for name, mode, uid in (("maps", 0o750, MAPS_UID), ("auth", 0o755, AUTH_UID), ("store", 0o755, MAIL_UID)):
            folder.make("vmailkit/run/" + name, mode, (uid, uid))
            folder.make("vmailkit/state/" + name, 0o700, (uid, uid))
        folder.make("postfix/queue/vmailkit")
        self.credentials = os.path.join(self.run, "auth/credentials")
        self._write_config(database_hosts, settings or {}, credentials_peers)

        dovecot = grp.getgrnam("dovecot").gr_gid
        self.maps = self._daemon("maps", "vmail-mapd", MAPS_UID)
        self.maps.listen("maps", os.path.join(self.queue, "maps"), postfix, 0o660)
        self.maps.listen("policy", os.path.join(self.queue, "policy"), postfix, 0o660)
        self.auth = self._daemon("auth", "vmail-authd", AUTH_UID)
        self.auth.listen("auth", os.path.join(self.queue, "auth"), postfix, 0o660)
        self.verify = os.path.join(self.run, "auth/verify")
        self.auth.listen("verify", self.verify, (AUTH_UID, dovecot), 0o660)
        self.auth.listen("keys", os.path.join(self.queue, "keys"), postfix, 0o660)
        self.userdb = os.path.join(self.run, "auth/userdb")
        self.auth.listen("userdb", self.userdb, (AUTH_UID, dovecot), 0o660)
        self.mux = os.path.join(self.queue, "mux")
        self.auth.listen("mux", self.mux, postfix, 0o660)
        self.store = self._daemon("store", "vmail-lmtpd", MAIL_UID)
        self.store.listen("lmtp", os.path.join(self.queue, "lmtp"), postfix, 0o660)
        self.usage = os.path.join(self.run, "store/usage")
        self.store.listen("usage", self.usage, (MAIL_UID, MAPS_UID), 0o660)
        self.daemons = [self.maps, self.auth, self.store]

    def vmailctl(self, *arguments, stdin=""):
        """Runs vmailctl as root; returns a CompletedProcess."""
        return subprocess.run(
            [os.path.join(self.bin, "vmailctl"), "--config", self.config, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def control(self, *arguments, stdin=""):
        """As vmailctl(), for what must work: returns what it printed, raises ServerError with what it complained of."""
        done = self.vmailctl(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise ServerError(f"vmailctl {' '.join(arguments)} ended with status {done.returncode}:\n{done.stderr}")
        return done.stdout

    def password_file(self, section):
        return os.path.join(self.etc, section + ".password")

    def state_folder(self, section):
        return os.path.join(self.path, "state", section)

    def hand_over_passwords(self):
        """Gives each password file that vmailctl made to its daemon's user, which has no account here."""
        for daemon in self.daemons:
            os.chown(self.password_file(daemon.section), daemon.user, daemon.user)

    def start(self):
        for daemon in self.daemons:
            daemon.start()
        return self

    def stop(self):
        errors = []
        for daemon in self.daemons:
            try:
                daemon.close()
            except ServerError as error:
                errors.append(str(error))
        if errors:
            raise ServerError("\n".join(errors))

    def _daemon(self, section, program, uid):
        log = os.path.join(self.path, program + ".log")
        return Daemon(section, os.path.join(self.bin, program), uid, [uid], self.config, log)

    def _write_config(self, database_hosts, more, credentials_peers):
        sections = {
            "database": {"hosts": database_hosts},
            "mailboxes": {"base": self.mail, "owner": str(MAIL_UID), "group": str(MAIL_UID)},
            "maps": {"control": os.path.join(self.run, "maps/control")},
            "auth": {
                "control": os.path.join(self.run, "auth/control"),
                "verify": os.path.join(self.run, "auth/verify"),
            },
            "store": {
                "control": os.path.join(self.run, "store/control"),
                "usage": os.path.join(self.run, "store/usage"),
            },
            "admin": {"archive": os.path.join(self.path, "archive")},
        }
        for section in ("maps", "auth", "store"):
            sections[section]["database_password_file"] = self.password_file(section)
            sections[section]["state"] = self.state_folder(section)
        if credentials_peers:
            sections["auth"]["credentials"] = self.credentials
            sections["auth"]["credentials_peers"] = [str(uid) for uid in credentials_peers]
        for section, values in more.items():
            sections.setdefault(section, {}).update(values)
        with open(self.config, "w", encoding="utf-8") as file:
            for section, values in sections.items():
                file.write(f"[{section}]\n")
                for key, value in values.items():
                    file.write(f"{key} = {_toml(value)}\n")


def _toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def dovecot_ids():
    """uid and gid of Dovecot's own user."""
    account = pwd.getpwnam("dovecot")
    return account.pw_uid, grp.getgrnam("dovecot").gr_gid
