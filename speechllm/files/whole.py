"""Files that appear whole or not at all."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from speechllm.errors import DataError
from speechllm.files.locks import LOCK, forget_dead, locked
from speechllm.files.os_errors import naming
from speechllm.files.processes import Process, this_process

_OWNER = r"(?:(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<started>\d+)|\d+)"
_TEMPORARY = re.compile(rf"\.(?P<name>.+)\.{_OWNER}(?P<kind>\.old|\.clock)?\.tmp")
_OLD_SECONDS = 86400.0
"""Age after which a temporary file of another machine counts as abandoned."""
_LONGEST_NAME = 255  # bytes, on every usual file system
_swept: set[Path] = set()


def beside(path: Path, ending: str) -> Path:
    """Path of a hidden file beside `path`, named after it; too long a name is hashed."""
    name = path.name
    if len(os.fsencode(name)) + len(ending) + 1 > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.with_name(f".{name}{ending}")


@contextmanager
def whole_file(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; rename it to `path` only if the block ends well.

    A reader, or a run that is started again after a crash or a full disk, therefore sees the
    old file or the new one, never half of it. Text is UTF-8 with Unix line ends. Temporary files
    that dead processes left in the folder are removed.

    Raises:
        OSError: the file cannot be written; the error names `path`.
    """
    path = Path(path)
    temporary = beside(path, f".{this_process()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, mode, **text) as stream:
                if (folder := path.parent.absolute()) not in _swept:
                    _swept.add(folder)
                    sweep(path.parent, os.fstat(stream.fileno()).st_mtime)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Make a temporary folder beside `path`; rename it to `path` only if the block ends well.

    An existing folder is replaced as a whole if it is empty or `is_ours` says that it may go. If a
    process died while it replaced a folder, the old one is put back.

    Args:
        path: the folder.
        is_ours: whether an existing folder may be replaced.

    Raises:
        DataError: something else is in that place.
        SpeechLLMError: another process is making it just now.
        OSError: it cannot be written; the error names `path` or a file below it.
    """
    path = Path(path)
    temporary = beside(path, f".{this_process()}.tmp")
    old = beside(path, f".{this_process()}.old.tmp")
    with naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(beside(path, LOCK), path):
            sweep(path.parent, 0.0, path)
            if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or is_ours(path))):
                message = "there is something else in the place of the result"
                raise DataError(message, path, remedy="name another place, or remove it")
            temporary.mkdir()
            try:
                yield temporary
                _let_others_read(temporary)
                if path.exists():
                    os.rename(path, old)
                os.rename(temporary, path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
                if old.exists() and not path.exists():
                    os.rename(old, path)
                shutil.rmtree(old, ignore_errors=True)


def _let_others_read(folder: Path) -> None:
    """Give safetensors files the usual permissions; the library lets only their owner read them."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*.safetensors"):
        path.chmod(path.stat().st_mode | 0o666 & ~mask)


def sweep(folder: Path, now: float, ours: Path | None = None) -> None:
    """Remove temporary files that dead processes left in a folder; put back what they replaced.

    Args:
        folder: the folder; its subfolders are not searched.
        now: time by the file server's clock, to find files that are too old to belong to anybody.
        ours: a path whose lock we hold, so that its temporary files belong to nobody else.
    """
    places = {beside(ours, ""): ours} if ours else {}
    for entry in os.scandir(folder):
        match = _TEMPORARY.fullmatch(entry.name)
        if match is None:
            continue
        with suppress(OSError):  # another process may sweep at the same time
            is_folder = entry.is_dir(follow_symlinks=False)
            place = places.get(folder / f".{match['name']}")
            is_left = place is not None
            if not is_left and match["machine"]:
                owner = Process(match["machine"], int(match["pid"]), int(match["started"]))
                is_left = owner.is_dead
            if not is_left and not is_folder:
                is_left = now - entry.stat(follow_symlinks=False).st_mtime > _OLD_SECONDS
            if not is_left:
                continue
            place = place or folder / match["name"]
            if match["kind"] == ".old" and not place.exists():
                os.rename(entry.path, place)
            elif is_folder:
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def clean_up(*locks: Path) -> None:
    """Remove dead processes' locks and the temporary files beside them, where all work is done.

    Who has work to do takes the lock and writes, which sweeps. But who did the last of it may have
    been killed before it could remove its lock. A place that cannot be written stays as it is.

    Args:
        locks: the lock files.
    """
    with suppress(OSError):
        for lock in locks:
            forget_dead(lock)
        for folder in {lock.parent for lock in locks}:
            sweep(folder, 0.0)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with whole_file(path) as stream:
        dump_json(value, stream)


def dump_json(value: Any, stream: IO[str]) -> None:
    """Write `value` to a stream as indented JSON."""
    json.dump(value, stream, indent=2, ensure_ascii=False)
    stream.write("\n")


def sha256_of(paths: Iterable[str | Path]) -> str:
    """Hex SHA-256 over the names and contents of `paths`, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(map(Path, paths), key=lambda p: p.name):
        digest.update(path.name.encode())
        with open(path, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
