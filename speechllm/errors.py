"""Errors that a user can fix: the message says what is wrong, the remedy says what to do."""

import difflib
import re
import reprlib
import shlex
from collections.abc import Iterable
from pathlib import Path

MOST_OF_A_LINE, MOST_LINES = 1000, 60
"""Most characters of a line, and most lines, of a message; some messages quote job logs."""
MOST_NAMES, MOST_OF_A_NAME = 30, 100
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class SpeechLLMError(Exception):
    """A mistake in data, config or use. The command line prints it without a traceback.

    Args:
        message: what is wrong, in one sentence.
        remedy: the command or the edit that fixes it, when one is known.
    """

    def __init__(self, message: str, remedy: str | None = None):
        self.message = bounded(message)
        self.remedy = bounded(remedy) if remedy else None
        super().__init__(f"{self.message}\n  -> {self.remedy}" if remedy else self.message)


class Unfinished(SpeechLLMError):
    """Work that stopped in good order, because its time was over; the same command goes on."""


class ConfigError(SpeechLLMError):
    """A config file or a key=value override that cannot be used."""


class DataError(SpeechLLMError):
    """A data file that cannot be used; names the file and, where there is one, the line.

    Args:
        message: what is wrong.
        path: the file at fault.
        line: 1-based line number in that file.
        remedy: the command that fixes it.

    Attributes:
        fault: the message without its place.
    """

    def __init__(
        self,
        message: str,
        path: str | Path | None = None,
        line: int | None = None,
        remedy: str | None = None,
    ):
        self.path = Path(path) if path is not None else None
        self.line = line
        self.fault = message
        place = "" if path is None else f"{path}:{line}: " if line else f"{path}: "
        super().__init__(place + message, remedy)


def out_of_memory(error: Exception) -> str | None:
    """First line of an error that says that memory did not suffice, on a machine or its GPU.

    None for any other error. torch says so in the type for a GPU, only in the message for a CPU.
    """
    by_type = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if by_type or (isinstance(error, RuntimeError) and "allocate memory" in str(error)):
        return shortened(str(error).strip().partition("\n")[0] or "out of memory", 300)
    return None


def lost_process(error: Exception) -> str | None:
    """First line of an error of torch.distributed: another process has ended, or is out of reach.

    None for any other error. gloo says so in the message alone.
    """
    by_type = type(error).__name__.startswith("Dist") and "torch" in type(error).__module__
    words = ("gloo", "Connection closed by peer", "monitoredBarrier", "NCCL")
    if by_type or (isinstance(error, RuntimeError) and any(w in str(error) for w in words)):
        return shortened(str(error).strip().partition("\n")[0], 300)
    return None


def shell_word(path: object) -> str:
    """Quote a path for the shell, for a command that a remedy gives."""
    return shlex.quote(str(path))


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest of `choices`, else the list of choices.

    >>> did_you_mean("denose", ["denoise", "audio"])
    ", did you mean 'denoise'?"
    """
    choices = list(choices)
    near = difflib.get_close_matches(name[:MOST_OF_A_NAME], choices, n=1, cutoff=0.5)
    if near:
        return f", did you mean '{near[0]}'?"
    more = ", ..." if len(choices) > MOST_NAMES else ""
    return f"; known: {', '.join(choices[:MOST_NAMES])}{more}"


def bounded(text: str) -> str:
    """Make text from outside safe for a terminal: short, without control characters.

    Long lines, and texts of many lines, keep their heads and tails.
    """
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        half = (MOST_LINES - 1) // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} lines ...", *lines[-half:]]
    # Escapes are longer than what they stand for.
    return "\n".join(shortened(_UNSEEN.sub(_escaped, shortened(line))) for line in lines)


def shortened(text: str, most: int = MOST_OF_A_LINE) -> str:
    """Cut a text to about `most` characters: its head and its tail."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def shown(value: object) -> str:
    """Short `repr` of a value from outside, for messages, however large or deep it is."""
    return shortened(_REPR.repr(value), MOST_OF_A_NAME)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, MOST_OF_A_NAME, MOST_OF_A_NAME

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out integers of more than 4,300 digits.
        return super().repr_int(x, level) if x.bit_length() < 1000 else "an integer of many digits"


_REPR = _Repr()
