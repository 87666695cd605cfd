"""Words of a shell: an option's value as the words that it stands for, and words as a command."""

import glob
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@%+-]+")


def shell_words(text: str) -> tuple[str, ...]:
    """Split an option's value into words; patterns are replaced by the files that they match."""
    return tuple(found for word in text.split() for found in sorted(glob.glob(word)) or [word])


def quoted(words: Iterable[str]) -> str:
    """Write words as one line that a shell and shlex read as these words."""
    return " ".join(word if _PLAIN.fullmatch(word) else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    if "\n" in word:  # which only bash can read on one line
        return "$'" + word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    return "'" + word.replace("'", "'\\''") + "'"
