"""The packages on Debian 12, booted with systemd: what an administrator meets from `apt install` to `apt purge`."""

import imaplib
import re
import shlex
import time
import unittest

import packages
import roots

QUEUE = "/var/spool/postfix/vmailkit"
SERVICES = ["vmail-mapd.service", "vmail-authd.service", "vmail-lmtpd.service"]
# Those that wait for Postfix or Dovecot.
SOCKETS = [
    "vmail-mapd.socket",
    "vmail-mapd-policy.socket",
    "vmail-authd.socket",
    "vmail-authd-verify.socket",
    "vmail-lmtpd.socket",
]

# DESIGN, "Processes, threads, sockets": mode, owner and group of each folder and socket, and the users that get in.
# Nobody else may, but root.
FOLDERS = {
    QUEUE: "755 root root",
    "/run/vmailkit": "755 root root",
    "/run/vmailkit/maps": "750 vmailkit vmailkit",
    "/run/vmailkit/auth": "755 vmailkit-auth vmailkit-auth",
    "/run/vmailkit/store": "755 vmail vmail",
    "/var/lib/vmailkit": "755 root root",
    "/var/lib/vmailkit/maps": "700 vmailkit vmailkit",
    "/var/lib/vmailkit/auth": "700 vmailkit-auth vmailkit-auth",
    "/var/lib/vmailkit/store": "700 vmail vmail",
}
PLACES = {
    f"{QUEUE}/maps": ("660 postfix postfix", {"postfix"}),
    f"{QUEUE}/policy": ("660 postfix postfix", {"postfix"}),
    f"{QUEUE}/auth": ("660 postfix postfix", {"postfix"}),
    f"{QUEUE}/lmtp": ("660 postfix postfix", {"postfix"}),
    "/run/vmailkit/auth/verify": ("660 vmailkit-auth dovecot", {"vmailkit-auth", "dovecot"}),
    "/run/vmailkit/maps/control": ("600 vmailkit vmailkit", {"vmailkit"}),
    "/run/vmailkit/auth/control": ("600 vmailkit-auth vmailkit-auth", {"vmailkit-auth"}),
    "/run/vmailkit/store/control": ("600 vmail vmail", {"vmail"}),
    "/run/vmailkit/store/usage": ("660 vmail vmailkit", {"vmail", "vmailkit"}),
}
PASSWORDS = {"maps": "vmailkit", "auth": "vmailkit-auth", "store": "vmail"}
PEOPLE = ["vmailkit", "vmailkit-auth", "vmail", "postfix", "dovecot", "nobody"]

APT = "apt-get -q -y"


def as_user(user: str, command: str) -> str:
    """With the user's own group alone, as Postfix does it."""
    return f"setpriv --reuid={user} --regid=$(id -gn {user}) --clear-groups {command}"


class Booted(unittest.TestCase):
    """A machine for the tests of a class, which are steps: run in the order of their names, up to one that fails."""

    machine: roots.Machine
    failed = ""  # the step that did

    @classmethod
    def setUpClass(cls):
        if why := roots.why_not():
            raise unittest.SkipTest(why)
        cls.machine = packages.bookworm()
        cls.addClassCleanup(cls.machine.stop)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).failed = self.id()
        return result

    def setUp(self):
        if self.failed:
            self.skipTest(f"after {self.failed}")
        self.maxDiff = None
        self.run_in = self.machine.run
        self.output = self.machine.output

    def assert_all_is_well(self):
        self.assertEqual(self.output("systemctl --failed --no-legend --plain"), "")
        for unit in SERVICES:
            self.assertEqual(self.output(f"systemctl is-active {unit} || true"), "active", unit)

    def journal(self, unit: str) -> str:
        return self.output(f"journalctl --no-pager -o cat -u {unit}")

    def wait_for(self, script: str, seconds: int = 60) -> str:
        """Until the script succeeds; its output."""
        end = time.monotonic() + seconds
        while True:
            result = self.run_in(script, check=False)
            if result.returncode == 0:
                return result.stdout.strip()
            if time.monotonic() > end:
                self.fail(f"{script}\nstill ends with {result.returncode}:\n{result.stdout}")
            time.sleep(0.2)

    def lookup(self, table: str, key: str):
        """What Postfix would be told: exit status and output of postmap -q."""
        result = self.run_in(f"postmap -q {shlex.quote(key)} socketmap:unix:{QUEUE}/maps:{table}", check=False)
        return result.returncode, result.stdout.strip()

    def lmtp(self, *lines: str) -> str:
        """The replies to these commands."""
        text = "".join(line + "\r\n" for line in lines)
        return self.output(f"socat -t 10 - UNIX-CONNECT:{QUEUE}/lmtp", input=text)

    def inode(self, path: str) -> str:
        return self.output(f"stat -c %i {path}")

    def pid(self, unit: str) -> str:
        return self.output(f"systemctl show --value -p MainPID {unit}")


