"""Parser of all commands: extends argparse by `--a-b`, key=value overrides and better errors."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from speechllm.commands.options.numbers import real, whole
from speechllm.errors import bounded, did_you_mean

OVERRIDES = "overrides"
"""Attribute in which a command finds the key=value changes of its config."""


class Parser(argparse.ArgumentParser):
    """Parser that takes `--a-b` for `--a_b`, no abbreviations, and suggests the nearest option.

    A command with `overrides` takes key=value anywhere. By itself, argparse would take it for one
    more entry of a list such as --data, or refuse it after a later option.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)
        self.register("type", int, whole())  # bounded; `real` refuses nan too
        self.register("type", float, real())
        self._changes: list[str] = []

    def error(self, message: str) -> NoReturn:
        super().error(bounded(message))

    def _parse_optional(self, arg_string: str):
        name, equals, value = arg_string.partition("=")
        if not name.startswith("--") or name == "--" or " " in name:
            return super()._parse_optional(arg_string)
        name = "--" + name[2:].replace("-", "_")
        if name in self._option_string_actions:
            return super()._parse_optional(name + equals + value)
        # Options after the command of `speechllm run`, or after an action, belong to that one.
        others = (argparse.REMAINDER, argparse.PARSER)
        if not any(action.nargs in others for action in self._actions):
            known = [option for option in self._option_string_actions if option.startswith("--")]
            self.error(f"unknown option {name}{did_you_mean(name, known)}")
        return super()._parse_optional(arg_string)

    def parse_known_args(self, args=None, namespace=None):
        self._changes = []
        found, rest = super().parse_known_args(args, namespace)
        if hasattr(found, OVERRIDES):
            changes = {*found.overrides, *self._changes, *filter(is_change, rest)}
            words = sys.argv[1:] if args is None else args
            found.overrides = [word for word in words if word in changes]  # in order
            rest = [word for word in rest if word not in changes]
        return found, rest

    def _get_values(self, action: argparse.Action, arg_strings: list[str]):
        pairs = "=" in str(action.metavar)  # an option that takes key=value itself
        if action.nargs not in ("+", "*") or pairs or not any(map(is_change, arg_strings)):
            return super()._get_values(action, arg_strings)
        changes = [word for word in arg_strings if is_change(word)]
        known = {other.dest for other in self._actions} | self._defaults.keys()
        if OVERRIDES in known:
            self._changes += changes
            arg_strings = [word for word in arg_strings if word not in changes]
            if not arg_strings and action.nargs == "+":
                raise argparse.ArgumentError(action, "expected at least one argument")
        elif action.type is Path:
            where = "is it a change of a config? this command has none to change"
            if "set" in known:
                where = f"if it is a change of the config: --set {changes[0]}"
            raise argparse.ArgumentError(action, f"there is no {changes[0]}; {where}")
        return super()._get_values(action, arg_strings)


def parse(command: str, module: ModuleType, argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command's arguments with the parser that its module fills.

    Args:
        command: its name, for usage messages.
        module: its module, with `add_arguments`; its docstring is the description.
        argv: words after the command.
    """
    parser = Parser(prog=f"speechllm {command}", description=module.__doc__)
    parser.add_argument(
        "--debug",
        action="store_true",
        default=os.environ.get("SPEECHLLM_DEBUG", "0") not in ("", "0"),
        help="log more, and show the traceback of an error (or set SPEECHLLM_DEBUG=1)",
    )
    if getattr(module, "VERIFIES", False):
        parser.add_argument(
            "--verify",
            action="store_true",
            help="hash everything that results were made from, where size and time of a file "
            "would do",
        )
    module.add_arguments(parser)
    return parser.parse_args(argv)


def is_change(word: str) -> bool:
    """Whether a word is a change of a config, key=value, and not an existing file."""
    # Unlike Path.exists, os.path.exists returns False for a name that is too long.
    return bool(re.match(r"[A-Za-z_][\w.]*=", word)) and not os.path.exists(word)
