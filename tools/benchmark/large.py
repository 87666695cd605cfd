#!/usr/bin/env python3
"""How time and memory grow with the number of utterances: whole commands, a process for each.

    tools/benchmark/large.py --work exp/large --utterances 10000 100000 1000000

prints a table, and writes exp/large/large.json (docs/scaling.md).
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from commands import MEASURED
from large_data import make_large
from machine import describe
from turns import BUILD, environment

LEAST = 200
"""Utterances of the run that stands for no utterance at all: its time is that of starting up."""
PARTS = 4
QUICK = 10.0
"""Seconds of processors; shorter runs are made several times, and the least counts."""

Usage = dict[str, float]


def commands(folder: Path, lines: int) -> dict[str, list[Any]]:
    """Command lines of all cases, in the order in which they can run.

    Args:
        folder: what `make_large` made.
        lines: number of its utterances.
    """
    speechllm = [sys.executable, "-m", "speechllm"]
    data, exp = folder / "data" / "farm_test", folder / "exp"
    scored = ["score", "--force", "--exp", exp, "--data_root", data.parent, "--normalizer", "plain"]
    report = ["report", "--exp", exp, "--out", folder / "RESULTS.md"]
    html = ["--html", folder / "report", "--data", data.parent, "--audio", "none"]
    return {
        "check": [*speechllm, "data", "check", "--force", data],
        "plan": [sys.executable, Path(__file__).with_name("large_plan.py"), data, folder / "dump"],
        "subset": [*speechllm, "data", "subset", str(lines // 2), data, folder / "half"],
        "split": [*speechllm, "data", "split", data, str(PARTS)],
        "import": [*speechllm, "data", "import", "nemo", folder / "manifest.jsonl", folder / "new"],
        "score": [*speechllm, *scored],
        "report": [*speechllm, *report],
        "pages": [*speechllm, *report, *html],
    }


CASES = tuple(commands(Path(), 0))


def measure(command: list[Any], work: Path, threads: int) -> Usage:
    """Run a command; returns seconds of processors and of the clock, and peak memory in MB.

    Raises:
        SystemExit: it has failed.
    """
    done = subprocess.run(
        [sys.executable, MEASURED, *map(str, command)],
        stdout=subprocess.PIPE,
        cwd=work,
        env=environment(BUILD, threads),
    )
    if done.returncode:
        raise SystemExit(f"has failed: {' '.join(map(str, command))}")
    names = ("cpu", "peak", "wall")
    return dict(zip(names, map(float, done.stdout.split()), strict=True))


def least(command: list[Any], work: Path, threads: int, times: int) -> Usage:
    """Measure a command, a quick one several times; returns the run of least processor time."""
    runs = [measure(command, work, threads)]
    if runs[0]["cpu"] < QUICK:
        runs += [measure(command, work, threads) for _ in range(times - 1)]
    return min(runs, key=lambda run: run["cpu"])


def exponent(seconds: Mapping[int, float], start: float) -> float | None:
    """Slope of log seconds over log utterances by least squares, start-up taken off.

    Args:
        seconds: by number of utterances.
        start: seconds of starting up.

    Returns:
        None for fewer than two sizes, or where starting up is all that was seen.

    >>> round(exponent({10: 3.0, 100: 21.0}, 1.0), 6)
    1.0
    """
    own = {n: took - start for n, took in seconds.items()}
    if len(own) < 2 or min(own.values()) <= 0:
        return None
    return statistics.linear_regression(
        [math.log(n) for n in own], [math.log(took) for took in own.values()]
    ).slope


def rows(found: Mapping[str, Mapping[int, Usage]], sizes: list[int]) -> list[str]:
    """Lines of the table, as Markdown."""
    heads = [f"{n:,}" for n in sizes]
    header = [
        "case",
        "start s",
        *(f"{n} s" for n in heads),
        "exponent",
        *(f"{n} MB" for n in heads),
    ]
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    for case, usages in found.items():
        start = usages[LEAST]["cpu"]
        grown = exponent({n: usages[n]["cpu"] for n in sizes if n in usages}, start)
        cells = [case, f"{start:.2f}"]
        cells += [f"{usages[n]['cpu']:.2f}" if n in usages else "-" for n in sizes]
        cells += ["-" if grown is None else f"{grown:.3f}"]
        cells += [f"{usages[n]['peak']:.0f}" if n in usages else "-" for n in sizes]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", required=True, type=Path, help="folder for all that is made")
    sizes = [10_000, 100_000, 1_000_000]
    parser.add_argument("--utterances", nargs="+", type=int, default=sizes, help="of each set")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", type=int, default=1, help="of each command (%(default)s)")
    parser.add_argument("--times", type=int, default=3, help="of a quick run (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the data that were made")
    args = parser.parse_args()
    if min(args.utterances) <= LEAST:
        parser.error(f"--utterances: more than {LEAST}, which is the run of nothing")
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def main() -> None:
    args = parse()
    machine = describe(args.threads)
    load = f"{os.getloadavg()[0]:.1f}"
    print(f"{machine['machine']}, {args.threads} of {machine['cores']} cores, load {load}")
    found: dict[str, dict[int, Usage]] = {case: {} for case in args.cases}
    for lines in [LEAST, *args.utterances]:
        folder = make_large(args.work, lines)
        for case in args.cases:
            found[case][lines] = usage = least(
                commands(folder, lines)[case], args.work, args.threads, args.times
            )
            print(
                f"{case:<8} {lines:>9,}: {usage['cpu']:8.2f} s of processors, "
                f"{usage['wall']:8.2f} s by the clock, {usage['peak']:6.0f} MB",
                flush=True,
            )
            report = {"machine": machine, "load": load, "found": found}
            (args.work / "large.json").write_text(json.dumps(report, indent=2) + "\n")
        if not args.keep:
            shutil.rmtree(folder)
            shutil.rmtree(args.work / f"text-{lines}")
    print(*rows(found, args.utterances), sep="\n")


if __name__ == "__main__":
    main()
