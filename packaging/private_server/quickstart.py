"""The steps of packaging/quickstart after the build: one message in, delivered, and out again, each step shown."""

import argparse
import email.message
import imaplib
import os
import secrets
import shutil
import signal
import smtplib
import ssl
import sys
import textwrap

from . import DatabaseError, ServerError, Site

DOMAIN = "example.test"
ANNA, BEN, TEAM = (f"{name}@{DOMAIN}" for name in ("anna", "ben", "team"))
SUBJECT = "Hello from outside"
BODY = "If you can read this over IMAP, it works."


def say(text):
    print(textwrap.fill(text, 110, initial_indent="   ", subsequent_indent="   "), flush=True)


def show(text):
    """What a program printed or logged, as it is."""
    for line in text.rstrip("\n").splitlines():
        print("   | " + line, flush=True)


def step(number, text):
    print(f"== Step {number} of 7: {text}", flush=True)


class Quickstart:
    def __init__(self, site):
        self.site = site
        self.passwords = {ANNA: secrets.token_hex(6), BEN: secrets.token_hex(6)}
        # The certificate is the server's own: made just now, and signed by nobody else.
        self._tls = ssl.create_default_context(cafile=site.dovecot.certificate)

    def vmailctl(self, *arguments, stdin="", secret=False):
        print(f"   $ {'echo PASSWORD | ' if secret else ''}vmailctl {' '.join(arguments)}", flush=True)
        show(self.site.suite.control(*arguments, stdin=stdin))

    def make_users(self):
        self.vmailctl("domain", "add", DOMAIN)
        for address, password in self.passwords.items():
            self.vmailctl("user", "add", address, stdin=password + "\n", secret=True)
        self.vmailctl("alias", "add", TEAM, ANNA, BEN)
        self.vmailctl("user", "list", DOMAIN)

    def send(self):
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = "somebody@elsewhere.test", TEAM, SUBJECT
        message.set_content(BODY)
        with smtplib.SMTP("127.0.0.1", self.site.postfix.smtp_port, timeout=30) as client:
            client.send_message(message)
        where = f"127.0.0.1:{self.site.postfix.smtp_port}"
        say(f"Postfix on {where} took a message from somebody@elsewhere.test to {TEAM}: it asked")
        say("vmail-mapd whether the domain and the address are ours, and to whom the alias leads.")
        try:
            with smtplib.SMTP("127.0.0.1", self.site.postfix.smtp_port, timeout=30) as client:
                client.sendmail("somebody@elsewhere.test", f"nobody@{DOMAIN}", "Subject: no\n\nno")
        except smtplib.SMTPRecipientsRefused as refused:
            code, text = refused.recipients[f"nobody@{DOMAIN}"]
            say(f"A message to nobody@{DOMAIN} is refused at once: {code} {text.decode().splitlines()[0]}")
        else:
            raise ServerError(f"a message to nobody@{DOMAIN} was accepted")

    def show_delivery(self):
        for address in (ANNA, BEN):
            self.site.wait_for_message(address, SUBJECT)
        say("Postfix handed it to vmail-lmtpd, once for each of the two users:")
        log = self.site.postfix.read_log().splitlines()
        show("\n".join(line for line in log if "relay=" in line and "status=sent" in line))
        new = os.path.join(self.site.maildir(ANNA), "new")
        file = os.path.join(new, sorted(os.listdir(new))[0])
        say(f"and this is the file in anna's Maildir, {file}:")
        with open(file, encoding="utf-8") as text:
            show(text.read())

    def read_back(self):
        client = self._imap()
        client.login(ANNA, self.passwords[ANNA])
        say("Dovecot asked vmail-authd through checkpassword, and let her in. Her INBOX says:")
        client.select("INBOX", readonly=True)
        _, found = client.search(None, "SUBJECT", f'"{SUBJECT}"')
        _, parts = client.fetch(found[0].split()[-1], "(BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT)] BODY.PEEK[TEXT])")
        client.logout()
        text = b"".join(part[1] for part in parts if isinstance(part, tuple)).decode().replace("\r", "")
        show(text)
        if SUBJECT not in text or BODY not in text:
            raise ServerError("this is not the message that was sent")
        client = self._imap()
        try:
            client.login(ANNA, "not-her-password")
        except imaplib.IMAP4.error as error:
            say(f"With a wrong password it is refused: {error.args[0].decode()}")
        else:
            raise ServerError("a wrong password was accepted")
        finally:
            client.logout()

    def send_out(self):
        with smtplib.SMTP("127.0.0.1", self.site.postfix.submission_port, timeout=30) as client:
            client.starttls(context=self._smtp_tls())
            client.login(BEN, self.passwords[BEN])
            client.sendmail(BEN, ANNA, f"From: {BEN}\nTo: {ANNA}\nSubject: Hello from ben\n\nSent after a login.\n")
        self.site.wait_for_message(ANNA, "Hello from ben")
        say("Postfix asked vmail-authd about ben's password; his message is in anna's Maildir too.")

    def print_how_to_play(self):
        site, suite = self.site, self.site.suite
        print(
            f"""
It runs until you press Ctrl-C (or: kill {os.getpid()}). From another terminal of this machine:

   SMTP, from outside    127.0.0.1 port {site.postfix.smtp_port}
   SMTP, with a login    127.0.0.1 port {site.postfix.submission_port}, STARTTLS
   IMAP                  127.0.0.1 port {site.dovecot.imap_port}, STARTTLS
   POP3                  127.0.0.1 port {site.dovecot.pop3_port}, STARTTLS
   users                 {ANNA} password {self.passwords[ANNA]}
                         {BEN} password {self.passwords[BEN]}
   aliases               {TEAM} to both

   {self._make_vmailctl()} user list
   postmap -q {ANNA} socketmap:unix:{suite.queue}/maps:mailboxes
   doveadm -c {site.dovecot.config} auth test {ANNA}
   mariadb --socket={site.database.socket} mailserver

   logs                  {site.postfix.log}
                         {site.dovecot.log}
                         {suite.path}/*.log
   mail                  {suite.mail}

Mail to other domains is refused: nothing leaves this machine. All of it is gone when it is stopped.""",
            flush=True,
        )

    def _make_vmailctl(self):
        """A vmailctl that knows this site's daemons, and its Postfix and Dovecot; returns its path."""
        site, path = self.site, os.path.join(self.site.folder.path, "vmailctl")
        settings = " ".join(f"{name}={value}" for name, value in site.environment().items())
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\n{settings} exec {site.suite.bin}/vmailctl --config {site.suite.config} "$@"\n')
        os.chmod(path, 0o755)
        return path

    def _imap(self):
        client = imaplib.IMAP4("127.0.0.1", self.site.dovecot.imap_port, timeout=30)
        client.starttls(self._tls)
        return client

    def _smtp_tls(self):
        return ssl.create_default_context(cafile=self.site.postfix.certificate)


