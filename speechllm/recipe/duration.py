"""Lengths of time as words: `7000`, `90m`, `1d12h`."""

import re

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def seconds_of(word: str) -> float:
    """Seconds that a word stands for: a number of them, or numbers with units.

    Raises:
        ValueError: for any other word.
    """
    word = f"{word}s" if re.fullmatch(r"[0-9]{1,9}", word) else word
    if not re.fullmatch(r"([0-9]{1,9}[dhms])+", word):
        raise ValueError(f"not a length of time: {word}; write 7000, 90m or 1d12h")
    return float(sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)([dhms])", word)))
