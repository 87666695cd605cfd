"""Identity of processes, for files on a file system that several machines share."""

import functools
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

LAUNCHED = "SPEECHLLM_LAUNCHED"
"""Variable that `speechllm launch` sets for the processes that it speaks for: when it began, by
`time.monotonic`, which all processes of a machine share."""
UNFINISHED = 75
"""Exit code for work that the same command goes on with (EX_TEMPFAIL of BSD)."""
LOST = 76
"""Exit code of a process that ends because another one of its run did (EX_PROTOCOL of BSD)."""


@dataclass(frozen=True)
class Process:
    """A process, distinct from any later one with the same pid.

    Attributes:
        machine: hash of host name, boot id and pid name space (which differs in a container).
        pid: process id there.
        started: start time in the kernel's ticks since boot; 0 if unknown.
    """

    machine: str
    pid: int
    started: int

    def __str__(self) -> str:
        """Text form for file names."""
        return f"{self.machine}-{self.pid}-{self.started}"

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this machine, which can then say if it still runs."""
        return self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """Whether it has certainly ended; always False for a process of another machine."""
        if not self.is_here:
            return False
        start = start_of(self.pid)
        return start is None or (0 not in (start, self.started) and start != self.started)


def this_process() -> Process:
    """Return the calling process."""
    return _this(os.getpid())


@functools.lru_cache(maxsize=1)
def _this(pid: int) -> Process:
    return process_of(pid)


def process_of(pid: int) -> Process:
    """Return a running process of this machine."""
    return Process(_machine(), pid, start_of(pid) or 0)


def is_first_rank() -> bool:
    """Whether this is the first process of torchrun (rank 0), or torchrun is not used."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def speaks_for_itself() -> bool:
    """Whether this process is to say why it ends, which its launcher or first rank does else."""
    return is_first_rank() and LAUNCHED not in os.environ


def start_of(pid: int) -> int | None:
    """Start time of a process in ticks; 0 if it runs but the time is unknown; None if it has ended.

    A zombie counts as ended.
    """
    try:
        # The command name, in parentheses, may hold any characters.
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
