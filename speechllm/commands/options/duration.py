"""The option `--max_time`, and lengths of time on the command line."""

import argparse
import os
import time

from speechllm.files.processes import LAUNCHED
from speechllm.recipe.duration import seconds_of


def duration(word: str) -> float:
    """Type for argparse: seconds, as `seconds_of` reads them.

    Raises:
        ArgumentTypeError: the word is no length of time.
    """
    try:
        return seconds_of(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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