class OneInstallation(Booted):
    """Postfix, Dovecot, MariaDB and vmailkit by one `apt install`, in whatever order apt takes them."""

    def test_01_installs_and_starts(self):
        self.run_in(f"{APT} install /packages/*.deb {' '.join(packages.SERVERS)}")
        self.assert_all_is_well()
        self.assertEqual(self.output("systemd-analyze verify --man=no /lib/systemd/system/vmail-*.service 2>&1"), "")
        self.assertEqual(self.output("postfix check 2>&1"), "")

    def test_02_sockets_have_owner_and_mode(self):
        for path, expected in FOLDERS.items():
            self.assertEqual(self.output(f"stat -c '%a %U %G' {path}"), expected, path)
        for path, (expected, _) in PLACES.items():
            self.assertEqual(self.output(f"stat -c '%a %U %G %F' {path}"), f"{expected} socket", path)
        found = self.output(f"find {QUEUE} /run/vmailkit -not -type d").split()
        self.assertEqual(sorted(found), sorted(PLACES))

    def test_03_sockets_let_in_whom_they_should(self):
        for path, (_, welcome) in PLACES.items():
            for user in PEOPLE:
                with self.subTest(path=path, user=user):
                    result = self.run_in(as_user(user, f"socat -u OPEN:/dev/null UNIX-CONNECT:{path}"), check=False)
                    if user in welcome:
                        self.assertEqual(result.returncode, 0, result.stdout)
                    else:
                        self.assertIn("Permission denied", result.stdout)

    def test_04_a_password_file_is_for_one_daemon_alone(self):
        for name, owner in PASSWORDS.items():
            path = f"/etc/vmailkit/{name}.password"
            self.assertEqual(self.output(f"stat -c '%a %U' {path}"), f"400 {owner}")
            for user in PEOPLE:
                with self.subTest(path=path, user=user):
                    result = self.run_in(as_user(user, f"cat {path}"), check=False)
                    if user == owner:
                        self.assertEqual(result.returncode, 0, result.stdout)
                    else:
                        self.assertIn("Permission denied", result.stdout)
        secrets = self.output("cat /etc/vmailkit/*.password").split()
        self.assertEqual(len(set(secrets)), 3)
        self.assertEqual(min(map(len, secrets)), 32)

    def test_05_the_sample_configuration_changes_nothing(self):
        sample = self.output("vmail-mapd --print-config")
        defaults = self.output("vmail-mapd --config /dev/null --print-config")
        self.assertEqual(sample, defaults)
        for program in ["vmail-mapd", "vmail-authd", "vmail-lmtpd"]:
            self.run_in(f"{program} --check-config")
        text = self.output("cat /etc/vmailkit/vmailkit.toml")
        for line in sample.splitlines():
            setting = line and not line.startswith(("#", "["))
            self.assertIn(f"\n{'#' if setting else ''}{line}\n", f"\n{text}\n")

    def test_06_answers_before_there_is_a_database(self):
        status, answer = self.lookup("mailboxes", "anna@example.org")
        self.assertEqual(status, 1)
        self.assertIn("temporary error", answer)
        replies = self.lmtp("LHLO client", "MAIL FROM:<a@example.net>", "RCPT TO:<anna@example.org>", "QUIT")
        self.assertRegex(replies, r"(?m)^451 4\.3\.0 ")
        for unit in SERVICES:
            self.assertIn("vmailctl schema", self.journal(unit), unit)
        self.assert_all_is_well()

    def test_07_works_by_itself_after_schema_init(self):
        before = [self.pid(unit) for unit in SERVICES]
        self.run_in("vmailctl schema init")
        self.run_in("vmailctl schema verify")
        self.run_in("vmailctl domain add example.org")
        for name in ["anna", "ben"]:
            self.run_in(f"vmailctl user add {name}@example.org", input=f"password of {name}\n")
        self.run_in("vmailctl alias add team@example.org anna@example.org ben@example.org")
        self.wait_for(f"postmap -q anna@example.org socketmap:unix:{QUEUE}/maps:mailboxes")
        self.assertEqual([self.pid(unit) for unit in SERVICES], before)
        self.assertEqual(self.lookup("domains", "example.org")[0], 0)
        self.assertEqual(self.lookup("aliases", "team@example.org"), (0, "anna@example.org,ben@example.org"))
        self.assertEqual(self.lookup("mailboxes", "carol@example.org"), (1, ""))
        self.assertEqual(self.lookup("domains", "example.net"), (1, ""))

    def test_08_vmailctl_is_heard_by_the_daemons(self):
        # The answer before is in the cache; only who is told forgets it. Root is known as root, also by a daemon that
        # lives in a user namespace of its own (PrivateUsers=).
        self.assertEqual(self.lookup("mailboxes", "carol@example.org"), (1, ""))
        self.run_in("vmailctl user add carol@example.org", input="password of carol\n")
        self.assertEqual(self.lookup("mailboxes", "carol@example.org")[0], 0)

    def test_09_wires_into_postfix_and_dovecot(self):
        self.run_in(
            """
            grep -v '^#' /usr/share/vmailkit/postfix/main.cf | grep . | while read -r line; do postconf -e "$line"; done
            cp /usr/share/vmailkit/dovecot/auth-checkpassword.conf.ext /etc/dovecot/conf.d/
            sed -i -e 's/^!include auth-system/#&/' -e 's/^#\\(!include auth-checkpassword\\)/\\1/' \\
              /etc/dovecot/conf.d/10-auth.conf
            sed -i 's!^mail_location = .*!mail_location = maildir:~/!' /etc/dovecot/conf.d/10-mail.conf
            postfix check
            systemctl restart postfix dovecot
            """
        )
        self.assertIn("auth succeeded", self.output("doveadm auth test anna@example.org 'password of anna' 2>&1"))
        wrong = self.run_in("doveadm auth test anna@example.org wrong 2>&1", check=False)
        self.assertEqual(wrong.returncode, 77, wrong.stdout)
        self.assertIn("/var/mail/vhosts/example.org/anna", self.output("doveadm user anna@example.org"))

    def imap(self, user: str, password: str) -> imaplib.IMAP4:
        inside = f"nsenter --target={self.machine.init} --all socat - TCP:127.0.0.1:143"
        connection = imaplib.IMAP4_stream(inside)
        self.addCleanup(connection.shutdown)
        connection.login(user, password)
        return connection

    def send(self, recipient: str, subject: str, *options: str) -> str:
        return self.output(
            f"swaks --server 127.0.0.1 --from outside@example.net --to {recipient} --header 'Subject: {subject}' "
            + " ".join(options)
        )

    def subjects(self, user: str, count: int) -> list[str]:
        """The subjects in the user's INBOX, once it holds that many messages."""
        connection = self.imap(f"{user}@example.org", f"password of {user}")
        end = time.monotonic() + 60
        while True:
            _, [number] = connection.select("INBOX")
            if int(number) >= count or time.monotonic() > end:
                break
            time.sleep(0.2)
        _, parts = connection.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])") if int(number) else ("", [])
        return [part[1].decode().strip() for part in parts if isinstance(part, tuple)]

    def test_10_mail_goes_in_and_comes_out(self):
        self.send("team@example.org", "to both")
        self.send("anna+list@example.org", "extension")
        self.assertEqual(sorted(self.subjects("anna", 2)), ["Subject: extension", "Subject: to both"])
        self.assertEqual(self.subjects("ben", 1), ["Subject: to both"])
        unknown = self.run_in("swaks --server 127.0.0.1 --from a@example.net --to dora@example.org", check=False)
        self.assertRegex(unknown.stdout, r"<\*\* +550 5\.1\.1 ")
        self.assertEqual(self.output("stat -c '%a %U %G' /var/mail/vhosts/example.org/anna"), "700 vmail vmail")

    def test_11_a_login_at_postfix(self):
        login = ["--tls", "--auth PLAIN", "--auth-user anna@example.org"]
        good = self.send("ben@example.org", "after a login", *login, "--auth-password 'password of anna'")
        self.assertRegex(good, r"<~ +235 2\.7\.0 ")
        wrong = self.run_in("swaks --server 127.0.0.1 --to ben@example.org --auth-password wrong " + " ".join(login),
                            check=False)
        self.assertRegex(wrong.stdout, r"<~\* +535 5\.7\.8 ")

    def test_12_reload(self):
        before = [self.pid(unit) for unit in SERVICES]
        self.run_in("cp /etc/vmailkit/vmailkit.toml /tmp/good")
        self.run_in("sed -i 's/^#level = .*/level = \"debug\"/' /etc/vmailkit/vmailkit.toml")
        self.run_in(f"systemctl reload {' '.join(SERVICES)}")
        for unit in SERVICES:
            self.wait_for(f"journalctl -o cat -u {unit} | grep 'configuration read again'")
        self.run_in("sed -i 's/^level = .*/level = \"loud\"/' /etc/vmailkit/vmailkit.toml")
        for unit in SERVICES:
            self.assertNotEqual(self.run_in(f"systemctl reload {unit}", check=False).returncode, 0)
            self.assertIn("log.level", self.journal(unit))
        self.run_in("cp /tmp/good /etc/vmailkit/vmailkit.toml")
        self.run_in(f"systemctl reload {' '.join(SERVICES)}")
        self.assertEqual([self.pid(unit) for unit in SERVICES], before)
        self.assert_all_is_well()

    def endless_lookups(self):
        """Asks for as long as /tmp/asking exists; the answers that were not right are its output."""
        self.run_in("touch /tmp/asking")
        # A connection may be closed before its first request is written. Postfix's daemons then ask again on a new one;
        # postmap does too, but for the signal that they ignore.
        return self.machine.popen(
            f"""
            trap '' PIPE
            while [ -e /tmp/asking ]; do
              answer=$(postmap -q team@example.org socketmap:unix:{QUEUE}/maps:aliases 2>&1) || true
              [ "$answer" = anna@example.org,ben@example.org ] || echo "$answer"
              echo asked >>/tmp/asked
            done
            """,
            stdout=-1,
        )

    def end_lookups(self, asking):
        self.run_in("rm /tmp/asking")
        wrong = asking.communicate()[0]
        self.assertEqual(wrong, "")
        self.assertGreater(int(self.output("wc -l </tmp/asked")), 0)

    def test_13_a_restart_loses_no_lookup(self):
        asking = self.endless_lookups()
        sockets = {path: self.inode(path) for path in PLACES if not path.endswith("control")}
        for _ in range(3):
            for unit in SERVICES:
                before = self.pid(unit)
                self.run_in(f"systemctl restart {unit}")
                self.assertNotEqual(self.pid(unit), before)
        self.assertEqual({path: self.inode(path) for path in sockets}, sockets)
        self.end_lookups(asking)
        self.assert_all_is_well()

    def test_14_an_upgrade_loses_no_lookup(self):
        asking = self.endless_lookups()
        sockets = {path: self.inode(path) for path in PLACES if not path.endswith("control")}
        before = [self.pid(unit) for unit in SERVICES]
        secrets = self.output("cat /etc/vmailkit/*.password")
        self.run_in(f"{APT} --reinstall install /packages/*.deb")
        for unit, old in zip(SERVICES, before):
            self.assertNotEqual(self.pid(unit), old, unit)
        self.assertEqual({path: self.inode(path) for path in sockets}, sockets)
        self.end_lookups(asking)
        self.assertEqual(self.output("cat /etc/vmailkit/*.password"), secrets)
        self.assert_all_is_well()

    def test_15_heals_by_itself(self):
        # Without its password file a daemon does not start, and is not given up either: not after many tries, and not
        # with clients at its socket.
        self.run_in("mv /etc/vmailkit/maps.password /tmp/")
        self.assertNotEqual(self.run_in("systemctl restart vmail-mapd", check=False).returncode, 0)
        client = self.machine.popen(f"postmap -q anna@example.org socketmap:unix:{QUEUE}/maps:mailboxes", stdout=-1)
        self.wait_for("[ $(systemctl show --value -p NRestarts vmail-mapd) -ge 2 ]")
        self.assertIn("/etc/vmailkit/maps.password: cannot be read", self.journal("vmail-mapd"))
        self.assertEqual(self.output("systemctl is-active vmail-mapd.socket"), "active")
        self.run_in("mv /tmp/maps.password /etc/vmailkit/")
        self.wait_for("systemctl is-active vmail-mapd")
        self.assertEqual(client.communicate()[0].strip(), "1")
        self.assert_all_is_well()

    def test_16_mail_waits_while_its_folder_is_missing(self):
        self.run_in("mv /var/mail/vhosts /var/mail/elsewhere")
        replies = self.lmtp("LHLO client", "MAIL FROM:<a@example.net>", "RCPT TO:<anna@example.org>", "DATA",
                            "Subject: x", "", "x", ".", "QUIT")
        self.assertRegex(replies, r"(?m)^451 ")
        self.assertEqual(self.run_in("test -e /var/mail/vhosts", check=False).returncode, 1)
        self.run_in("mv /var/mail/elsewhere /var/mail/vhosts")
        replies = self.lmtp("LHLO client", "MAIL FROM:<a@example.net>", "RCPT TO:<anna@example.org>", "DATA",
                            "Subject: x", "", "x", ".", "QUIT")
        self.assertRegex(replies, r"(?m)^250 2\.1\.5 ")

    def test_17_remove_keeps_what_is_the_sites(self):
        secrets = self.output("cat /etc/vmailkit/*.password")
        mail = self.output("find /var/mail/vhosts -type f | sort")
        self.assertTrue(mail)
        self.run_in(f"{APT} remove {' '.join(packages.PACKAGES)}")
        self.assertEqual(self.output("systemctl --failed --no-legend --plain"), "")
        self.assertEqual(self.output("systemctl list-units --no-legend --plain 'vmail-*'"), "")
        self.assertEqual(self.output("pgrep -a vmail- || true"), "")
        self.assertEqual(self.run_in(f"test -e {QUEUE}", check=False).returncode, 1)
        self.assertEqual(self.output("cat /etc/vmailkit/*.password"), secrets)
        self.run_in("test -e /etc/vmailkit/vmailkit.toml")
        self.assertEqual(self.output("find /var/mail/vhosts -type f | sort"), mail)
        # And back again: all of it works as before.
        self.run_in(f"{APT} install /packages/*.deb")
        self.assert_all_is_well()
        self.assertEqual(self.wait_for(f"postmap -q anna@example.org socketmap:unix:{QUEUE}/maps:mailboxes"), "1")

    def test_18_purge_leaves_mail_and_users(self):
        mail = self.output("find /var/mail/vhosts -type f | sort")
        self.run_in(f"{APT} purge {' '.join(packages.PACKAGES)}")
        self.assertEqual(self.output("systemctl --failed --no-legend --plain"), "")
        left = self.output("find / -xdev -name '*vmail*'").split()
        self.assertEqual([path for path in left if not re.match(r"/(run|var/log|var/mail|var/lib/mysql)/", path)], [])
        self.assertEqual(self.output("find /var/mail/vhosts -type f | sort"), mail)
        users = self.output("getent passwd vmail vmailkit vmailkit-auth | cut -d: -f1").split()
        self.assertEqual(users, ["vmail", "vmailkit", "vmailkit-auth"])


