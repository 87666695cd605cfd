"""What something was made from: every file by its size, its time and its content.

It is done as git's index does it. A file whose size and time are those of the record is taken for
unchanged without being read. Any other is hashed, and is unchanged if its content is (a copy, a
clone, a table that was written anew); the record then takes the new time. A time so young that the
file may be written once more within it is not recorded, so that nothing is ever trusted wrongly.

A record is `{name: [size, nanoseconds, sha256]}`; null stands for a file that nobody knows. Names
are the caller's, so that they outlive a move of the files.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.guarded import guarded
from speechllm.files.layout import SOURCE
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import whole_file, write_json

log = logging.getLogger(__name__)

MADE_FROM = "made_from.json"
"""The record in an artefact's folder."""
SUMS = "SHA256SUMS"
"""Hashes of all that was made in a folder."""
CLOCK_STEP = 2 * 10**9  # nanoseconds: the coarsest clock of any file system in use
LARGE = 1 << 30

Entry = list[int | str | None]
Record = dict[str, Entry | None]
Files = Mapping[str, Path | None]
"""Files by name; None for one of which nothing is known now, so that it counts as unchanged."""

_hashes: dict[tuple[int, int, int, int], str] = {}
_trusts_times = True


@contextmanager
def verifying(on: bool = True) -> Iterator[None]:
    """Inside the block no time is trusted: every file is hashed, once."""
    global _hashes, _trusts_times
    before = _hashes, _trusts_times
    if on:
        _hashes, _trusts_times = {}, False
    try:
        yield
    finally:
        _hashes, _trusts_times = before


def is_verifying() -> bool:
    """Whether no time is trusted now."""
    return not _trusts_times


def digest(path: str | Path) -> str:
    """Hex SHA-256 of a file's content; a file is read once by each process.

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
    """The record of files that are all there."""
    return {name: path and _entry(path) for name, path in sorted(files.items())}


def changed(record: Record, files: Files, partly: bool = False) -> list[str]:
    """Names of the files that differ from a record, or are in one of the two alone.

    Args:
        record: takes the times of the files that are unchanged.
        files: what it would be made from now.
        partly: look at these files alone, whatever else the record is about.
    """
    odd = []
    # Older records list where a model was imported from; that does not say what it is.
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
    """Write the record of `files`."""
    write_json(path, take(files))


def changed_since(path: Path, files: Files, partly: bool = False) -> list[str] | None:
    """What `changed` says of the record at `path`, which is kept fresh; None if there is none."""
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
    """Note the content of a made file beside it, as `sha256sum -c` reads it."""
    with whole_file(_seal(path)) as stream:
        stream.write(f"{digest(path)}  {path.name}\n")


def is_sealed(path: Path) -> bool:
    """Whether a made file is there, and whole; one without a seal is of an older version."""
    if not path.is_file():
        return False
    beside = _seal(path)
    if beside.is_file() and not beside.read_bytes().startswith(digest(path).encode()):
        log.warning("%s is not what was written: made anew", path)
        return False
    return True


def seal_all(folder: Path, names: Iterable[str]) -> None:
    """Note the contents of a folder's made files in one file, as `sha256sum -c` reads it."""
    with whole_file(folder / SUMS) as stream:
        stream.writelines(f"{digest(folder / name)}  {name}\n" for name in sorted(names))


def sealed_names(folder: Path) -> list[str]:
    """Names of the files that `seal_all` noted, or none; all are files of the folder itself."""
    return [name for name in _seals(folder) if Path(name).name == name]


def broken_seals(folder: Path, only: Sequence[str] = ()) -> list[str]:
    """Names of the files that were sealed and are not what they were; an older version has none.

    Args:
        folder: of the files.
        only: look at these alone.
    """
    wanted = {n: h for n, h in _seals(folder).items() if not only or n in only}
    return [n for n, h in wanted.items() if not (folder / n).is_file() or digest(folder / n) != h]


def _seals(folder: Path) -> dict[str, str]:
    """SHA-256 by name, as `seal_all` has noted them."""
    path = folder / SUMS
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    rows = (line.partition("  ") for line in text.splitlines())
    return {name: sha256 for sha256, _, name in rows}


def all_sealed(folder: Path) -> bool:
    """Whether what was sealed is whole; says what is not, and is made anew."""
    for name in (odd := broken_seals(folder)):
        log.warning("%s is not what was written: made anew", folder / name)
    return not odd


def check_seal(path: Path) -> None:
    """Raise DataError if a made file is not what was sealed, alone or with its folder.

    An older version has no seal.
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
    """Raise SpeechLLMError if `what` was made from other files; say so where nobody recorded them.

    Args:
        what: that was made.
        names: what `changed_since` says.
        remedy: what to do, besides bringing the files back.
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
    """Whether a file that is written from now on gets another time."""
    return stat.st_mtime_ns < time.time_ns() - CLOCK_STEP
