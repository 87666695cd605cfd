"""Exchange formats of data dirs, one module each, which is named like its format.

A format is a module with

- `SUMMARY`: a line for `--help`;
- `HOLDS`: what it can hold beside whole audio files;
- `FOLDER`: True if it is written as a folder, else as a file;
- `read(path, *, ...) -> Iterator[Record]`, which reads without holding the whole file in memory,
  and raises DataError with file and line;
- `write(records, path, *, ...)`, whose result appears whole or not at all.

The keyword parameters of the two are the options that `speechllm data import` and `export` have
for the format (`FORMAT_OPTIONS` in `speechllm/commands/`). A record's relative audio path starts
at the folder of the file (at the folder itself, where the format is one), when read and when
written.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import NamedTuple


class Holds(NamedTuple):
    """Contents that a format can hold beside whole audio files.

    Attributes:
        cuts: utterances that are a part of a recording, or one channel of it.
        commands: commands that write audio.
        text_only: utterances without audio.
    """

    cuts: bool
    commands: bool
    text_only: bool


def names() -> list[str]:
    """Names of all formats."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """Import the module of a format."""
    return importlib.import_module(f"{__name__}.{name}")
