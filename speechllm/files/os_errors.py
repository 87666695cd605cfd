"""Errors of the operating system in words: the file, and a remedy."""

import errno
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechllm.errors import SpeechLLMError, bounded

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)

_MOVE = "move it away, or name another place"
REMEDIES = {
    errno.ENOSPC: "free some space (df -h {folder}) and give the same command again: "
    "finished work is kept",
    errno.EDQUOT: "your quota is used up (quota -s): free some space and give the same command "
    "again: finished work is kept",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f unlimited), then give the "
    "same command again",
    errno.EACCES: "see who may (ls -ld {folder} {place}), or name another place",
    errno.EPERM: "see who may (ls -ld {folder} {place}), or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EISDIR: f"a folder stands where a file belongs: {_MOVE}",
    errno.ENOTDIR: f"a file stands where a folder belongs: {_MOVE}",
    errno.EEXIST: f"something else stands there: {_MOVE}",
    errno.ENOENT: "check the path",
    errno.ELOOP: "its links lead in a circle: ls -l {folder}",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
    errno.EIO: "the disk or its server fails (dmesg); then give the same command again",
    errno.ESTALE: "the file server has lost it; give the same command again",
}
"""Remedies by errno; `place` stands for the file, `folder` for its folder."""


def describe(error: OSError) -> str:
    """Describe an error of the system: the file, the message and a remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):  # the copy, not the original, has no space
        name = error.filename2 or error.filename or "standard output"
    else:
        name = " -> ".join(str(n) for n in (error.filename, error.filename2) if n is not None)
    message = f"{name}: " * bool(name) + (error.strerror or str(error) or type(error).__name__)
    remedy = remedy_of(error)
    return bounded(f"{message}\n  -> {remedy}" if remedy else message)


def remedy_of(error: OSError) -> str | None:
    """Remedy for an error of the system; None if none is known."""
    remedy = REMEDIES.get(error.errno or 0)
    place = str(error.filename2 or error.filename or ".")
    folder = os.path.dirname(place) or "."
    while not os.path.exists(folder):  # it may never have been made
        folder = os.path.dirname(folder) or "."
    where = {"place": shlex.quote(place), "folder": shlex.quote(folder)}
    return remedy and remedy.format(**where)


@contextmanager
def naming(path: Path, *others: Path) -> Iterator[None]:
    """Make errors of the system name the file that is written, whatever layer they come from.

    Streams do not know their file's name, and libraries in Rust or C++ do not raise OSError.

    Args:
        path: file that the error names.
        others: temporary files that stand for it; `path` replaces them in the error.

    Raises:
        OSError: the system refused an operation in the block.
    """
    try:
        yield
    except SpeechLLMError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            for other in map(str, others):
                error.filename = _instead(error.filename, other, str(path))
                error.filename2 = _instead(error.filename2, other, str(path))
            if error.filename2 == error.filename:
                error.filename2 = None
            raise
        if number := _number_of(error):
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def _instead(name: object, other: str, path: str) -> object:
    """Replace `other` by `path` in a file's name that is `other` or lies below it."""
    is_it = isinstance(name, str) and (name == other or name.startswith(f"{other}{os.sep}"))
    return path + name.removeprefix(other) if is_it else name


def _number_of(error: Exception) -> int | None:
    """Errno of a failed write; a library may give it only in its message."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        found = re.search(r"\b(?:os error|errno) (\d+)\b", str(error), re.IGNORECASE)
        number = int(found[1]) if found else None
    return number if number in _OF_WRITING else None
