"""The units by themselves: their sandbox, and what the tables of the design say about sockets."""

import re
import shutil
import subprocess
import unittest

import roots

UNITS = roots.REPOSITORY / "packaging/systemd"
# Ways in that an administrator switches on.
OPTIONAL = {"vmail-authd-auxprop.socket", "vmail-authd-mux.socket", "vmail-authd-userdb.socket"}


class Units(unittest.TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze (package systemd)")
    def test_exposure_is_at_most_1_5(self):
        for unit in sorted(UNITS.glob("*.service")):
            with self.subTest(unit.name):
                result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", unit],
                                        capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_every_socket_is_asked_for_by_its_service(self):
        for unit in sorted(UNITS.glob("*.socket")):
            with self.subTest(unit.name):
                [service] = re.findall(r"^Service=(.*)$", unit.read_text(), re.MULTILINE)
                [sockets] = re.findall(r"^Sockets=(.*)$", (UNITS / service).read_text(), re.MULTILINE)
                self.assertEqual(unit.name in sockets.split(), unit.name not in OPTIONAL)


if __name__ == "__main__":
    unittest.main()