def run(build, keep):
    step(3, "a private mail server: MariaDB, Postfix, Dovecot and vmailkit between them")
    with Site(build) as site:
        quickstart = Quickstart(site)
        say(f"It runs in {site.folder.path}; the system's own servers are left alone.")
        step(4, "vmailctl makes a domain, two users and an alias")
        quickstart.make_users()
        step(5, "a message comes in over SMTP")
        quickstart.send()
        quickstart.show_delivery()
        step(6, "anna logs in over IMAP and reads it")
        quickstart.read_back()
        step(7, "ben logs in over SMTP and writes to anna")
        quickstart.send_out()
        print("\nIt works: in through Postfix, vmail-mapd and vmail-lmtpd, and out through vmail-authd and Dovecot.")
        if keep:
            quickstart.print_how_to_play()
            try:
                signal.pause()
            except KeyboardInterrupt:
                print(" stopping", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # everything is stopped in order
    for program in ("mariadbd", "postfix", "dovecot"):
        if not shutil.which(program):
            sys.exit(f"quickstart: there is no {program} on $PATH; is /usr/sbin in it?")
    try:
        run(options.build, options.keep)
    except (ServerError, DatabaseError) as error:
        sys.exit(f"quickstart: {error}")
    except KeyboardInterrupt:
        sys.exit("quickstart: stopped")


if __name__ == "__main__":
    main()
