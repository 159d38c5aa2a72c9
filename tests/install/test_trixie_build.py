"""Debian 13: its compiler builds the tree, and the unit tests pass with its libraries and Catch2 v3."""

import subprocess
import unittest

import roots


@unittest.skipIf(roots.why_not(), roots.why_not())
class TrixieBuild(unittest.TestCase):
    def test_builds_and_passes_its_unit_tests(self):
        folder = roots.root("trixie", roots.packages_of("build", "test"))
        build = roots.REPOSITORY / ".build/trixie"
        build.mkdir(parents=True, exist_ok=True)
        # As the user of a build host would: no network, and the source cannot be written to. A daemon does not run as
        # root, and neither do its tests.
        status, output = roots.run_in(
            folder,
            """
            g++ --version | head -1
            cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DVMAILKIT_WERROR=ON
            ninja -C /build -j2
            ctest --test-dir /build --label-regex unit --output-on-failure --no-tests=error
            """,
            binds={"/build": build},
            read_only={"/source": roots.REPOSITORY},
        )
        log = build / "test.log"
        log.write_text(output)
        tail = "\n".join(output.splitlines()[-60:])
        self.assertEqual(status, 0, f"the end of {log}:\n{tail}")
        self.assertIn("100% tests passed", output)
        version = subprocess.run(["dpkg-query", f"--root={folder}", "-W", "-f", "${Version}", "catch2"],
                                 check=True, capture_output=True, text=True).stdout
        self.assertTrue(version.startswith("3."), version)


if __name__ == "__main__":
    unittest.main()
