"""Which process a file belongs to, where several machines may share the file system."""

import functools
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, told from any later one that gets its number.

    Attributes:
        machine: a hash of host name, boot and (in a container) the name space of its numbers.
        pid: its number there.
        started: when it started, in the kernel's ticks since boot; 0 where that is not told.
    """

    machine: str
    pid: int
    started: int

    def __str__(self) -> str:
        """As a part of file names."""
        return f"{self.machine}-{self.pid}-{self.started}"

    @property
    def is_here(self) -> bool:
        """Whether this machine can say if it runs."""
        return self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """Whether it has ended for certain; one of another machine never has."""
        if not self.is_here:
            return False
        start = start_of(self.pid)
        return start is None or (0 not in (start, self.started) and start != self.started)


def this_process() -> Process:
    """The process that asks."""
    return _this(os.getpid())


@functools.lru_cache(maxsize=1)
def _this(pid: int) -> Process:
    return process_of(pid)


def process_of(pid: int) -> Process:
    """A process of this machine that runs."""
    return Process(_machine(), pid, start_of(pid) or 0)


def is_first_rank() -> bool:
    """Whether this is the first of the processes that torchrun started, or alone."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def start_of(pid: int) -> int | None:
    """When a process started, in ticks; 0 = it runs, since when is not told; None = it has ended.

    One that has ended and waits to be collected has ended.
    """
    try:
        # The name, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except OSError:  # no such process, no /proc, or one that hides the processes of others
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except OSError:
            pass
        return 0


@functools.cache
def _machine() -> str:
    known = [socket.gethostname()]
    for tell in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            known.append(tell())
        except OSError:
            known.append("")
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]
