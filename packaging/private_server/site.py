"""A whole private mail server: MariaDB, Postfix, Dovecot, and vmailkit between them."""

import mailbox
import os

from .dovecot import CHECKPASSWORD, Dovecot, wiring
from .folder import TemporaryFolder
from .mariadb import MariaDB
from .postfix import NO_MAIL_LEAVES, Postfix
from .process import ServerError, wait_until
from .suite import MAIL_UID, Suite


class Site:
    """Made of the programs in the folder `build`; nothing runs before start().

    tutorial is the text of an existing database, as SQL: it is loaded, upgraded and given its grants instead of a new
    one. dovecot is the snippet that wires Dovecot, of packaging/dovecot. settings and credentials_peers are Suite's;
    postfix_settings are lines of main.cf, postfix_services of master.cf; default_transport is where Postfix sends what
    is not for us. sieve is text for Dovecot's LMTP server, to which users with a Sieve script are then handed over.
    """

    def __init__(
        self,
        build,
        tutorial=None,
        dovecot=CHECKPASSWORD,
        settings=None,
        credentials_peers=(),
        postfix_settings="",
        postfix_services="",
        default_transport=NO_MAIL_LEAVES,
        sieve=None,
    ):
        self.folder = TemporaryFolder()
        try:
            self._tutorial = tutorial
            self.database = MariaDB(self.folder)
            self.postfix = Postfix(
                self.folder,
                settings=postfix_settings,
                services=postfix_services,
                default_transport=default_transport,
            )
            hosts = ["unix:" + self.database.socket]
            postfix = (self.postfix.queue, self.postfix.owner)
            settings = dict(settings or {})
            if sieve is not None:
                lmtp = os.path.join(self.folder.path, "dovecot/lmtp")
                settings["store"] = {**settings.get("store", {}), "sieve_socket": lmtp}
                sieve = sieve.replace("SMTP_PORT", str(self.postfix.smtp_port))
            self.suite = Suite(build, self.folder, hosts, *postfix, settings, credentials_peers)
            self.dovecot = Dovecot(self.folder, MAIL_UID, self.dovecot_wiring(dovecot), lmtp=sieve)
        except BaseException:
            self.folder.remove()
            raise

    def start(self):
        try:
            self.start_database()
            self.suite.start()
            self.postfix.start()
            self.dovecot.start()
        except BaseException:
            self.stop()
            raise
        return self

    def start_database(self):
        """MariaDB, the schema, the database users and their password files."""
        self.database.start()
        if self._tutorial is None:
            self.suite.control("schema", "init")
        else:
            self.database.query("CREATE DATABASE mailserver CHARACTER SET utf8")
            self.database.query(self._tutorial, "mailserver")
            self.suite.control("schema", "upgrade")
            self.suite.control("schema", "grants")
        self.suite.hand_over_passwords()

    def stop(self):
        """Stops everything, whatever fails on the way; then raises what a daemon of ours did wrong."""
        try:
            self.dovecot.stop()
            self.postfix.stop()
            self.suite.stop()
        finally:
            self.database.stop()
            self.folder.remove()

    def add_user(self, address, password):
        self.suite.control("user", "add", address, stdin=password + "\n")

    def maildir(self, address):
        local, domain = address.split("@")
        return os.path.join(self.suite.mail, domain, local)

    def messages(self, address):
        """The messages in the user's Maildir, as email.message objects."""
        path = self.maildir(address)
        if not os.path.isdir(os.path.join(path, "new")):
            return []
        return list(mailbox.Maildir(path, factory=None, create=False))

    def wait_for_message(self, address, subject, seconds=60):
        """The message with that subject in the user's Maildir, once it is there."""

        def find():
            return next((m for m in self.messages(address) if m["Subject"] == subject), None)

        try:
            return wait_until(find, seconds, f'the message "{subject}" for {address}')
        except ServerError as error:
            raise ServerError(f"{error}\n{self.logs()}") from None

    def environment(self):
        """What makes the programs of Postfix and Dovecot, and a vmailctl that runs them, ask these two."""
        return {"MAIL_CONFIG": self.postfix.config, "CONFIG_FILE": self.dovecot.config}

    def logs(self):
        """What the mail servers logged, for the report of a failure."""
        texts = [("Postfix", self.postfix.read_log()), ("Dovecot", self.dovecot.read_log())]
        texts += [(d.process.argv[0], d.process.read_log()) for d in self.suite.daemons if d.process]
        return "\n".join(f"--- {name}:\n{text[-6000:]}" for name, text in texts)

    def dovecot_wiring(self, snippet):
        return wiring(self.suite, snippet)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
