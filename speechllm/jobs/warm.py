"""Warm start of speechllm commands: fork them from a process that has done the slow imports.

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
"""Modules imported once. Importing them starts no thread and touches no GPU."""


class WarmProcess:
    """Process of multiprocessing, with the part of Popen's interface that the runner needs."""

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
            TimeoutExpired: it still runs after `timeout` seconds.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0.0)
        return self._process.exitcode


def is_own(command: Sequence[str]) -> bool:
    """Whether a command is the `speechllm` of this Python environment."""
    found = shutil.which(command[0])
    own = Path(sys.executable).with_name("speechllm")
    return found is not None and own.exists() and Path(found).samefile(own)


def start_warm(
    command: Sequence[str], log: Path, environment: Mapping[str, str], pipe: int
) -> WarmProcess:
    """Start `speechllm ...` in a process group of its own; append its output to `log`.

    Args:
        command: words of the command, for which `is_own` holds.
        log: existing file.
        environment: variables for the server that jobs are forked from; those of the first call
            count.
        pipe: pipe of the watchdog.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    os.environ.update(environment)  # torch reads its number of threads at import
    # A Connection, unlike a file descriptor, can be passed on by multiprocessing.
    with Connection(os.dup(pipe), readable=False) as watchdog:
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
