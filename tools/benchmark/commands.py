"""Whole commands in turn: what a user waits for, imports and all."""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turns import BUILD, environment, figure, in_turn

MEASURED = Path(__file__).with_name("measured.py")


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
        done = subprocess.run(
            [sys.executable, MEASURED, *self._command], stdout=subprocess.PIPE, **self._where
        )
        if done.returncode:
            raise SystemExit(f"has failed: {' '.join(self._command)}")
        seconds, peak, _ = map(float, done.stdout.split())
        self.peak = max(self.peak, peak)
        return self._utterances / seconds

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
