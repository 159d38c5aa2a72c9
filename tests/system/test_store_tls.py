"""vmail-lmtpd over TCP with STARTTLS, spoken to by Postfix and by Python's ssl."""

import os
import re
import socket
import ssl
import subprocess
import unittest

from private_server import Site, free_port, wait_until
from private_server.certificate import make_certificate
from private_server.suite import MAIL_UID
from site_tests import BUILD, ROOT, send

ANNA = "anna@tls.test"

site = port = certificate = key = None


def setUpModule():
    global site, port, certificate, key
    port = free_port()
    transport = f"virtual_transport = lmtp:inet:[127.0.0.1]:{port}\n"
    site = Site(BUILD, postfix_settings=transport + "lmtp_tls_security_level = encrypt\nlmtp_tls_loglevel = 1\n")
    certificate, key = make_certificate(site.folder.make("tls"), "mail.vmailkit.test")
    os.chown(key, MAIL_UID, MAIL_UID)
    configure(tls_certificate=certificate, tls_key=key)
    site.suite.store.listen_tcp("lmtp", port)
    unittest.enterModuleContext(site)
    site.suite.control("domain", "add", "tls.test")
    site.add_user(ANNA, "correct horse battery")


def configure(**settings):
    """Sets these of [store] in the configuration."""
    with open(site.suite.config, encoding="utf-8") as file:
        text = file.read()
    for name, value in settings.items():
        text = re.sub(rf"^{name} = .*\n", "", text, flags=re.MULTILINE)
        text = text.replace("[store]\n", f'[store]\n{name} = "{value}"\n')
    with open(site.suite.config, "w", encoding="utf-8") as file:
        file.write(text)


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.input = self.socket.makefile("rb")

    def reply(self):
        """All lines of a reply; none at the end of the connection."""
        lines = []
        while True:
            lines.append(self.input.readline())
            if lines[-1][3:4] != b"-":
                return b"".join(lines).decode()

    def say(self, text):
        self.socket.sendall(text.encode())
        return self.reply()

    def secure(self):
        context = ssl.create_default_context(cafile=certificate)
        self.input.close()
        self.socket = context.wrap_socket(self.socket, server_hostname="mail.vmailkit.test")
        self.input = self.socket.makefile("rb")

    def close(self):
        self.input.close()
        self.socket.close()


class Tls(unittest.TestCase):
    def client(self):
        client = Client()
        self.addCleanup(client.close)
        self.assertTrue(client.reply().startswith("220 "))
        return client

    def test_postfix(self):
        send(site, [ANNA], "over TLS")
        message = site.wait_for_message(ANNA, "over TLS")
        self.assertIn("with LMTPS", message["Received"])
        self.assertRegex(site.postfix.read_log(), r"lmtp\[\d+\]: .*TLS connection established to 127.0.0.1")
        # This host is trusted with queue ids over TCP as well.
        stored = re.compile(r"queue=\w{6,} .*result=stored")
        wait_until(lambda: stored.search(site.suite.store.process.read_log()), 30, "the line of the delivery")

    def test_session(self):
        client = self.client()
        self.assertIn("STARTTLS", client.say("LHLO client.test\r\n"))
        self.assertTrue(client.say("STARTTLS\r\n").startswith("220 2.0.0"))
        client.secure()
        self.assertTrue(client.say("MAIL FROM:<>\r\n").startswith("503"))
        self.assertNotIn("STARTTLS", client.say("LHLO client.test\r\n"))
        self.assertTrue(client.say("MAIL FROM:<>\r\n").startswith("250"))
        self.assertTrue(client.say(f"RCPT TO:<{ANNA}>\r\n").startswith("250"))
        self.assertTrue(client.say("DATA\r\n").startswith("354"))
        text = "Subject: large\r\n\r\n" + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 20000
        self.assertTrue(client.say(text + ".\r\n").startswith("250 2.0.0"))
        self.assertTrue(client.say("QUIT\r\n").startswith("221"))
        self.assertEqual(client.reply(), "")  # an orderly end: a cut one would raise
        self.assertEqual(len(site.wait_for_message(ANNA, "large").get_payload()), 71 * 20001)

    def test_injected_plain_text(self):
        client = self.client()
        client.say("LHLO client.test\r\n")
        self.assertTrue(client.say("STARTTLS\r\nLHLO evil.test\r\n").startswith("503 5.5.1"))
        self.assertEqual(client.reply(), "")
        wait_until(lambda: "plain text behind STARTTLS" in site.suite.store.process.read_log(), 60, "a line in the log")

    def test_no_tls_at_all(self):
        client = self.client()
        client.say("LHLO client.test\r\n")
        client.say("STARTTLS\r\n")
        client.socket.sendall(b"LHLO evil.test\r\n" * 10)
        client.input.read()  # an alert, perhaps; and the end
        wait_until(lambda: "closed: TLS: " in site.suite.store.process.read_log(), 60, "a line in the log")


class Configuration(unittest.TestCase):
    def check(self, *words, **settings):
        """What --check-config says with these settings."""
        try:
            configure(**settings)
            program = os.path.join(site.suite.bin, "vmail-lmtpd")
            done = subprocess.run(
                [program, "--config", site.suite.config, "--check-config"], capture_output=True, text=True, check=False
            )
        finally:
            configure(tls_certificate=certificate, tls_key=key)
        self.assertEqual(done.returncode, 78 if words else 0, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_files(self):
        self.check()
        self.check("store.tls_certificate: does not work without store.tls_key", tls_key="")
        self.check("store.tls_key: does not work without store.tls_certificate", tls_certificate="")
        self.check("store.tls_certificate: /nowhere.pem: cannot be read: No such file", tls_certificate="/nowhere.pem")
        self.check("store.tls_key: /nowhere.pem: cannot be read: No such file", tls_key="/nowhere.pem")
        self.check(f"{ROOT}/README.md: no certificate in PEM form", tls_certificate=f"{ROOT}/README.md")
        self.check("chmod o=", tls_key=certificate)
        _, other = make_certificate(site.folder.make("other"), "other.test")
        self.check(f"{other}: no private key that belongs to {certificate}", tls_key=other)

    def test_reload_takes_a_new_certificate(self):
        """A renewed certificate is used for the connections after the reload; a bad one leaves all as it was."""
        daemon = site.suite.store
        configure(tls_key="/nowhere.pem")
        daemon.reload()
        refusal = re.compile(rf"the configuration stays as it was: {re.escape(site.suite.config)}:\d+: store\.tls_key: ")
        wait_until(lambda: refusal.search(daemon.process.read_log()), 60, "a refusal")
        configure(tls_key=key)
        seen = daemon.process.read_log().count("configuration read again")
        daemon.reload()
        wait_until(lambda: daemon.process.read_log().count("configuration read again") > seen, 60, "a reload")
        client = Client()
        self.addCleanup(client.close)
        client.reply()
        client.say("LHLO client.test\r\n")
        client.say("STARTTLS\r\n")
        client.secure()
        self.assertIn("250", client.say("LHLO client.test\r\n"))


if __name__ == "__main__":
    unittest.main()
