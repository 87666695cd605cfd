"""Ways to end a process: at a call to the file system, in the middle of a write, or by the clock.

Python tells audit hooks of each call that makes, renames or removes a file; we count them. A death
at the k-th call happens before it. A torn write lets the file of that call grow by some bytes more:
then the kernel ends the process in the middle of a write, that of a library in another language
too.
"""

import mmap
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CALLS = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "os.utime"),
}
"""Audit events that change the file system; `open` counts if it may write."""


@dataclass(frozen=True)
class Death:
    """When and how a command is ended.

    Attributes:
        signal: number of the signal.
        call: 1-based place of the call at which it comes; None: by the clock alone.
        torn: bytes that the file of that call, if it is opened, still grows by; None: none is torn.
        seconds: time after which it comes; None: at a call.
    """

    signal: int = signal.SIGKILL
    call: int | None = None
    torn: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        name = signal.Signals(self.signal).name
        if self.call is None:
            return f"{name} after {self.seconds:.2f} s"
        return f"{name} at call {self.call}" + f", {self.torn} bytes on" * (self.torn is not None)


class Calls:
    """Counter of calls that forked processes share."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)

    @property
    def number(self) -> int:
        return int.from_bytes(self._shared[:8], "little")

    @number.setter
    def number(self, value: int) -> None:
        self._shared[:8] = value.to_bytes(8, "little")


def count_calls(calls: Calls, below: Path, death: Death | None = None) -> None:
    """Count this process's calls to the file system from now on; die at the given one.

    Args:
        calls: the counter.
        below: folder; calls elsewhere do not count.
        death: when to die.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    root = f"{below.absolute()}{os.sep}"

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if not (isinstance(flags, int) and flags & WRITES):
                return
        elif event in CALLS:
            path = args[0]
        else:
            return
        if not isinstance(path, str | bytes | os.PathLike):
            return
        place = os.path.abspath(os.fsdecode(path))
        if not place.startswith(root):
            return
        calls.number += 1
        if death and calls.number == death.call:
            _die(death, place if event == "open" else None)

    sys.addaudithook(hook)


def _die(death: Death, opened: str | None) -> None:
    if death.torn is not None and opened:
        size = os.path.getsize(opened) if os.path.exists(opened) else 0
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + death.torn, most))
    else:
        os.kill(os.getpid(), death.signal)
