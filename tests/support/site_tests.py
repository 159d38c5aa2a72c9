"""What the tests with real servers share: where the build is, and short ways to speak SMTP, IMAP and POP3."""

import contextlib
import imaplib
import os
import pathlib
import poplib
import smtplib
import socket
import ssl

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("VMAILKIT_BUILD", str(ROOT / ".build/release"))


def tls(certificate):
    return ssl.create_default_context(cafile=certificate)


def message(sender, recipient, subject, body="A line.\r\n"):
    return f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\n{body}"


@contextlib.contextmanager
def smtp(site):
    """A client from outside; refusals are return codes, not exceptions, with mail(), rcpt() and data()."""
    client = smtplib.SMTP("127.0.0.1", site.postfix.smtp_port, local_hostname="outside.test", timeout=60)
    try:
        client.ehlo()
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def submission(site, user=None, password=None):
    """A client on the submission port after STARTTLS, logged in when a user is given (else smtplib's exceptions)."""
    client = smtplib.SMTP("127.0.0.1", site.postfix.submission_port, local_hostname="client.test", timeout=60)
    try:
        client.starttls(context=tls(site.postfix.certificate))
        client.ehlo()
        if user is not None:
            client.login(user, password)
        yield client
    finally:
        client.close()


def login_code(site, user, password):
    """The code of Postfix's answer to AUTH."""
    with submission(site) as client:
        try:
            return client.login(user, password)[0]
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code


def rcpt(site, recipient, sender="somebody@elsewhere.test"):
    """(code, text) of the answer to RCPT TO in a session of its own."""
    with smtp(site) as client:
        code, text = client.mail(sender)
        if code != 250:
            return code, text.decode()
        code, text = client.rcpt(recipient)
        return code, text.decode()


def send(site, recipients, subject, sender="somebody@elsewhere.test", body="A line.\r\n"):
    """Sends a message from outside; raises when any recipient is refused."""
    with smtp(site) as client:
        refused = client.sendmail(sender, recipients, message(sender, recipients[0], subject, body))
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)


@contextlib.contextmanager
def imap(site, dovecot=None):
    """A client after STARTTLS, of the site's own Dovecot unless another is named."""
    dovecot = dovecot or site.dovecot
    client = imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60)
    client.starttls(tls(dovecot.certificate))
    try:
        yield client
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            client.logout()


@contextlib.contextmanager
def pop3(site):
    client = poplib.POP3("127.0.0.1", site.dovecot.pop3_port, timeout=60)
    client.stls(tls(site.dovecot.certificate))
    try:
        yield client
    finally:
        client.close()


def as_user(uid, gid, function, groups=()):
    """Calls the function in a child that is that user, and returns the errno of the OSError that it raised, else 0."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            os.setgroups(list(groups))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            function()
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
