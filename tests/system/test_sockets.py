"""Who may connect where, and who can read what: the table of sockets, the password files, the database rights."""

import configparser
import errno
import glob
import grp
import os
import pwd
import stat
import unittest

from private_server import DatabaseError, Site
from private_server.suite import AUTH_UID, MAIL_UID, MAPS_UID, dovecot_ids
from site_tests import BUILD, ROOT, as_user, connect

NOBODY = 65534

site = None


def setUpModule():
    global site
    site = unittest.enterModuleContext(Site(BUILD))


def who(path):
    """(owner's uid, group's gid, mode) of a socket."""
    status = os.stat(path)
    assert stat.S_ISSOCK(status.st_mode), path
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


class Sockets(unittest.TestCase):
    def setUp(self):
        self.postfix = site.postfix.owner
        self.dovecot = dovecot_ids()
        names = ("maps", "policy", "auth", "lmtp", "mux", "keys")
        self.in_queue = {name: os.path.join(site.suite.queue, name) for name in names}
        self.beside_the_queue = {"verify": site.suite.verify, "userdb": site.suite.userdb, "usage": site.suite.usage}
        self.control = {
            os.path.join(site.suite.run, name, "control"): uid
            for name, uid in (("maps", MAPS_UID), ("auth", AUTH_UID), ("store", MAIL_UID))
        }

    def assert_may(self, path, *users):
        for uid, gid in users:
            self.assertEqual(as_user(uid, gid, lambda: connect(path)), 0, f"uid {uid} at {path}")

    def assert_may_not(self, path, *users):
        for uid, gid in users:
            self.assertEqual(as_user(uid, gid, lambda: connect(path)), errno.EACCES, f"uid {uid} at {path}")

    def test_those_for_postfix(self):
        self.assertEqual(os.stat(site.suite.queue).st_uid, 0)
        self.assertEqual(stat.S_IMODE(os.stat(site.suite.queue).st_mode), 0o755)
        for path in self.in_queue.values():
            with self.subTest(path):
                self.assertEqual(who(path), (*self.postfix, 0o660))
                self.assert_may(path, self.postfix, (0, 0))
                self.assert_may_not(path, (NOBODY, NOBODY), (MAPS_UID, MAPS_UID), (MAIL_UID, MAIL_UID), self.dovecot)

    def test_the_one_for_checkpassword(self):
        self.assertEqual(who(site.suite.verify), (AUTH_UID, self.dovecot[1], 0o660))
        self.assert_may(site.suite.verify, self.dovecot, (AUTH_UID, AUTH_UID), (0, 0))
        others = ((NOBODY, NOBODY), self.postfix, (MAPS_UID, MAPS_UID), (MAIL_UID, MAIL_UID))
        self.assert_may_not(site.suite.verify, *others)

    def test_the_one_for_usage(self):
        self.assertEqual(who(site.suite.usage), (MAIL_UID, MAPS_UID, 0o660))
        self.assert_may(site.suite.usage, (MAPS_UID, MAPS_UID), (MAIL_UID, MAIL_UID), (0, 0))
        self.assert_may_not(site.suite.usage, (NOBODY, NOBODY), self.postfix, (AUTH_UID, AUTH_UID), self.dovecot)

    def test_credentials_are_off(self):
        self.assertFalse(os.path.exists(site.suite.credentials))

    def test_control(self):
        for path, uid in self.control.items():
            with self.subTest(path):
                self.assertEqual(who(path), (uid, uid, 0o600))
                self.assert_may(path, (uid, uid), (0, 0))
                others = {(MAPS_UID, MAPS_UID), (AUTH_UID, AUTH_UID), (MAIL_UID, MAIL_UID)} - {(uid, uid)}
                self.assert_may_not(path, (NOBODY, NOBODY), self.postfix, self.dovecot, *others)

    def test_no_other_sockets(self):
        found = [p for p in glob.glob(f"{site.suite.path}/**", recursive=True) if stat.S_ISSOCK(os.lstat(p).st_mode)]
        self.assertEqual(sorted(found), sorted([*self.beside_the_queue.values(), *self.control]))
        self.assertEqual(sorted(os.listdir(site.suite.queue)), sorted(self.in_queue))

    def test_units_make_the_same(self):
        """What the sockets of the packages are is what is tested here."""
        tested = {(name, True): path for name, path in self.in_queue.items()}
        tested |= {(name, False): path for name, path in self.beside_the_queue.items()}
        names = {AUTH_UID: "vmailkit-auth", self.postfix[0]: "postfix", MAIL_UID: "vmail"}
        units = glob.glob(str(ROOT / "packaging/systemd/*.socket"))
        for unit in units:
            with self.subTest(os.path.basename(unit)):
                parser = configparser.ConfigParser(strict=False, interpolation=None)
                parser.optionxform = str
                parser.read(unit)
                section = parser["Socket"]
                in_queue = section["ListenStream"].startswith("/var/spool/postfix/")
                uid, gid, mode = who(tested.pop((section["FileDescriptorName"], in_queue)))
                self.assertEqual(section["SocketUser"], names[uid])
                group = "vmailkit" if gid == MAPS_UID else grp.getgrgid(gid).gr_name
                self.assertEqual(section["SocketGroup"], group)
                self.assertEqual(int(section["SocketMode"], 8), mode)
                self.assertEqual(section["DirectoryMode"], "0755")
        self.assertEqual(tested, {}, "sockets without a unit")


