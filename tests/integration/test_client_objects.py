"""What is loaded into or run by other people's programs: it needs libc alone, brings nothing of the C++ library, and
shows one name."""

import os
import re
import subprocess
import unittest

from site_tests import BUILD

# The file, the one name that it exports, and the names that the program which loads it brings.
MODULES = {
    "dovecot-auth/vmailkit_auth.so": ("luaopen_vmailkit_auth", r"lua_|luaL_"),
    "dovecot-auth/libvmailkit.so": ("sasl_auxprop_plug_init", r"$^"),
}
PROGRAM = "dovecot-auth/checkpassword"


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def path(name):
    return os.path.join(BUILD, name)


def needed(name):
    return re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", output("readelf", "--dynamic", path(name)))


def symbols(name, kind):
    """Names of nm, without their versions; weak ones are what the compiler's own start-up asks for."""
    lines = output("nm", "--dynamic", kind, path(name)).splitlines()
    fields = [line.split()[-2:] for line in lines]
    return [symbol.split("@")[0] for letter, symbol in fields if letter not in "wv"]


def has_sanitizer():
    return any(name.startswith(("libasan", "libubsan", "libtsan")) for name in needed(PROGRAM))


@unittest.skipIf(has_sanitizer(), "built with a sanitizer, which brings its own libraries")
class Libraries(unittest.TestCase):
    def test_libc_alone_is_needed(self):
        for name in (*MODULES, PROGRAM):
            with self.subTest(name):
                self.assertEqual(needed(name), ["libc.so.6"])


class Modules(unittest.TestCase):
    def test_export_one_name(self):
        for name, (entry, _) in MODULES.items():
            with self.subTest(name):
                self.assertEqual(symbols(name, "--defined-only"), [entry])

    def test_bring_nothing_of_the_c_plus_plus_library(self):
        for name, (_, loaders) in MODULES.items():
            with self.subTest(name):
                names = symbols(name, "--undefined-only")
                self.assertTrue(names)
                for symbol in names:
                    self.assertNotRegex(symbol, r"^_Z|^__cxa_(?!finalize)|^__gxx", name)
                loaded = [symbol for symbol in names if re.match(loaders, symbol)]
                self.assertEqual(bool(loaded), loaders != r"$^")

    def test_have_no_initialisers(self):
        """Beside the compiler's own frame_dummy."""
        for name in MODULES:
            with self.subTest(name):
                sections = output("readelf", "--sections", "--wide", path(name))
                [size] = re.findall(r"\.init_array\s+INIT_ARRAY\s+\S+\s+\S+\s+(\S+)", sections)
                self.assertEqual(int(size, 16), 8)

    def test_start_no_thread_and_touch_no_signal(self):
        forbidden = r"^(pthread_create|signal|sigaction|raise|fork|exit|_exit|abort|malloc|free)$"
        for name in MODULES:
            with self.subTest(name):
                self.assertEqual([s for s in symbols(name, "--undefined-only") if re.match(forbidden, s)], [])


if __name__ == "__main__":
    unittest.main()
