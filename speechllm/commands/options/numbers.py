"""Types of numbers on the command line: finite, within bounds that an option may narrow."""

import argparse
import math
from collections.abc import Callable

LARGEST = 2**63 - 1
MOST_RESAMPLES = 1_000_000
"""Most resamples of a bootstrap; each takes a byte for every utterance."""


def whole(least: int = -LARGEST, most: int = LARGEST) -> Callable[[str], int]:
    """Type for argparse: whole numbers from `least` to `most`.

    Raises:
        ArgumentTypeError: by the returned function, for any other word.
    """

    def parse(word: str) -> int:
        try:
            value = int(word)
        except ValueError as error:  # Python raises it for more than 4,300 digits, too
            raise argparse.ArgumentTypeError(f"not a whole number: {word}") from error
        return _within(value, least, most)

    return parse


def real(above: float = -math.inf, most: float = LARGEST) -> Callable[[str], float]:
    """Type for argparse: finite numbers above `above`, up to `most`.

    Raises:
        ArgumentTypeError: by the returned function, for any other word.
    """

    def parse(word: str) -> float:
        try:
            value = float(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"not a number: {word}") from error
        if not math.isfinite(value) or value <= above:
            wanted = f"a number above {above:g} is" if math.isfinite(above) else "a number is"
            raise argparse.ArgumentTypeError(f"{wanted} wanted, not {word}")
        return _within(value, -most, most)

    return parse


def _within(value, least, most):
    if value < least:
        raise argparse.ArgumentTypeError(f"{least} is the least, not {value}")
    if value > most:
        raise argparse.ArgumentTypeError(f"{most} is the most, not {value}")
    return value
