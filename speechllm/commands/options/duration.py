"""The option `--max_time`, and lengths of time on the command line."""

import argparse
import os
import re
import time

from speechllm.files.processes import LAUNCHED

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def duration(word: str) -> float:
    """Type for argparse: seconds, or a number with a unit, or several: `7000`, `90m`, `1d12h`.

    Raises:
        ArgumentTypeError: for any other word.
    """
    word = f"{word}s" if re.fullmatch(r"[0-9]{1,9}", word) else word
    if not re.fullmatch(r"([0-9]{1,9}[dhms])+", word):
        raise argparse.ArgumentTypeError(f"not a length of time: {word}; write 7000, 90m or 1d12h")
    return float(sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)([dhms])", word)))


def add_max_time(parser: argparse.ArgumentParser) -> None:
    """Add the option `--max_time`."""
    parser.add_argument(
        "--max_time",
        type=duration,
        metavar="TIME",
        help="save and stop when training has taken so long (90m, 1d12h), with exit code 75; the "
        "same command goes on later. At least one step is taken",
    )


def deadline_of(args: argparse.Namespace) -> float | None:
    """Time of `time.monotonic` at which to stop; None without `--max_time`.

    It counts from the start of `speechllm launch`, where that began this process: machines may wait
    for each other.
    """
    if args.max_time is None:
        return None
    return float(os.environ.get(LAUNCHED, time.monotonic())) + args.max_time
