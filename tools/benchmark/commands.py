"""Whole commands in turn: what a user waits for, imports and all."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turns import BUILD, environment, figure, in_turn


class Command:
    """A command that runs anew in each turn; takes turns as a `Worker` does.

    Args:
        command: program and arguments.
        utterances: that it goes through.
        cwd: where it runs.
        env: in which it runs.

    Attributes:
        peak: most memory that one of its processes took in any turn, in MB.
    """

    def __init__(self, command: list[Any], utterances: int, cwd: Path, env: Mapping[str, str]):
        self.peak = 0.0
        self._command, self._utterances = [*map(str, command)], utterances
        self._where: dict[str, Any] = {"cwd": cwd, "env": env}

    def turn(self) -> float:
        """Let it run once; returns utterances in a second of processor time, of all processes."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(self._command, **quiet, **self._where)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"has failed ({process.returncode}): {' '.join(self._command)}")
        self.peak = max(self.peak, usage.ru_maxrss / 1024)
        return self._utterances / (usage.ru_utime + usage.ru_stime)

    def end(self) -> None:
        """Nothing is left of it after a turn."""


def speechllm(build: Path, args: argparse.Namespace, *command: Any) -> Command:
    """A command of a build, over `--lines` utterances."""
    whole = [sys.executable, "-m", "speechllm", *command]
    return Command(whole, args.lines, args.work, environment(build, args.threads))


def beside(
    case: str, now: Command, others: Mapping[str, Command], rounds: int
) -> list[dict[str, Any]]:
    """A figure for each of the others, with the peak memory of both in MB."""
    rates = in_turn({"now": now, **others}, rounds)
    return [
        {
            **figure(case, name, "", rates[name], rates["now"], "utt/s"),
            "peak_before": other.peak,
            "peak_now": now.peak,
        }
        for name, other in others.items()
    ]


def builds(args: argparse.Namespace) -> dict[str, Path]:
    """This build, and the baseline where one is given."""
    return {"now": BUILD, **({"baseline": args.baseline} if args.baseline else {})}