class ServersComeLater(Booted):
    """vmailkit on a host that has neither Postfix nor Dovecot nor a database, and gets them afterwards."""

    def test_1_installs_without_them(self):
        self.run_in(f"{APT} --no-install-recommends install /packages/*.deb")
        self.assert_all_is_well()
        for unit in SOCKETS:
            self.assertEqual(self.output(f"systemctl is-active {unit} || true"), "inactive", unit)
        # Each daemon serves its own folder then, its own user and root.
        found = self.output("find /run/vmailkit -type s -printf '%m %u %p\\n' | sort -k 3").splitlines()
        self.assertEqual(found, [
            "660 vmailkit-auth /run/vmailkit/auth/auth",
            "600 vmailkit-auth /run/vmailkit/auth/control",
            "660 vmailkit-auth /run/vmailkit/auth/verify",
            "600 vmailkit /run/vmailkit/maps/control",
            "660 vmailkit /run/vmailkit/maps/maps",
            "660 vmailkit /run/vmailkit/maps/policy",
            "600 vmail /run/vmailkit/store/control",
            "660 vmail /run/vmailkit/store/lmtp",
            "660 vmail /run/vmailkit/store/usage",
        ])
        self.assertEqual(self.output("getent passwd vmail").split(":")[2:4], ["5000", "5000"])
        self.assertEqual(self.output("stat -c '%a %U %G' /var/mail/vhosts"), "750 vmail vmail")
        self.assertEqual(self.run_in("test -e /var/spool/postfix", check=False).returncode, 1)

    def test_2_their_sockets_come_with_them(self):
        self.run_in(f"{APT} install {' '.join(packages.SERVERS)}")
        self.assert_all_is_well()
        for path, (expected, _) in PLACES.items():
            self.assertEqual(self.output(f"stat -c '%a %U %G' {path}"), expected, path)
        self.run_in("vmailctl schema init && vmailctl domain add example.org")
        self.wait_for(f"postmap -q example.org socketmap:unix:{QUEUE}/maps:domains")


class OtherSites(Booted):
    """A host where the names are taken, and one component alone."""

    def test_a_vmail_of_the_sites_stays_as_it_is(self):
        self.run_in("groupadd -g 6000 vmail && useradd -u 6000 -g 6000 -d /srv/mail -M vmail && groupadd -g 5000 other")
        self.run_in("install -d -m 00770 -o vmail -g vmail /var/mail/vhosts")
        wanted = "/packages/vmailkit-common_* /packages/vmailkit-dovecot-lmtp-store_*"
        self.run_in(f"{APT} --no-install-recommends install {wanted}")
        self.assertEqual(self.output("getent passwd vmail").split(":")[2:6:3], ["6000", "/srv/mail"])
        self.assertEqual(self.output("stat -c '%a %U %G' /var/mail/vhosts"), "770 vmail vmail")
        self.assertEqual(self.output("systemctl is-active vmail-lmtpd"), "active")
        self.assertEqual(self.output("systemctl --failed --no-legend --plain"), "")
        self.assertEqual(self.output("ls /etc/vmailkit"), "store.password\nvmailkit.toml")


if __name__ == "__main__":
    unittest.main()
