"""One list of packages: whatever installs or declares packages agrees with packaging/packages.list."""

import re
import subprocess
import unittest

from site_tests import ROOT


def groups():
    result = {}
    for line in (ROOT / "packaging/packages.list").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            group, package, *_ = line.split()
            result.setdefault(group, []).append(package)
    return result


class Packages(unittest.TestCase):
    def test_no_package_twice_in_a_group(self):
        for group, packages in groups().items():
            self.assertEqual(sorted(packages), sorted(set(packages)), group)

    def test_build_depends_are_the_group_build(self):
        control = (ROOT / "packaging/debian/control").read_text(encoding="utf-8")
        field = re.search(r"^Build-Depends:((?:.*\n)(?:[ \t].*\n)*)", control, re.MULTILINE).group(1)
        names = {part.split()[0] for part in field.replace("\n", " ").split(",") if part.strip()}
        self.assertEqual(names - {"debhelper-compat"}, set(groups()["build"]))

    def test_scripts_name_groups_that_there_are(self):
        for script in ("packaging/quickstart", "tests/run", "packaging/build-deb", ".ci/run"):
            text = (ROOT / script).read_text(encoding="utf-8")
            for words in re.findall(r"install-packages((?: [a-z]+)+)", text):
                self.assertLessEqual(set(words.split()), set(groups()), script)

    def test_nothing_else_installs_packages(self):
        for script in ("packaging/quickstart", "packaging/build-deb", "tests/run", ".ci/run"):
            text = (ROOT / script).read_text(encoding="utf-8")
            self.assertNotRegex(text, r"(?m)^[^#]*\bapt(-get)? .*install", script)

    def test_installer_refuses_a_group_that_there_is_not(self):
        done = subprocess.run(
            [ROOT / "packaging/install-packages", "nonsense"], capture_output=True, text=True, check=False
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no group 'nonsense'", done.stderr)
        self.assertIn("build", done.stderr)

    def test_installer_has_nothing_to_do_here(self):
        """The tests run, so everything is there: it neither asks the archive nor says anything."""
        done = subprocess.run(
            [ROOT / "packaging/install-packages", "build", "run", "test"], capture_output=True, text=True, check=False
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
