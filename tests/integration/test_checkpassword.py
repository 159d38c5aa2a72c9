"""checkpassword as Dovecot 2.3 runs it: descriptors 3 and 4, environment and exit status, against a daemon that says what
the test wants, and good and bad ways to be run. (The real daemon answers it in test_auth.py, the real Dovecot runs it in
tests/system/test_dovecot.py.)"""

import contextlib
import os
import re
import socket
import subprocess
import threading
import unittest

from checkpassword_run import CHECKPASSWORD, CREDENTIALS, USERDB, VERIFY, run
from private_server import TemporaryFolder
from site_tests import BUILD

OK = b"OK\tuser=anna@example.test\thome=/mail/anna\tuid=5000\tgid=5001\n"
SECRET = "correct horse"


@contextlib.contextmanager
def daemon(*pieces, hang_up=True):
    """A socket that takes one connection, reads one line and answers with the pieces, each sent on its own.

    Gives (path, list that will hold the line)."""
    with TemporaryFolder() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = os.path.join(folder.path, "socket")
        listening.bind(path)
        listening.listen(1)
        lines = []
        over = threading.Event()

        def serve():
            with contextlib.suppress(OSError):
                client, _ = listening.accept()
                with client, client.makefile("rb") as stream:
                    lines.append(stream.readline())
                    for piece in pieces:
                        client.sendall(piece)
                    if not hang_up:
                        over.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path, lines
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


class Modes(unittest.TestCase):
    def ask(self, mode, *pieces, user="anna@example.test", password=SECRET, **environment):
        with daemon(*pieces) as (path, lines):
            done = run(path, user, password, mode, **environment)
        self.assertNotIn(SECRET, done.stderr)
        self.assertEqual(len(lines), 1, done.stderr)
        return done, lines[0].decode()

    def test_password_check(self):
        done, line = self.ask(VERIFY, OK, SERVICE="imap", TCPREMOTEIP="192.0.2.2", AUTH_SESSION="s")
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(
            done.reply, "user=anna@example.test\tuserdb_home=/mail/anna\tuserdb_uid=5000\tuserdb_gid=5001"
        )
        self.assertEqual(
            line,
            f"VERIFY\tuser=anna@example.test\tpassword={SECRET}\tservice=imap\trip=192.0.2.2\tsession=s\n",
        )

    def test_descriptor_3_that_another_process_has_too(self):
        """As when Dovecot starts several at once: each inherits what the others are to read from."""
        with daemon(OK) as (path, _):
            self.assertEqual(run(path, "anna@example.test", SECRET, held=True).status, 0)

    def test_wrong_password(self):
        done, _ = self.ask(VERIFY, b"NO\n")
        self.assertEqual((done.status, done.reply, done.stderr), (1, "", ""))

    def test_userdb_lookup(self):
        done, line = self.ask(USERDB, OK, password="")
        self.assertEqual((done.status, done.stderr), (2, ""))
        self.assertEqual(
            done.reply, "userdb_user=anna@example.test\tuserdb_home=/mail/anna\tuserdb_uid=5000\tuserdb_gid=5001"
        )
        self.assertEqual(line, "USERDB\tuser=anna@example.test\n")

    def test_unknown_user(self):
        done, _ = self.ask(USERDB, b"NO\n", password="")
        self.assertEqual((done.status, done.reply, done.stderr), (3, "", ""))

    def test_credentials_lookup(self):
        done, line = self.ask(CREDENTIALS, OK[:-1] + b"\tpassword={SHA512-CRYPT}$6$x\n", password="")
        self.assertEqual((done.status, done.stderr), (2, ""))
        self.assertTrue(done.reply.endswith("\tpassword={SHA512-CRYPT}$6$x"), done.reply)
        self.assertEqual(line, "CREDENTIALS\tuser=anna@example.test\n")

    def test_unknown_credentials(self):
        done, _ = self.ask(CREDENTIALS, b"NO\n", password="")
        self.assertEqual((done.status, done.reply), (3, ""))

    def test_hash_is_handed_on_in_no_other_mode(self):
        for mode in (VERIFY, USERDB):
            done, _ = self.ask(mode, OK[:-1] + b"\tpassword={SHA512-CRYPT}$6$x\n")
            self.assertNotIn("$6$", done.reply)

    def test_temporary_failure(self):
        for mode in (VERIFY, USERDB, CREDENTIALS):
            with self.subTest(mode):
                done, _ = self.ask(mode, b"TEMP\treason=the database is down\n")
                self.assertEqual((done.status, done.reply), (111, ""))
                self.assertIn("the database is down", done.stderr)

    def test_answers_of_no_known_kind(self):
        many = b"OK" + b"\tx" * 40 + b"\n"
        answers = [b"\n", b"OKAY\tuser=x\n", b"ok\n", b"OK\n", b"NO\tx\n", b"TEMP\n", b"x" * 9000 + b"\n", many, b"NO", b""]
        for mode in (VERIFY, USERDB, CREDENTIALS):
            for answer in answers:
                with self.subTest(mode=mode, answer=answer[:20]):
                    done, _ = self.ask(mode, answer)
                    self.assertEqual((done.status, done.reply), (111, ""))
                    self.assertEqual(done.stderr.count("\n"), 1)

    def test_answer_in_pieces(self):
        for at in range(len(OK)):
            done, _ = self.ask(VERIFY, OK[:at], OK[at:])
            self.assertEqual(done.status, 0)

    def test_values_are_escaped_both_ways(self):
        done, line = self.ask(VERIFY, b"OK\tuser=a\x01tb\thome=/x\x01n\n", user="a\tb\n", password="\x01\t\r\n")
        self.assertEqual(done.status, 0)
        self.assertEqual(line, "VERIFY\tuser=a\x01tb\x01n\tpassword=\x011\x01t\x01r\x01n\n")
        self.assertEqual(done.reply, "user=a\x01tb\tuserdb_home=/x\x01n")

    def test_all_of_dovecots_512_bytes(self):
        done, line = self.ask(VERIFY, b"NO\n", user="u" * 254, password="\t" * 255)
        self.assertEqual(done.status, 1)
        self.assertEqual(len(line), len("VERIFY\tuser=\tpassword=\n") + 254 + 2 * 255)

    def test_environment_without_values(self):
        done, line = self.ask(VERIFY, b"NO\n", SERVICE="", TCPREMOTEIP="")
        self.assertEqual(done.status, 1)
        self.assertNotIn("service", line)


