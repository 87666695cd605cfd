"""Errors that a user can mend: the message says what is wrong, the remedy says what to do."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class SpeechLLMError(Exception):
    """A mistake in data, config or use. The command line prints it without a traceback.

    Args:
        message: what is wrong, in one sentence.
        remedy: the command or the edit that mends it, when one is known.
    """

    def __init__(self, message: str, remedy: str | None = None):
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}\n  -> {remedy}" if remedy else message)


class ConfigError(SpeechLLMError):
    """A config file or a key=value override that cannot be used."""


class DataError(SpeechLLMError):
    """A data file that cannot be used; names the file and, where there is one, the line.

    Args:
        message: what is wrong.
        path: the file at fault.
        line: 1-based line number in that file.
        remedy: the command that mends it.

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


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest of `choices`, else the list of choices."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if near:
        return f", did you mean '{near[0]}'?"
    return f"; known: {', '.join(choices)}"
