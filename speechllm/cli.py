"""Entry point `speechllm <command>`. A command's module is imported when it is called."""

import logging
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from speechllm.commands.options.parser import parse
from speechllm.commands.options.register import COMMANDS, find_command, load_command
from speechllm.errors import (
    SpeechLLMError,
    Unfinished,
    bounded,
    did_you_mean,
    lost_process,
    out_of_memory,
    shortened,
)
from speechllm.files.made_from import verifying
from speechllm.files.os_errors import describe
from speechllm.files.processes import LOST, UNFINISHED, is_first_rank, speaks_for_itself
from speechllm.files.signals import Stopped, raised_signals
from speechllm.version import __version__

log = logging.getLogger(__name__)

LESS_MEMORY = (
    "make batches smaller (batch_positions, --batch_seconds), or take a machine with more memory; "
    "finished work is kept"
)
SECONDS_OF_FIRST = 2.0
"""Time that the other processes of a run give the first one to fail alike, and to say so for all;
when any has ended, all are ended."""
BUG = 70
"""Exit code for a bug of speechllm itself (EX_SOFTWARE of BSD)."""


def usage() -> str:
    """Return the text of `speechllm --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: speechllm <command> [--option value ...]",
            "",
            *lines,
            "",
            "speechllm <command> --help: the command's options; --debug: show tracebacks",
            "speechllm --version: the version",
        ]
    )


class Formatter(logging.Formatter):
    """Log formatter that keeps lines safe for a terminal: bounded, without control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return bounded(super().formatMessage(record))


def configure_logging(debug: bool) -> None:
    """Log this package from INFO on (DEBUG with `debug`), other packages from WARNING on.

    FutureWarning is meant for programmers, so it is shown only with `debug`.
    """
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore", FutureWarning)
    logging.captureWarnings(True)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler])
    level = logging.DEBUG if debug else logging.INFO if is_first_rank() else logging.WARNING
    logging.getLogger("speechllm").setLevel(level)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error message and exit."""
    print(message, file=sys.stderr)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command.

    Exit codes: 1 for an error that the user can fix, 2 for wrong use, and 128 + n if signal n
    stopped it, as in shells. Any other error is a bug of speechllm. As a program (without `argv`)
    it then writes the traceback to a file and exits with 70; called from Python, it raises the
    error itself.
    """
    command, rest = find_command((sys.argv[1:] if argv is None else list(argv)) or ["--help"])
    name = f"speechllm {command}" if command in COMMANDS else "speechllm"
    if argv is None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal need not know all letters
    try:
        with raised_signals():
            _run(command, rest)
            sys.stdout.flush()
    except BrokenPipeError:  # who read the output has seen enough
        _drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except (SpeechLLMError, OSError) as error:
        if log.isEnabledFor(logging.DEBUG):
            raise
        if isinstance(error, OSError) and error.filename is None:
            _drop_output()
        if not is_first_rank():
            time.sleep(SECONDS_OF_FIRST)
        if isinstance(error, Unfinished):
            fail(f"{name}: {error}", UNFINISHED)
        fail(f"{name}: error: {describe(error) if isinstance(error, OSError) else error}")
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Stopped) else signal.SIGINT
        if not speaks_for_itself():
            sys.exit(128 + number)
        by = signal.Signals(number).name
        fail(f"{name}: stopped by {by}; to go on, give the same command again", 128 + number)
    except Exception as error:
        if log.isEnabledFor(logging.DEBUG):
            raise
        if said := lost_process(error):
            if is_first_rank() and not speaks_for_itself():
                sys.exit(LOST)
            fail(
                bounded(
                    f"{name}: error: another process of this run has ended: {said}\n"
                    "  -> its output says why; the same command goes on"
                ),
                LOST,
            )
        if said := out_of_memory(error):
            fail(bounded(f"{name}: error: {said}\n  -> {LESS_MEMORY}"))
        if argv is not None:
            raise
        fail(bug_report(command, error), BUG)


def _run(command: str, rest: Sequence[str]) -> None:
    if command in ("-h", "--help", "help"):
        print(usage())
        return
    if command == "--version":
        print(f"speechllm {__version__}")
        return
    group = [name.partition(" ")[2] for name in COMMANDS if name.startswith(f"{command} ")]
    if group and command not in COMMANDS:
        if rest and rest[0] in ("-h", "--help", "help"):
            print(
                "\n".join(line for line in usage().splitlines() if line.startswith(f"  {command} "))
            )
            return
        known = did_you_mean(rest[0], group) if rest else ""
        known = known if "did you mean" in known else ""
        fail(bounded(f"speechllm {command}: give one of {', '.join(group)}{known}"), 2)
    if command not in COMMANDS:
        known = did_you_mean(command, COMMANDS)
        fail(bounded(f"speechllm: unknown command '{command}'{known}"), 2)
    module = load_command(command)
    args = parse(command, module, rest)
    configure_logging(args.debug)
    with verifying(getattr(args, "verify", False)):
        module.run(args)


def _drop_output() -> None:
    """Drop buffered output that cannot be written; Python would fail on it again at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def bug_report(command: str, error: Exception) -> str:
    """Write the traceback of an unexpected error to a file; return a message that names it."""
    line = shortened(str(error).strip().partition("\n")[0], 300)
    said = f"{type(error).__name__}: {line}"
    trace = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    remedy = "please report it, with what --debug shows"
    with suppress(OSError):  # there may be no room for it
        prefix = f"speechllm-{command.replace(' ', '-')}-"
        with tempfile.NamedTemporaryFile(prefix=prefix, suffix=".log", delete=False) as stream:
            words = bounded(" ".join(sys.argv)).encode(errors="backslashreplace")
            stream.write(f"speechllm {__version__}: ".encode() + words + b"\n\n" + trace)
            remedy = f"please report it, with {stream.name}; --debug shows more"
    return bounded(
        f"speechllm {command}: a bug of speechllm, not a mistake of yours: {said}\n  -> {remedy}"
    )
