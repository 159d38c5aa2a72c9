"""Password hashes of other programs verify here, and ours verify in Dovecot: vmail-authd and vmailctl over a real
database, `doveadm pw`, `openssl passwd` and Python's crypt."""

import ctypes
import socket
import subprocess
import unittest
import warnings

from private_server import MariaDB, Suite, TemporaryFolder
from site_tests import BUILD

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

ANNA = "anna@example.test"
PASSWORD = "correct horse battery"
WEAK = ("MD5-CRYPT", "MD5", "SMD5", "PLAIN-MD5", "PLAIN-MD5.b64", "LDAP-MD5", "LDAP-MD5.hex", "PLAIN", "CLEAR")
DOVECOT = (
    ("SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "CRYPT", "SHA512-CRYPT.b64", "BLF-CRYPT.hex", "PBKDF2", "PBKDF2.b64")
    + ("ARGON2I", "ARGON2ID", "SCRAM-SHA-256", "SSHA", "SSHA256", "SSHA512", "SSHA.hex", "SSHA256.b64", "SSHA512.hex")
    + ("SHA", "SHA1", "SHA256", "SHA512", "SHA.hex", "SHA256.hex", "SHA512.b64")
)

database = suite = None


def setUpModule():
    global database, suite
    folder = unittest.enterModuleContext(TemporaryFolder())
    database = unittest.enterModuleContext(MariaDB(folder))
    settings = {"database": {"hosts": ["unix:" + database.socket]}, "passwords": {"allow_weak": True}}
    suite = Suite(BUILD, folder, [], folder.make("postfix/queue"), (0, 0), settings)
    suite.control("schema", "init")
    suite.hand_over_passwords()
    suite.control("domain", "add", "example.test")
    suite.control("user", "add", ANNA, stdin=PASSWORD + "\n")
    suite.auth.start()
    unittest.addModuleCleanup(suite.stop)


def run(*argv, stdin=""):
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout.strip()


def doveadm_pw(scheme, *options, password=PASSWORD):
    return run("doveadm", "pw", "-s", scheme, "-p", password, *options)


def argon2id(passes, kibibytes, lanes):
    """By the reference implementation, which PHP and Python's argon2 use."""
    library = ctypes.CDLL("libargon2.so.1")
    password, salt, out = PASSWORD.encode(), b"sixteen bytes of", ctypes.create_string_buffer(200)
    status = library.argon2id_hash_encoded(
        *(passes, kibibytes, lanes, password, ctypes.c_size_t(len(password)), salt, ctypes.c_size_t(len(salt))),
        *(ctypes.c_size_t(32), out, ctypes.c_size_t(len(out))),
    )
    if status != 0:
        raise ValueError(f"libargon2 says {status}")
    return out.value.decode()


def store(stored):
    database.query(f"UPDATE virtual_users SET password='{stored}' WHERE email='{ANNA}'", "mailserver")
    suite.control("cache", "flush", ANNA)  # not to wait for the change feed


def login(password):
    """The first word of the answer of vmail-authd."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(suite.verify)
        with client.makefile("rwb") as stream:
            stream.write(f"VERIFY\tuser={ANNA}\tpassword={password}\tservice=imap\n".encode())
            stream.flush()
            return stream.readline().decode().split("\t")[0].rstrip("\n")


class Theirs(unittest.TestCase):
    def check(self, stored):
        store(stored)
        self.assertEqual(login(PASSWORD), "OK", stored)

    def test_wrong_passwords(self):
        """Not of every scheme (tests/unit/shared/password has them all): a refusal takes its time."""
        for stored in (doveadm_pw("SHA512-CRYPT"), doveadm_pw("ARGON2ID"), doveadm_pw("SSHA512")):
            store(stored)
            self.assertEqual(login(PASSWORD + "x"), "NO", stored)

    def test_doveadm_pw(self):
        for scheme in DOVECOT + WEAK:
            with self.subTest(scheme):
                self.check(doveadm_pw(scheme))

    def test_doveadm_pw_with_rounds(self):
        for scheme, rounds in (("SHA512-CRYPT", 1000), ("SHA512-CRYPT", 20000), ("SHA256-CRYPT", 7000), ("BLF-CRYPT", 6)):
            with self.subTest(scheme, rounds=rounds):
                self.check(doveadm_pw(scheme, "-r", str(rounds)))

    def test_openssl_passwd(self):
        for options in (["-6"], ["-5"], ["-1"], ["-6", "-salt", "a"], ["-6", "-salt", "sixteencharacter"]):
            with self.subTest(options):
                self.check(run("openssl", "passwd", *options, "-stdin", stdin=PASSWORD + "\n"))

    def test_python_crypt(self):
        cases = [(crypt.METHOD_SHA512, {}), (crypt.METHOD_SHA512, {"rounds": 12345}), (crypt.METHOD_SHA256, {})]
        cases += [(crypt.METHOD_BLOWFISH, {"rounds": 16}), (crypt.METHOD_MD5, {})]
        for method, options in cases:
            with self.subTest(method.name, **options):
                self.check(crypt.crypt(PASSWORD, crypt.mksalt(method, **options)))
        self.check(crypt.crypt(PASSWORD, "$y$j9T$F5Jx5fExrKuPp53xLKQ..1"))  # as mkpasswd makes them

    def test_passwords_of_many_lengths(self):
        """The rounds go through other blocks and another engine; 'ß' has two bytes."""
        for length in (1, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 255, 256):
            for password in ("x" * length, ("ß" * 128).encode()[:length].decode(errors="ignore") or "x"):
                with self.subTest(password):
                    store(crypt.crypt(password, crypt.mksalt(crypt.METHOD_SHA512)))
                    self.assertEqual(login(password), "OK")

    def test_forms_of_php_and_argon2_cffi(self):
        """password_hash() of PHP makes $2y$ with cost 10 and Argon2id with four passes, Python's argon2 four lanes."""
        self.check(crypt.crypt(PASSWORD, "$2y$10$" + "abcdefghijklmnopqrstuu"))
        for passes, lanes in ((4, 1), (3, 4)):
            with self.subTest(passes=passes, lanes=lanes):
                self.check(argon2id(passes, 65536, lanes))


class Ours(unittest.TestCase):
    def setUp(self):
        with open(suite.config, encoding="utf-8") as file:
            self.settings = file.read()
        self.addCleanup(self.write_settings, self.settings)

    def write_settings(self, text):
        with open(suite.config, "w", encoding="utf-8") as file:
            file.write(text)

    def test_new_hashes_of_each_scheme(self):
        begins = {
            "SHA512-CRYPT": "$6$",
            "BLF-CRYPT": "{BLF-CRYPT}$2y$10$",
            "YESCRYPT": "{CRYPT}$y$",
            "ARGON2ID": "{ARGON2ID}$argon2id$",
        }
        for scheme, begin in begins.items():
            with self.subTest(scheme):
                self.write_settings(self.settings.replace("[passwords]", f'[passwords]\nscheme = "{scheme}"'))
                suite.control("user", "passwd", ANNA, stdin=PASSWORD + "\n")
                stored = database.query(f"SELECT password FROM virtual_users WHERE email='{ANNA}'", "mailserver")[0][0]
                self.assertTrue(stored.startswith(begin), stored)
                suite.control("cache", "flush", ANNA)
                self.assertEqual(login(PASSWORD), "OK")
                self.assertEqual(login(PASSWORD + "x"), "NO")
                named = stored if stored.startswith("{") else "{SHA512-CRYPT}" + stored
                self.assertIn("(verified)", run("doveadm", "pw", "-t", named, "-p", PASSWORD))
                wrong = subprocess.run(["doveadm", "pw", "-t", named, "-p", "x"], capture_output=True, check=False)
                self.assertNotEqual(wrong.returncode, 0)
                if scheme == "SHA512-CRYPT":
                    self.assertEqual(crypt.crypt(PASSWORD, stored), stored)
                    salt = stored.split("$")[2]
                    made = run("openssl", "passwd", "-6", "-salt", salt, "-stdin", stdin=PASSWORD + "\n")
                    self.assertEqual(made, stored)


class Refused(unittest.TestCase):
    def test_costly_and_damaged_hashes_are_temporary_failures(self):
        cases = {
            "$6$rounds=999999999$abcdefgh$" + "." * 86: "999999999 rounds",
            "{BLF-CRYPT}$2y$15$" + "a" * 53: "bcrypt cost 15",
            "{ARGON2ID}$argon2id$v=19$m=1048576,t=3,p=1$sbpC6h3OLFXaQ6ZPpKQ3Wg$x": "more memory than the 64 MiB",
            "{SSHA512}c2VjcmV0": "6 bytes in the place of 64",
            "{NTLM}x": "{NTLM} is not known",
            PASSWORD: "is it a plain password?",
        }
        for stored, why in cases.items():
            with self.subTest(why):
                store(stored)
                self.assertEqual(login(PASSWORD), "TEMP")
                self.assertIn(why, suite.auth.process.read_log())
        self.assertNotIn(PASSWORD, suite.auth.process.read_log())


if __name__ == "__main__":
    unittest.main()