class Secrets(unittest.TestCase):
    def test_each_password_has_one_reader(self):
        owners = {daemon.section: daemon.user for daemon in site.suite.daemons}
        self.assertEqual(len(set(owners.values())), 3)
        accounts = {*owners.values(), NOBODY, site.postfix.owner[0], dovecot_ids()[0], pwd.getpwnam("mysql").pw_uid}
        for section, owner in owners.items():
            path = site.suite.password_file(section)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o400)
            for uid in accounts:
                with self.subTest(file=section, uid=uid):
                    expected = 0 if uid == owner else errno.EACCES
                    # In every group that there is: a group must not help.
                    groups = [dovecot_ids()[1], site.postfix.owner[1], MAPS_UID, AUTH_UID, MAIL_UID]
                    self.assertEqual(as_user(uid, uid, lambda: os.open(path, os.O_RDONLY), groups), expected)

    def test_they_differ(self):
        self.assertEqual(len({self.password(daemon.section) for daemon in site.suite.daemons}), 3)

    def test_configuration_holds_none(self):
        with open(site.suite.config, encoding="utf-8") as file:
            text = file.read()
        for daemon in site.suite.daemons:
            self.assertNotIn(self.password(daemon.section), text)

    def test_process_list_and_environment_hold_none(self):
        for daemon in site.suite.daemons:
            for name in ("cmdline", "environ"):
                with open(f"/proc/{daemon.process.pid}/{name}", encoding="utf-8", errors="replace") as file:
                    self.assertNotIn(self.password(daemon.section), file.read())

    def test_daemons_run_as_their_users(self):
        for daemon in site.suite.daemons:
            with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            self.assertEqual(status["Uid"].split(), [str(daemon.user)] * 4)
            self.assertEqual(status["Gid"].split(), [str(daemon.user)] * 4)
            self.assertEqual(int(status["CapEff"], 16), 0)

    def test_only_authd_can_read_hashes(self):
        for section in ("maps", "auth", "store"):
            with self.subTest(section):
                self.query(section, "SELECT email FROM virtual_users")
                if section == "auth":
                    self.query(section, "SELECT password FROM virtual_users")
                else:
                    with self.assertRaisesRegex(DatabaseError, "denied"):
                        self.query(section, "SELECT password FROM virtual_users")

    def test_none_of_them_can_write(self):
        for section in ("maps", "auth", "store"):
            for statement in (
                "UPDATE virtual_users SET enable=1",
                "DELETE FROM virtual_aliases",
                "INSERT INTO virtual_domains (name) VALUES ('x.test')",
                "DROP TABLE virtual_aliases",
                "SELECT * FROM mysql.user",
            ):
                with self.subTest(section, statement=statement), self.assertRaisesRegex(DatabaseError, "denied"):
                    self.query(section, statement)

    def password(self, section):
        with open(site.suite.password_file(section), encoding="utf-8") as file:
            return file.read().strip()

    def query(self, section, statement):
        return site.database.query(statement, "mailserver", f"vmailkit-{section}", self.password(section))


if __name__ == "__main__":
    unittest.main()
