"""Commands of speechllm that start warm: forked from a process that has imported what is slow.

Importing torch, transformers and peft takes about four seconds of a core, which a stage of a
hundred short jobs would spend a hundred times.
"""

import multiprocessing
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from speechllm.jobs.watchdog import announce

PRELOADED = ["torch", "transformers.models.auto", "peft"]
"""Imported once. None of them starts a thread or touches a GPU when it is imported."""


class WarmProcess:
    """A process of multiprocessing, with the interface of Popen as far as it is needed here."""

    def __init__(self, process: multiprocessing.process.BaseProcess):
        self._process = process
        self.pid: int = process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while the process runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end.

        Raises:
            TimeoutExpired: it still runs after so many seconds.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0.0)
        return self._process.exitcode


def is_own(command: Sequence[str]) -> bool:
    """Whether a command is the `speechllm` of this very environment."""
    found = shutil.which(command[0])
    own = Path(sys.executable).with_name("speechllm")
    return found is not None and own.exists() and Path(found).samefile(own)


def start_warm(
    command: Sequence[str], log: Path, environment: Mapping[str, str], pipe: int
) -> WarmProcess:
    """Start `speechllm ...` in a process group of its own, its output appended to `log`.

    Args:
        command: its words, for which `is_own` holds.
        log: a file that is there.
        environment: of the process that is forked from; that of the first call counts.
        pipe: of the watchdog.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    os.environ.update(environment)  # torch asks for its number of threads when it is imported
    with Connection(os.dup(pipe), readable=False) as watchdog:  # which multiprocessing can pass on
        words = (list(command), str(log), watchdog)
        process = context.Process(target=_run, args=words, name=command[1])
        process.start()
    return WarmProcess(process)


def _run(command: list[str], log: str, watchdog: Connection) -> None:
    os.setsid()
    with watchdog:
        announce(watchdog.fileno())
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = command
    runpy.run_module("speechllm", run_name="__main__")
