"""vmail-authd over a real MariaDB: the Dovecot auth protocol as Postfix speaks it, the verify and the credentials socket,
and checkpassword, through an outage of the database too."""

import base64
import os
import socket
import subprocess
import time
import unittest

from checkpassword_run import CREDENTIALS, USERDB, VERIFY, run
from private_server import MariaDB, Suite, TemporaryFolder, wait_until
from site_tests import BUILD, as_user

ANNA, DORA = "anna@example.test", "dora@example.test"
PASSWORD = "correct horse battery"
CREDENTIALS_PEER = 5003

database = suite = None


def setUpModule():
    global database, suite
    folder = unittest.enterModuleContext(TemporaryFolder())
    database = unittest.enterModuleContext(MariaDB(folder))
    queue = folder.make("postfix/queue")
    settings = {
        "database": {"hosts": ["unix:" + database.socket], "deadline": "2s"},
        "passwords": {"max_rounds": 20000},
    }
    suite = Suite(BUILD, folder, [], queue, (0, 0), settings, credentials_peers=[0, CREDENTIALS_PEER])
    suite.control("schema", "init")
    suite.hand_over_passwords()
    suite.control("domain", "add", "example.test")
    for address in (ANNA, DORA):
        suite.control("user", "add", address, stdin=PASSWORD + "\n")
    suite.control("user", "disable", DORA)
    suite.auth.start()
    unittest.addModuleCleanup(suite.stop)


def log():
    return suite.auth.process.read_log()


def set_hash(address, stored):
    database.query(f"UPDATE virtual_users SET password='{stored}' WHERE email='{address}'", "mailserver")
    suite.control("cache", "flush", address)  # not to wait for the change feed


class Smtpd:
    """Postfix's smtpd, as far as vmail-authd sees it (xsasl_dovecot_server.c)."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(os.path.join(suite.queue, "auth"))
        self.stream = self.socket.makefile("rwb")
        self.send("VERSION\t1\t0", f"CPID\t{os.getpid()}")
        self.handshake = []
        while not self.handshake or self.handshake[-1] != "DONE":
            self.handshake.append(self.line())
        self.id = 0

    def send(self, *lines):
        self.stream.write("".join(line + "\n" for line in lines).encode())
        self.stream.flush()

    def line(self):
        """The next line; empty when the server has hung up."""
        return self.stream.readline().decode().rstrip("\n")

    def plain(self, user, password, rip="192.0.2.2"):
        self.id += 1
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.send(f"AUTH\t{self.id}\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip={rip}\tsecured\tresp={response}")
        return self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()


def ask(path, *lines):
    """The reply to each line, one after the other on one connection."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(path)
        with client.makefile("rwb") as stream:
            replies = []
            for line in lines:
                stream.write(line.encode() + b"\n")
                stream.flush()
                replies.append(stream.readline().decode().rstrip("\n"))
            return replies


def verify(user, password):
    return ask(suite.verify, f"VERIFY\tuser={user}\tpassword={password}\tservice=imap\trip=192.0.2.9")[0]