class WaysToFail(unittest.TestCase):
    """Each ends with 111, no answer, and one line that says what is wrong."""

    def check(self, done, *words):
        self.assertEqual((done.status, done.reply), (111, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("vmailkit checkpassword: "), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn(SECRET, done.stderr)

    def test_nobody_listens(self):
        self.check(run("/nowhere/socket", "a", SECRET), "/nowhere/socket", "vmail-authd running")

    def test_credentials_are_off(self):
        self.check(run("/nowhere/socket", "a", "", CREDENTIALS), "auth.credentials")

    def test_path_is_too_long(self):
        self.check(run("/" + "x" * 200, "a", SECRET), "107 bytes")

    def test_no_answer(self):
        """Before Dovecot's own patience ends."""
        with daemon(hang_up=False) as (path, _):
            self.check(run(path, "a", SECRET), "no answer in time")

    def test_input_that_is_none(self):
        for text in (b"", b"user", b"user\0", b"user\0pass", b"x" * 5000):
            with self.subTest(text[:8]):
                self.check(run("/nowhere", None, None, raw_input=text), "descriptor 3")

    def test_without_descriptor_3(self):
        self.check(run("/nowhere", None, None, raw_input=None), "descriptor 3")

    def test_descriptor_4_is_closed(self):
        for how in ("none", "reader gone"):
            with self.subTest(how), daemon(OK) as (path, _):
                self.check(run(path, "a", SECRET, output=how), "descriptor 4")

    def test_options(self):
        self.check(run(None, "a", SECRET, options=["--sokcet", "/x"]), "unknown option --sokcet")
        self.check(run(None, "a", SECRET, options=["--socket"], program=[]), "needs a path")


class Program(unittest.TestCase):
    def test_what_dovecot_appends_is_not_taken_for_an_option(self):
        with daemon(OK) as (path, _):
            self.assertEqual(run(path, "a", SECRET, program=["/usr/lib/dovecot/checkpassword-reply", "--x"]).status, 0)

    def test_links_libc_alone(self):
        with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
            if re.search(r"^VMAILKIT_SANITIZE:STRING=.", cache.read(), re.MULTILINE):
                self.skipTest("a sanitizer brings its own library")
        dynamic = subprocess.run(["readelf", "-d", CHECKPASSWORD], capture_output=True, text=True, check=True).stdout
        self.assertEqual(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic), ["libc.so.6"])


if __name__ == "__main__":
    unittest.main()
