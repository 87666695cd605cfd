"""How tests change files and bring them back: a bit, a time, the length."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def restored(path: Path) -> Iterator[Path]:
    """Bring a file back after the block, with its time."""
    content, stat = path.read_bytes(), path.stat()
    try:
        yield path
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def flip(path: Path, keep_time: bool = False) -> None:
    """Change one bit in the middle of a file; with `keep_time`, nothing else that is looked at."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut(path: Path) -> None:
    """Cut off the end of a file."""
    path.write_bytes(path.read_bytes()[:-20])


def age(*folders: Path) -> None:
    """Make all files below an hour older, so that their times can be trusted."""
    then = time.time_ns() - 3600 * 10**9
    for path in (p for folder in folders for p in folder.rglob("*") if p.is_file()):
        os.utime(path, ns=(then, then))


def remedy_of(said: str) -> str:
    """The command of an error message's last line."""
    return said.strip().splitlines()[-1].split("-> ")[1]


def follow(remedy: str) -> None:
    """Do the `rm` that a remedy begins with, or after an `or`."""
    words = remedy[remedy.index("rm ") :].replace(",", " ").split()
    place = Path(words[2] if words[1] == "-r" else words[1])
    assert place.exists(), remedy
    shutil.rmtree(place) if words[1] == "-r" else place.unlink()
