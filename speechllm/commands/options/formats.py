"""Options of the formats of `import` and `export`.

The command for a format has those options that the format's function takes as keywords.
"""

import argparse
import inspect
from collections.abc import Callable
from typing import Any


class FieldColumns(argparse.Action):
    """Parse words `field=column` into a dict."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        pairs = dict(word.partition("=")[::2] for word in values)
        if not all("=" in word for word in values):
            parser.error(f"{option_string} takes words field=column, not {' '.join(values)}")
        setattr(namespace, self.dest, pairs)


def character(word: str) -> str:
    """Parse one character, or the name of the tabulator (`tab` or `\\t`).

    Raises:
        ArgumentTypeError: it is not exactly one character.
    """
    word = {"tab": "\t", "\\t": "\t"}.get(word, word)
    if len(word) != 1:
        raise argparse.ArgumentTypeError(f"one character is needed, not {word!r}")
    return word


OPTIONS: dict[str, dict[str, Any]] = {
    "columns": {
        "nargs": "+",
        "action": FieldColumns,
        "metavar": "FIELD=COLUMN",
        "help": "columns (or keys) that do not have the name of their field; FIELD= takes none",
    },
    "keep": {
        "nargs": "+",
        "metavar": "COLUMN",
        "help": "further columns (or keys) that become tables of the data dir",
    },
    "delimiter": {"type": character, "help": "between cells"},
    "split": {"help": "which dataset of a folder with several"},
    "embed_audio": {"action": "store_true", "help": "put the audio files into the dataset"},
}


def add_format_options(parser: argparse.ArgumentParser, function: Callable[..., Any]) -> None:
    """Add the options that a format's `read` or `write` takes and the parser does not have yet."""
    for name, default in _defaults(function).items():
        if f"--{name}" in parser._option_string_actions:
            continue
        options = OPTIONS[name]
        shown = f"{options['help']} (default: {default})" if default else options["help"]
        parser.add_argument(f"--{name}", **{**options, "default": default, "help": shown})


def format_options(args: argparse.Namespace, function: Callable[..., Any]) -> dict[str, Any]:
    """Return the values of the options that a format's function takes."""
    return {name: getattr(args, name) for name in _defaults(function)}


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Keyword parameters of a function, with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
