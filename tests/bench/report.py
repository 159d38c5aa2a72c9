"""What a benchmark found: rows, as a table, as JSON, and as Markdown for the README."""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess

ROUNDS = 5


def interleave(series, rounds=ROUNDS):
    """Calls each of the functions so many times, in turns that begin with another one each time: {name: [result]}."""
    names = list(series)
    results = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(series[name]())
    return results


class Report:
    """The rows of one benchmark."""

    def __init__(self, name):
        self.name = name
        self.rows = []

    def add(self, case, unit, ours, goal=None, peer_name=None, peer=None):
        """`ours` and `peer` are samples, taken in turns. `goal` is about the ratio where there is a peer, else about
        ours: (">=" or "<=", number)."""
        row = {
            "case": case,
            "unit": unit,
            "ours": statistics.median(ours),
            "peer_name": peer_name,
            "peer": None,
            "ratio": None,
            "goal": f"{goal[0]} {goal[1]:g}" if goal else None,
            "spread": {"ours": [min(ours), max(ours)]},
            "samples": {"ours": list(ours)},
        }
        if peer:
            row["peer"] = statistics.median(peer)
            row["ratio"] = row["ours"] / row["peer"] if row["peer"] else None
            row["spread"]["peer"] = [min(peer), max(peer)]
            row["samples"]["peer"] = list(peer)
        self.rows.append(row)
        print(_line(_cells(row)), flush=True)

    def write(self, folder, about):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, self.name + ".json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"benchmark": self.name, **about, "rows": self.rows}, file, indent=1)
            file.write("\n")
        return path


def print_header():
    print(_line(_HEADER))
    print("-" * len(_line(_HEADER)), flush=True)


def met(row):
    """Whether the goal is reached; None without one."""
    if row["goal"] is None:
        return None
    sign, number = row["goal"].split()
    value = row["ours"] if row["peer_name"] is None else row["ratio"]
    # Compared as it is printed.
    value = round(value, 3)
    return value >= float(number) if sign == ">=" else value <= float(number)


def about(root):
    """What the figures were measured on and with."""
    git = ["git", "-C", root]
    commit = _output(*git, "rev-parse", "HEAD")
    if _output(*git, "status", "--porcelain", "--untracked-files=no"):
        commit += " with changes"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return {
        "commit": commit,
        "date": datetime.date.today().isoformat(),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "versions": {
            "system": platform.freedesktop_os_release()["PRETTY_NAME"],
            "MariaDB": _version(_output("mariadbd", "--version"), r"Ver (\d[\d.]*)"),
            "Postfix": _output("postconf", "-dh", "mail_version"),
        },
    }


def markdown(folder):
    """The tables of all the JSON files in the folder, for the README."""
    reports = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                reports.append(json.load(file))
    if not reports:
        return ""
    first = reports[0]
    versions = ", ".join(f"{value}" if name == "system" else f"{name} {value}" for name, value in first["versions"].items())
    text = f"Measured on {first['date']} on {first['cores']} cores of an {first['processor']}, Linux {first['kernel']}, "
    text += f"{versions}, at commit {first['commit'][:10]}, by `tests/run bench`. Medians of {ROUNDS} and their ranges.\n\n"
    text += "| case | vmailkit | beside | ratio | goal |\n|---|---:|---:|---:|---:|\n"
    for report in reports:
        for row in report["rows"]:
            case, ours, peer, ratio, goal = _cells(row)
            text += f"| {case} | {ours} | {peer} | {ratio} | {goal} |\n"
    return text


_HEADER = ("case", "ours (range)", "peer (range)", "ratio", "goal")
_WIDTHS = (62, 40, 46, 7, 14)


def _line(cells):
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS)).rstrip()


def _cells(row):
    ours = f"{_figure(row['ours'])} {row['unit']} ({_range(row['spread']['ours'])})"
    peer = ratio = ""
    if row["peer_name"] is not None:
        peer = f"{row['peer_name']} {_figure(row['peer'])} ({_range(row['spread']['peer'])})"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    good = met(row)
    goal = "" if good is None else row["goal"] + (", met" if good else ", missed")
    return row["case"], ours, peer, ratio, goal


def _range(ends):
    return "-".join(_figure(end) for end in ends)


def _figure(number):
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _version(text, pattern):
    found = re.search(pattern, text)
    return found[1] if found else text


def _output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
