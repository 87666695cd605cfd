"""Watchdog process that ends the jobs of a runner that was killed.

It gets each job's process group through a pipe. When the runner ends, however that comes about, the
pipe closes, and the watchdog ends the groups that are left. It runs this file as a script, which
imports nothing of speechllm, so that it is small and starts fast.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


class Watchdog:
    """Context manager: a process that outlives this one, to end the jobs that are left."""

    def __enter__(self) -> "Watchdog":
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # signals to the runner's group must not reach it
        )
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    @property
    def pipe(self) -> int:
        """Pipe at which a job must `announce` itself before it does anything else."""
        assert self._process.stdin
        return self._process.stdin.fileno()

    def forget(self, group: int) -> None:
        """Remove a group that has ended, since its number may be reused."""
        with suppress(OSError):  # the watchdog was killed and cannot help
            os.write(self.pipe, f"-{group}\n".encode())


def announce(pipe: int) -> None:
    """Register the process group that this process leads with a watchdog.

    The job does this itself, since its runner could be killed before it knows the group's number.
    """
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with suppress(OSError):
        os.write(pipe, f"+{os.getpid()}\n".encode())
    signal.signal(signal.SIGPIPE, before)


def end_groups(groups: Iterable[int]) -> None:
    """End process groups by SIGTERM; after `GRACE_SECONDS`, the rest by SIGKILL."""
    left = list(groups)
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = [group for group in left if _signal(group, number)]
        deadline = time.monotonic() + GRACE_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = [group for group in left if _signal(group, 0)]


def _signal(group: int, number: int) -> bool:
    """Send a signal to a group; return whether the group exists."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    groups = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end_groups(groups)
