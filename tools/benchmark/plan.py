"""What comes before the first training step of a text-only set: utterances in a second.

`growth` is the rate of a set of `--lines` beside that of a tenth of it; its exponent is that of the
time, 1 where ten times the utterances take ten times as long.
"""

import argparse
import math
from pathlib import Path
from typing import Any

from commands import builds
from text_data import make_text
from turns import BUILD, Worker, figure, in_turn


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """This build at both sizes, and beside the baseline."""
    workers = {
        **{name: _worker(args, build, args.lines) for name, build in builds(args).items()},
        "tenth": _worker(args, BUILD, args.lines // 10),
    }
    rates = in_turn(workers, args.rounds)
    growth = figure("plan", "growth", "", rates["tenth"], rates["now"], "utt/s")
    figures = [{**growth, "exponent": 1 - math.log10(growth["ratio"])}]
    if args.baseline:
        figures.append(figure("plan", "baseline", "", rates["baseline"], rates["now"], "utt/s"))
    return figures


def _worker(args: argparse.Namespace, build: Path, lines: int) -> Worker:
    settings = {"data": str(make_text(args.work, lines) / "set")}
    return Worker("plan_worker.py", build, args.threads, settings)
