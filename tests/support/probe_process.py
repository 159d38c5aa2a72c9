"""A part of the suite in a process of its own, which takes questions as lines and answers in any order."""

import json
import os
import queue
import subprocess
import threading


class ProbeProcess:
    """Asked with "NUMBER WORDS..." on standard input; answers with "NUMBER ANSWER"."""

    def __init__(self, program, folder, settings, user, password):
        """`settings`: {section: {key: value}} of its vmailkit.toml."""
        config = os.path.join(folder, "vmailkit.toml")
        with open(config, "w", encoding="utf-8") as file:
            for section, values in settings.items():
                file.write(f"[{section}]\n")
                file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        self._log = config + ".log"
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [program, config, user, password], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._number = 0
        self._answers = {}
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, question, words=""):
        """Asks; returns what answer() takes."""
        self._number += 1
        self.write(f"{self._number} {question} {words}")
        return self._number

    def answer(self, number):
        """What came of it, for instance "found lisi@mydomain.com"; fails when nothing has after a long time."""
        while str(number) not in self._answers:
            try:
                name, _, answer = self._lines.get(timeout=90).partition(" ")
            except queue.Empty:
                raise AssertionError("no answer:\n" + "".join(self.log())) from None
            self._answers[name] = answer
        return self._answers.pop(str(number)).strip()

    def ask(self, question, words=""):
        return self.answer(self.send(question, words))

    def write(self, line):
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def log(self, word=""):
        with open(self._log, encoding="utf-8") as log:
            return [line for line in log if word in line]

    def close(self):
        """Ends it as a daemon ends; raises when it does not."""
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait(60)
        self._reader.join(60)
        self._process.stdout.close()
        if self._process.returncode != 0:
            raise RuntimeError(f"the probe ended with {self._process.returncode}:\n{''.join(self.log())}")

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.decode().rstrip("\n"))
