"""Records of the files that an artefact was made from: size, modification time and SHA-256.

They work like git's index. A file with the recorded size and time counts as unchanged and is not
read. Any other file is hashed, and is unchanged if its hash is (a copy, a clone, a table that was
written anew); the record then takes the new time. A very recent time is not recorded, since the
file could be written once more without a change of its time.

A record is `{name: [size, nanoseconds, sha256]}`; null stands for a file of which nothing is known.
The caller chooses the names, so they stay valid when the files move.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, Any

from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.guarded import guarded
from speechllm.files.layout import SOURCE
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import whole_file, write_json

log = logging.getLogger(__name__)

MADE_FROM = "made_from.json"
"""Name of the record in an artefact's folder."""
SUMS = "SHA256SUMS"
"""Name of the file with the hashes of a folder's made files."""
CLOCK_STEP = 2 * 10**9  # nanoseconds: the coarsest clock of any file system in use
LARGE = 1 << 30

Entry = list[int | str | None]
Record = dict[str, Entry | None]
Files = Mapping[str, Path | None]
"""Paths by name; a file with None counts as unchanged, since nothing is known of it now."""

_hashes: dict[tuple[int, int, int, int], str] = {}
_trusts_times = True


@contextmanager
def verifying(on: bool = True) -> Iterator[None]:
    """Trust no modification times inside the block: hash every file, once."""
    global _hashes, _trusts_times
    before = _hashes, _trusts_times
    if on:
        _hashes, _trusts_times = {}, False
    try:
        yield
    finally:
        _hashes, _trusts_times = before


def is_verifying() -> bool:
    """Whether modification times are not trusted now (see `verifying`)."""
    return not _trusts_times


def digest(path: str | Path) -> str:
    """Hex SHA-256 of a file's content; each process reads a file once.

    Raises:
        OSError: it cannot be read.
    """
    stat = os.stat(path)
    if known := _hashes.get(_identity(stat)):
        return known
    if stat.st_size > LARGE:
        log.info("hashing %s (%.1f GB)", path, stat.st_size / LARGE)
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if _is_settled(stat):
        _hashes[_identity(stat)] = found
    return found


def take(files: Files) -> Record:
    """Make the record of files, all of which must exist."""
    return {name: path and _entry(path) for name, path in sorted(files.items())}


def changed(record: Record, files: Files, partly: bool = False) -> list[str]:
    """List the names of files that differ from a record, or that only one of the two has.

    Args:
        record: updated in place with the new times of unchanged files.
        files: files that the artefact would be made from now.
        partly: compare these files only, and ignore others in the record.
    """
    odd = []
    # Older records list the import record of a model, which does not change its output.
    recorded = {name for name in record if PurePath(name).name != SOURCE}
    for name in sorted(files if partly else recorded | files.keys()):
        before, path = record.get(name, []), files.get(name, Path())
        if before is None or path is None:
            continue
        stat = _stat_of(path)
        if not before or stat is None:
            odd.append(name)
            continue
        size, nanoseconds, known = before
        if _trusts_times and (stat.st_size, stat.st_mtime_ns) == (size, nanoseconds):
            _hashes[_identity(stat)] = str(known)
        elif stat.st_size != size or digest(path) != known:
            odd.append(name)
        else:
            record[name] = _entry(path)
    return odd


def write_record(path: Path, files: Files) -> None:
    """Write the record of `files` to `path`."""
    write_json(path, take(files))


def changed_since(path: Path, files: Files, partly: bool = False) -> list[str] | None:
    """Compare files with the record at `path`, as `changed` does; None if there is no record.

    New times of unchanged files are written back to the record.

    Args:
        path: the record.
        files: files that the artefact would be made from now.
        partly: compare these files only, and ignore others in the record.

    Raises:
        DataError: the record is damaged.
    """
    if not path.is_file():
        return None
    record = read_mapping(path)
    before = dict(record)
    with guarded(path, "is damaged", remedy=made_again(path)):
        odd = changed(record, files, partly)
    if record != before:
        try:
            write_json(path, record)
        except OSError:  # not ours to write: the files are hashed again next time
            log.debug("%s cannot be written", path)
    return odd


