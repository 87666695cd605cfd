"""Waits of tests for what other processes do; a busy machine may take its time."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0


def wait_until(holds: Callable[[], object], what: str = "nothing happened") -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def wait_for_text(path: Path) -> str:
    """What a file holds, once it is there and not empty."""
    wait_until(lambda: path.is_file() and path.read_text().strip(), f"{path} did not appear")
    return path.read_text()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
