"""Runs benchmarks; tests/run starts it, with VMAILKIT_BUILD set.

Prints a table, and writes <build folder>/bench/NAME.json for each. Ends 0 whatever the figures are, since a benchmark is
not a test; 1 when one could not be run. With --markdown it runs nothing, and prints the tables of the JSON files that
are there, for the README.
"""

import argparse
import os
import pathlib
import signal
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ["VMAILKIT_BUILD"]
sys.path.insert(0, str(ROOT / "packaging"))

# pylint: disable=wrong-import-position
import logins
import logins_dovecot
import maps
import maps_million
import policy
import report
from lab import Lab

_MODULES = (logins, logins_dovecot, maps, maps_million, policy)
BENCHMARKS = {name: run for module in _MODULES for name, run in module.BENCHMARKS.items()}


class Labs:
    """One at a time; the next benchmark has the same when it wants the same."""

    def __init__(self):
        self._lab = None

    def get(self, size):
        if self._lab is None or self._lab.size != size:
            self.close()
            print(f"   (a database with {size.users:,} users, {size.domains:,} domains, {size.aliases:,} aliases)")
            self._lab = Lab(BUILD, size)
            self._lab.start()
        return self._lab

    def close(self):
        if self._lab:
            lab, self._lab = self._lab, None
            lab.stop()


def choose(names):
    """A name stands for itself and for all that it is the beginning of: maps for maps-warm and the others."""
    if not names:
        return list(BENCHMARKS)
    chosen = []
    for name in names:
        some = [one for one in BENCHMARKS if one == name or one.startswith(name + "-")]
        if not some:
            sys.exit(f"there is no benchmark '{name}'; there are: {' '.join(BENCHMARKS)}")
        chosen += [one for one in some if one not in chosen]
    return chosen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    folder = os.path.join(BUILD, "bench")
    if options.markdown:
        print(report.markdown(folder), end="")
        return 0
    chosen = choose(options.names)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us in the background has it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an end in order, with all servers stopped
    about = report.about(ROOT)
    labs = Labs()
    not_run = []
    try:
        for name in chosen:
            print(f"== {name}", flush=True)
            found = report.Report(name)
            report.print_header()
            try:
                BENCHMARKS[name](labs, found)
            except Exception:  # the others are still worth running
                traceback.print_exc()
                not_run.append(name)
                labs.close()
            else:
                print(f"   {found.write(folder, about)}", flush=True)
    finally:
        labs.close()
    if not_run:
        print(f"could not be run: {' '.join(not_run)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
