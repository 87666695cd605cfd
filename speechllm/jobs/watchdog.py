"""Ends the jobs of a runner that was killed, which can end them no more itself.

A process beside the runner is told each job's process group through a pipe. The pipe ends with the
runner, whatever ends that, and then the groups that are left are ended. Run as a script it imports
nothing of speechllm, so it is small and there in no time.
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
    """Outlives this process to end what it had started; a context manager."""

    def __enter__(self) -> "Watchdog":
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what is sent to the runner's group is not for it
        )
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    @property
    def pipe(self) -> int:
        """Where a job must `announce` itself before it does anything else."""
        assert self._process.stdin
        return self._process.stdin.fileno()

    def forget(self, group: int) -> None:
        """A group has ended; its number may be given out again."""
        with suppress(OSError):  # somebody has killed the watchdog: then it cannot help
            os.write(self.pipe, f"-{group}\n".encode())


def announce(pipe: int) -> None:
    """Tell a watchdog of the group that this process leads.

    Not its runner does it, which may be killed before it knows the group's number.
    """
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with suppress(OSError):
        os.write(pipe, f"+{os.getpid()}\n".encode())
    signal.signal(signal.SIGPIPE, before)


def end_groups(groups: Iterable[int]) -> None:
    """End process groups: by SIGTERM, by SIGKILL what is left after `GRACE_SECONDS`."""
    left = list(groups)
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = [group for group in left if _signal(group, number)]
        deadline = time.monotonic() + GRACE_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = [group for group in left if _signal(group, 0)]


def _signal(group: int, number: int) -> bool:
    """Send a signal to a group; whether it is there."""
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
