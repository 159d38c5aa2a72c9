"""What the README says is so: its commands are run as they stand, its configuration is what the tests run with.

Commands are the lines after "$ " of the blocks marked ```console. They see the private site at the places of an
installed one: in a mount namespace its folders stand at /etc/vmailkit, /etc/dovecot and /var/spool/postfix.
Blocks marked ```sh are scripts of this checkout, which run these tests or take minutes: only that they are there is
looked at.
"""

import os
import re
import shutil
import subprocess
import unittest

from private_server import Site
from site_tests import BUILD, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

# Run in the namespace as `sh -c ... sh SITE COMMAND`. A copy of /etc, since no mount point may be made in the real one.
_IN_NAMESPACE = """\
set -e
mount --bind "$1/etc" /etc
mount --bind "$1/vmailkit/etc" /etc/vmailkit
mount --bind "$1/dovecot" /etc/dovecot
mount --bind "$1/postfix/config" /etc/postfix
mount --bind "$1/postfix/queue" /var/spool/postfix
PATH="$1/vmailkit/bin:$PATH"
eval "$2"
"""


def blocks(language):
    """The fenced blocks of that language, each as its text."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def directives(text):
    """The lines of a configuration file without comments and empty lines."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


class Commands(unittest.TestCase):
    def test_run_as_they_stand(self):
        commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
        self.assertGreater(len(commands), 8)
        site = Site(BUILD)
        self.addCleanup(site.stop)
        site.database.start()
        site.folder.make("etc")
        shutil.copytree("/etc", os.path.join(site.folder.path, "etc"), symlinks=True, dirs_exist_ok=True)
        for name in ("vmailkit", "dovecot", "postfix"):
            site.folder.make("etc/" + name)
        if self.run_in_namespace(site, "true").returncode != 0:
            self.skipTest("this system does not let us make a mount namespace")
        outputs = {}
        for command in commands:
            with self.subTest(command):
                done = self.run_in_namespace(site, command)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                outputs[command] = done.stdout
            if command == "vmailctl schema init":
                # What the packages do from here on: the daemons' users, units and sockets.
                site.suite.hand_over_passwords()
                site.suite.start()
                site.postfix.start()
                site.dovecot.start()
        asked = [output for command, output in outputs.items() if command.startswith("postmap")]
        self.assertEqual(asked[:2], ["1\n", "1\n"])
        self.assertEqual(asked[2].strip(), "anna@example.org,ben@example.org")

    def run_in_namespace(self, site, command):
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private"]
            + ["sh", "-c", _IN_NAMESPACE, "sh", site.folder.path, command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def test_scripts_are_there(self):
        named = [line.split()[1] for block in blocks("sh") for line in block.splitlines() if line.startswith("sudo ")]
        self.assertIn("packaging/quickstart", named)
        self.assertIn("tests/run", named)
        for script in named:
            if "/" in script:
                self.assertTrue(os.access(ROOT / script, os.X_OK), script)


class Wiring(unittest.TestCase):
    """The snippets of the README are the files that the private site includes."""

    def test_main_cf(self):
        for name in ("main.cf", "policy.cf"):
            snippet = (ROOT / "packaging/postfix" / name).read_text(encoding="utf-8")
            self.assertIn(directives(snippet), [directives(block) for block in blocks("")])

    def test_dovecot(self):
        snippets = sorted((ROOT / "packaging/dovecot").glob("*.conf.ext"))
        self.assertEqual(len(snippets), 3)
        for snippet in snippets:
            with self.subTest(snippet.name):
                text = snippet.read_text(encoding="utf-8")
                self.assertIn(directives(text), [directives(block) for block in blocks("")])


if __name__ == "__main__":
    unittest.main()