def seal(path: Path) -> None:
    """Write the hash of a made file to a file beside it, in the format of `sha256sum -c`."""
    with whole_file(_seal(path)) as stream:
        stream.write(f"{digest(path)}  {path.name}\n")


@contextmanager
def sealed_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file as `whole_file` does, and seal it.

    The hash of an older file goes first. If the process is killed then, the file is without a hash
    until `is_sealed` looks at it.
    """
    with whole_file(path, mode) as stream:
        yield stream
        _seal(path).unlink(missing_ok=True)
    seal(path)


def is_sealed(path: Path) -> bool:
    """Whether a made file exists and its hash is right; one without a hash gets it.

    An older version wrote none, or the writer was killed between the file and its hash.
    """
    if not path.is_file():
        return False
    if not _seal(path).is_file():
        with suppress(OSError):  # not ours to write
            seal(path)
        return True
    if not _seal(path).read_bytes().startswith(digest(path).encode()):
        log.warning("%s is not what was written: made anew", path)
        return False
    return True


def seal_all(folder: Path, names: Iterable[str]) -> None:
    """Write the hashes of a folder's made files to one file, in the format of `sha256sum -c`."""
    with whole_file(folder / SUMS) as stream:
        stream.writelines(f"{digest(folder / name)}  {name}\n" for name in sorted(names))


def sealed_names(folder: Path) -> list[str]:
    """Names of the files that `seal_all` noted; only files directly in the folder, perhaps none."""
    return [name for name in _seals(folder) if Path(name).name == name]


def broken_seals(folder: Path, only: Sequence[str] = ()) -> list[str]:
    """Names of sealed files that are missing or changed; older versions sealed no files.

    Args:
        folder: folder of the files.
        only: check these only; all if empty.
    """
    wanted = {n: h for n, h in _seals(folder).items() if not only or n in only}
    return [n for n, h in wanted.items() if not (folder / n).is_file() or digest(folder / n) != h]


def _seals(folder: Path) -> dict[str, str]:
    """SHA-256 by name, as `seal_all` wrote them."""
    path = folder / SUMS
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    rows = (line.partition("  ") for line in text.splitlines())
    return {name: sha256 for sha256, _, name in rows}


def all_sealed(folder: Path) -> bool:
    """Whether all sealed files are unchanged; logs those that are not and will be made anew."""
    for name in (odd := broken_seals(folder)):
        log.warning("%s is not what was written: made anew", folder / name)
    return not odd


def check_seal(path: Path) -> None:
    """Raise DataError if a made file has changed since it was sealed, alone or with its folder.

    A file without a seal, of an older version, passes.
    """
    alone = _seal(path)
    if alone.is_file():
        odd = not alone.read_bytes().startswith(digest(path).encode())
    else:
        odd = path.name in broken_seals(path.parent, [path.name])
    if odd:
        raise DataError("is not what was written", path, remedy=made_again(path))


def _seal(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def refuse_changes(what: str | Path, names: Sequence[str] | None, remedy: str) -> None:
    """Raise SpeechLLMError if `what` was made from other files; log it if there is no record.

    Args:
        what: the artefact.
        names: result of `changed_since`.
        remedy: what to do instead of bringing the files back.
    """
    if names is None:
        log.info("%s: an older version made it, and did not record from which files", what)
    elif names:
        more = ", ..." if len(names) > 5 else ""
        raise SpeechLLMError(
            f"{what} was made from other files than are there now: {', '.join(names[:5])}{more}",
            f"bring them back, or {remedy}",
        )


def _entry(path: Path) -> Entry:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns if _is_settled(stat) else None, digest(path)]


def _stat_of(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _identity(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _is_settled(stat: os.stat_result) -> bool:
    """Whether a write from now on would change the file's modification time."""
    return stat.st_mtime_ns < time.time_ns() - CLOCK_STEP
