"""Runs tiers that are built, and counts their test cases; tests/run starts it, with VMAILKIT_BUILD set."""

import argparse
import concurrent.futures
import faulthandler
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["VMAILKIT_BUILD"])
# A test that takes longer hangs; what it does then is printed. (One builds everything anew in a root of Debian 13.)
HANGS_AFTER_SECONDS = 1800


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def run_unit():
    """The programs that ctest knows; each prints how many test cases it ran."""
    report = BUILD / "unit.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        ["ctest", "--test-dir", BUILD, "-L", "unit", "-j", str(os.cpu_count()), "--output-on-failure"]
        + ["--no-tests=error", "--output-junit", report]
        + ["--test-output-size-passed", "1000000", "--test-output-size-failed", "1000000"],
        check=False,
    )
    counts = Counts()
    for program in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        output = program.findtext("system-out") or ""
        ran = re.findall(r"^test cases run: (\d+)$", output, re.MULTILINE)
        if program.get("status") == "run":
            counts.passed += int(ran[-1]) if ran else 0
            continue
        # Without a summary it ended in the middle of a test case, or never began.
        failed = max(1, sum(map(int, re.findall(r"^test cases: .*?(\d+) failed", output, re.MULTILINE))))
        counts.failed += failed
        counts.passed += max(0, int(ran[-1]) - failed) if ran else 0
    if counts.passed + counts.failed == 0:
        print("no unit test was run")
        counts.failed = 1
    return counts


class Result(unittest.TextTestResult):
    """Counts each test case once, however many of its subtests fail; a failed setUpClass counts too."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.counts = Counts()
        self._failed = set()

    def startTest(self, test):
        faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True)
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.counts.passed += 1

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.counts.skipped += 1

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.counts.passed += 1

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._count_failure(test)

    def addError(self, test, error):
        super().addError(test, error)
        self._count_failure(test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._count_failure(test)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._count_failure(test)

    def _count_failure(self, test):
        if test.id() not in self._failed:
            self._failed.add(test.id())
            self.counts.failed += 1


def run_module(file):
    """The tests of one file, in this process; its last line is the counts."""
    sys.path[:0] = [str(ROOT / "packaging"), str(ROOT / "tests" / "support"), str(file.parent)]
    suite = unittest.TestLoader().loadTestsFromName(file.stem)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    faulthandler.cancel_dump_traceback_later()
    print(result.counts, flush=True)
    return 0


def run_python(tier):
    """Each file in a process of its own, as many at a time as there are processors: most of them wait for servers."""
    total = Counts()
    files = sorted((ROOT / "tests" / tier).glob("test_*.py"))
    if not files:
        print(f"tests/{tier} holds no test")
        total.failed += 1
    children = set()

    def run(file):
        command = [sys.executable, __file__, "--module", file]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as child:
            children.add(child)
            return child.communicate()[0]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {pool.submit(run, file): file for file in files}
        try:
            for done in concurrent.futures.as_completed(runs):
                output = done.result().rstrip()
                print(f"-- {runs[done].relative_to(ROOT)}\n{output}", flush=True)
                counts = re.fullmatch(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", output.rpartition("\n")[2])
                # Without counts it ended in the middle of a test.
                total += Counts(*(int(count or 0) for count in counts.groups())) if counts else Counts(failed=1)
        except BaseException:
            for child in children:
                child.terminate()  # an end in order, with all servers stopped
            pool.shutdown(cancel_futures=True)
            raise
    return total


def run_lint():
    sources = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*"))
        if path.suffix in (".cc", ".h") and not path.relative_to(ROOT).parts[0].startswith(".")
    ]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources], cwd=ROOT, check=False)
    print(f"clang-format looked at {len(sources)} files")
    return Counts(passed=1) if done.returncode == 0 else Counts(failed=1)


def run_fuzz(seconds):
    """Each target for that long, from its seeds; what it finds that crashes stays in the build folder."""
    counts = Counts()
    for source in sorted((ROOT / "tests/fuzz").glob("*_fuzz.cc")):
        name = source.name.removesuffix("_fuzz.cc")
        corpus = ROOT / ".build/fuzz/corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        target = ROOT / ".build/fuzz/tests/fuzz" / f"fuzz_{name}"
        command = [target, f"-max_total_time={seconds}", "-print_final_stats=1"]
        dictionary = ROOT / "tests/fuzz" / f"{name}.dict"
        if dictionary.exists():
            command.append(f"-dict={dictionary}")
        print(f"-- {name}", flush=True)
        done = subprocess.run(
            [*command, corpus, ROOT / "tests/fuzz/seeds" / name],
            cwd=corpus.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        lines = done.stdout.splitlines()
        if done.returncode == 0:
            print("\n".join(line for line in lines if line.startswith(("stat::number", "Done", "reached "))))
            counts.passed += 1
        else:
            print("\n".join(lines[-60:]))
            counts.failed += 1
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fuzz-seconds", type=int)
    parser.add_argument("--module", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("tiers", nargs="*")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us in the background has it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an end in order, with all servers stopped
    if options.module:
        return run_module(options.module)
    total = Counts()
    for tier in options.tiers:
        print(f"== {tier}", flush=True)
        start = time.monotonic()
        if tier == "unit":
            counts = run_unit()
        elif tier == "lint":
            counts = run_lint()
        elif tier == "fuzz":
            counts = run_fuzz(options.fuzz_seconds)
        else:
            counts = run_python(tier)
        print(f"{tier}: {counts} in {time.monotonic() - start:.0f} s", flush=True)
        total += counts
    print(total, flush=True)
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
