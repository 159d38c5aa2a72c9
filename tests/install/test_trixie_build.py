"""Debian 13: its compiler builds the tree, and the unit tests pass with its libraries and Catch2 v3."""

import subprocess
import unittest

import packages
import roots


@unittest.skipIf(roots.why_not(), roots.why_not())
class TrixieBuild(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = packages.trixie()
        cls.build = roots.REPOSITORY / ".build/trixie"
        cls.build.mkdir(parents=True, exist_ok=True)

    def run_in_root(self, name: str, script: str) -> str:
        status, output = roots.run_in(self.folder, script, {"/build": self.build}, {"/source": roots.REPOSITORY})
        log = self.build / f"{name}.log"
        log.write_text(output)
        tail = "\n".join(output.splitlines()[-60:])
        self.assertEqual(status, 0, f"the end of {log}:\n{tail}")
        return output

    def test_1_builds(self):
        # Without optimisation and debug information: it is about what the compiler takes.
        self.run_in_root(
            "build",
            """
            cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG= -DVMAILKIT_WERROR=ON
            ninja -C /build -j2
            """,
        )

    def test_2_unit_tests_pass(self):
        output = self.run_in_root(
            "unit", "ctest --test-dir /build --label-regex unit --output-on-failure --no-tests=error"
        )
        self.assertIn("100% tests passed", output)
        command = ["dpkg-query", f"--root={self.folder}", "-W", "-f", "${Version}", "catch2"]
        version = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.assertTrue(version.startswith("3."), version)


if __name__ == "__main__":
    unittest.main()