class Postfix(unittest.TestCase):
    def test_handshake(self):
        with Smtpd() as smtpd:
            words = [line.split("\t")[0] for line in smtpd.handshake]
            self.assertEqual(words, ["VERSION", "MECH", "MECH", "SPID", "CUID", "COOKIE", "DONE"])
            self.assertIn("MECH\tPLAIN\tplaintext", smtpd.handshake)

    def test_logins(self):
        refused = "reason=the user name or the password is wrong"
        with Smtpd() as smtpd:
            self.assertEqual(smtpd.plain(ANNA, PASSWORD), f"OK\t1\tuser={ANNA}")
            self.assertEqual(smtpd.plain(ANNA, PASSWORD + "x"), f"FAIL\t2\tuser={ANNA}\t{refused}")
            self.assertEqual(smtpd.plain("nobody@example.test", "x"), f"FAIL\t3\tuser=nobody@example.test\t{refused}")
            self.assertEqual(smtpd.plain(DORA, PASSWORD), f"FAIL\t4\tuser={DORA}\t{refused}")
            self.assertEqual(smtpd.plain("anna", PASSWORD), f"FAIL\t5\tuser=anna\t{refused}")
            self.assertEqual(smtpd.plain(ANNA, ""), f"FAIL\t6\tuser={ANNA}\t{refused}")
            self.assertEqual(smtpd.plain("ANNA@Example.TEST", PASSWORD), f"OK\t7\tuser={ANNA}")

    def test_login_mechanism(self):
        def encode(text):
            return base64.b64encode(text.encode()).decode()

        with Smtpd() as smtpd:
            smtpd.send("AUTH\t1\tLOGIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=192.0.2.2")
            self.assertEqual(smtpd.line(), "CONT\t1\t" + encode("Username:"))
            smtpd.send("CONT\t1\t" + encode(ANNA))
            self.assertEqual(smtpd.line(), "CONT\t1\t" + encode("Password:"))
            smtpd.send("CONT\t1\t" + encode(PASSWORD))
            self.assertEqual(smtpd.line(), f"OK\t1\tuser={ANNA}")

    def test_log(self):
        with Smtpd() as smtpd:
            smtpd.plain(ANNA, PASSWORD, rip="198.51.100.1")
            smtpd.plain(ANNA, "a wrong one", rip="198.51.100.2")
            smtpd.plain("x rip=1.2.3.4\nlogin user=root", "a wrong one", rip="198.51.100.3")
        text = log()
        self.assertIn(f"login user={ANNA} service=smtp rip=198.51.100.1 result=ok\n", text)
        self.assertIn(f"login user={ANNA} service=smtp rip=198.51.100.2 result=failed reason=wrong password\n", text)
        self.assertIn("login user=x\\x20rip=1.2.3.4\\x0alogin\\x20user=root service=smtp rip=198.51.100.3 ", text)
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn("a wrong one", text)
        self.assertNotIn("$6$", text)


class Verify(unittest.TestCase):
    def setUp(self):
        self.home = os.path.join(suite.mail, "example.test/anna")
        self.account = f"OK\tuser={ANNA}\thome={self.home}\tuid=5000\tgid=5000"

    def test_verify_and_userdb(self):
        replies = ask(
            suite.verify,
            f"VERIFY\tuser={ANNA}\tpassword={PASSWORD}",
            f"VERIFY\tuser={ANNA}\tpassword=x",
            f"USERDB\tuser={ANNA}",
            "USERDB\tuser=anna+lists@example.test",
            f"USERDB\tuser={DORA}",
            "USERDB\tuser=nobody@example.test",
            "USERDB\tuser=%",
        )
        self.assertEqual(replies, [self.account, "NO", self.account, self.account, "NO", "NO", "NO"])

    def test_hash_leaves_by_the_credentials_socket_alone(self):
        stored = database.query(f"SELECT password FROM virtual_users WHERE email='{ANNA}'", "mailserver")[0][0]
        self.assertTrue(ask(suite.verify, f"CREDENTIALS\tuser={ANNA}")[0].startswith("TEMP\t"))
        reply = ask(suite.credentials, f"CREDENTIALS\tuser={ANNA}")[0]
        self.assertEqual(reply, f"{self.account}\tpassword={{SHA512-CRYPT}}{stored}")
        self.assertEqual(ask(suite.credentials, f"CREDENTIALS\tuser={DORA}")[0], "NO")

    def test_credentials_peers(self):
        def lookup():
            if not ask(suite.credentials, f"CREDENTIALS\tuser={ANNA}")[0].startswith("OK\t"):
                raise PermissionError(13, "hung up")

        self.assertEqual(as_user(CREDENTIALS_PEER, CREDENTIALS_PEER, lookup), 0)
        for uid in (5000, 5001, 5002, 65534):
            self.assertNotEqual(as_user(uid, uid, lookup), 0)


class Checkpassword(unittest.TestCase):
    def run_it(self, user, password="", mode=VERIFY):
        options = ["--socket", suite.verify, "--credentials-socket", suite.credentials]
        return run(None, user, password, mode, options=options, SERVICE="imap", TCPREMOTEIP="203.0.113.1")

    def test_statuses(self):
        for mode, good, bad in ((VERIFY, 0, 1), (USERDB, 2, 3), (CREDENTIALS, 2, 3)):
            with self.subTest(mode):
                done = self.run_it(ANNA, PASSWORD, mode)
                self.assertEqual((done.status, done.stderr), (good, ""))
                self.assertIn(f"user={ANNA}", done.reply)
                self.assertIn("userdb_uid=5000\tuserdb_gid=5000", done.reply)
                self.assertEqual("$6$" in done.reply, mode == CREDENTIALS)
                for user in (DORA, "nobody@example.test"):
                    self.assertEqual(self.run_it(user, PASSWORD, mode).status, bad)
        self.assertEqual(self.run_it(ANNA, "x").status, 1)
        self.assertEqual(self.run_it(ANNA, "").status, 1)
        self.assertIn(f"login user={ANNA} service=imap rip=203.0.113.1 result=ok\n", log())


class StoredHashes(unittest.TestCase):
    """What other programs make verifies here, and what we make verifies there."""

    def setUp(self):
        stored = database.query(f"SELECT password FROM virtual_users WHERE email='{ANNA}'", "mailserver")[0][0]
        self.addCleanup(set_hash, ANNA, stored)
        self.ours = stored

    def doveadm_pw(self, *arguments):
        done = subprocess.run(
            ["doveadm", "-c", "/dev/null", "pw", *arguments, "-p", PASSWORD], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def check_both(self, stored):
        set_hash(ANNA, stored)
        self.assertTrue(verify(ANNA, PASSWORD).startswith("OK\t"), stored)
        self.assertEqual(verify(ANNA, PASSWORD + "x"), "NO")

    def test_doveadm(self):
        for scheme in ("SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT"):
            with self.subTest(scheme):
                stored = self.doveadm_pw("-s", scheme)
                self.check_both(stored)
                self.check_both(stored.replace("{" + scheme + "}", ""))
                self.check_both(stored.replace("{" + scheme + "}", "{" + scheme.lower() + "}"))
        self.check_both(self.doveadm_pw("-s", "SHA512-CRYPT", "-r", "10000"))

    def test_openssl(self):
        for option in ("-5", "-6"):
            done = subprocess.run(["openssl", "passwd", option, PASSWORD], capture_output=True, text=True, check=True)
            self.check_both(done.stdout.strip())

    def test_ours_in_doveadm(self):
        self.doveadm_pw("-t", "{SHA512-CRYPT}" + self.ours)

    def test_bad_ones_are_temporary_and_logged_without_the_hash(self):
        digest = self.ours[-86:]
        for stored, why in (
            ("{ROT13}frperg", "{ROT13} is not known"),
            ("plain-text-password", "plain password"),
            (self.ours[:100], "80 of 86"),
            (f"$6$rounds=20001$abcdefgh${digest}", "more than passwords.max_rounds = 20000"),
            (f"$6$rounds=999999999$abcdefgh${digest}", "more than passwords.max_rounds"),
            ("$2y$31$mSNUkO.Mrwh7ddgUExy8eOJtv0AuaQrdcGAMCu24Q/8BD3hA8B/Ja", "bcrypt cost 31"),
        ):
            with self.subTest(why):
                set_hash(ANNA, stored)
                seen = len(log())
                self.assertEqual(verify(ANNA, PASSWORD), "TEMP\treason=the stored password hash cannot be used")
                with Smtpd() as smtpd:
                    self.assertEqual(smtpd.plain(ANNA, PASSWORD), "")
                logged = log()[seen:]
                self.assertEqual(logged.count(f"login user={ANNA} "), 2)
                self.assertEqual(logged.count("result=tempfail reason=the stored hash cannot be used: "), 2)
                self.assertIn(why, logged)
                self.assertNotIn(digest[:20], logged)
                self.assertNotIn("plain-text", logged)

    def test_without_a_password_it_is_wrong_and_the_log_says_why(self):
        for stored in ("", "!", "*", "!" + self.ours):
            with self.subTest(stored[:2]):
                set_hash(ANNA, stored)
                seen = len(log())
                self.assertEqual(verify(ANNA, PASSWORD), "NO")
                with Smtpd() as smtpd:
                    self.assertTrue(smtpd.plain(ANNA, PASSWORD).startswith("FAIL\t1\t"))
                self.assertEqual(log()[seen:].count("result=failed reason=the account has no password"), 2)


class Outage(unittest.TestCase):
    def setUp(self):
        self.assertEqual(run(suite.verify, ANNA, "", USERDB).status, 2)
        wait_until(lambda: verify(ANNA, PASSWORD).startswith("OK\t"), 90, "the hash to be in memory", poll=0.5)

    def check_temporary(self):
        time.sleep(1.1)  # a refusal may rest on what was read within the last second
        # Whose hash is in memory can log in; nobody is refused for good.
        with Smtpd() as smtpd:
            self.assertEqual(smtpd.plain(ANNA, PASSWORD), f"OK\t1\tuser={ANNA}")
            self.assertEqual(smtpd.plain(ANNA, "x"), "", "hung up without a reply: Postfix says 454")
        with Smtpd() as smtpd:
            self.assertEqual(smtpd.plain("nobody@example.test", PASSWORD), "")
        self.assertTrue(verify(ANNA, PASSWORD).startswith("OK\t"))
        self.assertTrue(verify(ANNA, "x").startswith("TEMP\treason="))
        done = run(suite.verify, ANNA, "x")
        self.assertEqual((done.status, done.reply), (111, ""))
        # An address is another matter than a password: what was known is served.
        self.assertEqual(run(suite.verify, ANNA, "", USERDB).status, 2)
        self.assertEqual(run(suite.verify, "never-asked@example.test", "", USERDB).status, 111)

    def check_works_again(self):
        # A host that failed is left alone for up to half a minute.
        wait_until(lambda: verify(ANNA, "x") == "NO", 90, "refusals after the outage", poll=0.5)
        self.assertTrue(verify(ANNA, PASSWORD).startswith("OK\t"))
        with Smtpd() as smtpd:
            self.assertEqual(smtpd.plain(ANNA, PASSWORD), f"OK\t1\tuser={ANNA}")
            self.assertTrue(smtpd.plain(ANNA, "x").startswith("FAIL\t2\t"))

    def test_stopped(self):
        database.stop()
        try:
            self.check_temporary()
        finally:
            database.start()
        self.check_works_again()

    def test_frozen(self):
        database.freeze()
        try:
            self.check_temporary()
        finally:
            database.thaw()
        self.check_works_again()


class Administration(unittest.TestCase):
    def test_a_new_password_holds_at_once(self):
        self.addCleanup(suite.control, "user", "passwd", ANNA, stdin=PASSWORD + "\n")
        suite.control("user", "passwd", ANNA, stdin="another one\n")
        self.assertEqual(verify(ANNA, PASSWORD), "NO")
        self.assertTrue(verify(ANNA, "another one").startswith("OK\t"))

    def test_disabled_at_once(self):
        self.addCleanup(suite.control, "user", "enable", ANNA)
        self.assertTrue(verify(ANNA, PASSWORD).startswith("OK\t"))
        suite.control("user", "disable", ANNA)
        self.assertEqual(verify(ANNA, PASSWORD), "NO")

    def test_reload_and_restart(self):
        suite.auth.reload()
        suite.auth.process.wait_until(lambda: "configuration read again" in log(), 60, "the reload")
        self.assertTrue(verify(ANNA, PASSWORD).startswith("OK\t"))
        with Smtpd() as smtpd:
            suite.auth.restart()
            self.assertEqual(smtpd.line(), "", "an idle connection is closed at the end of the daemon")
        self.assertTrue(verify(ANNA, PASSWORD).startswith("OK\t"))

    def test_check_config(self):
        def check(*changes):
            with open(suite.config, encoding="utf-8") as file:
                text = file.read()
            path = os.path.join(suite.etc, "changed.toml")
            for before, after in changes:
                self.assertIn(before, text)
                text = text.replace(before, after)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return subprocess.run(
                [os.path.join(suite.bin, "vmail-authd"), "--config", path, "--check-config"],
                capture_output=True,
                text=True,
                check=False,
                user=suite.auth.user,
                group=suite.auth.user,
            )

        self.assertEqual(check().returncode, 0)
        for change, complaint in (
            (('owner = "5000"', 'owner = "no-such-user"'), r"/changed\.toml:\d+: mailboxes\.owner: "),
            (('group = "5000"', 'group = "no-such-group"'), r"/changed\.toml:\d+: mailboxes\.group: "),
            (('credentials_peers = ["0", "5003"]', "credentials_peers = []"), r"/changed\.toml:\d+: auth\.credentials_peers: "),
            (("auth.password", "maps.password"), r"/maps\.password: "),
        ):
            with self.subTest(complaint):
                done = check(change)
                self.assertEqual(done.returncode, 78, done.stdout + done.stderr)
                self.assertRegex(done.stderr, complaint)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
