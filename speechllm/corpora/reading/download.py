"""Download of archives: resumed where it broke off, checked, and unpacked whole or not at all."""

import gzip
import hashlib
import logging
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from functools import partial
from http.client import HTTPException
from pathlib import Path

from speechllm.errors import DataError
from speechllm.files.locks import LOCK, locked
from speechllm.files.os_errors import naming
from speechllm.files.progress import Progress
from speechllm.files.whole import beside

log = logging.getLogger(__name__)
BLOCK = 1 << 20
MEGA = 1e6
TIMEOUT = 60.0  # seconds without a byte
TRIES = 5
WAIT = 5.0  # seconds before the second try, twice as many before each further one


def fetch(url: str, path: Path, md5: str) -> None:
    """Download a file, unless it is there; a broken download is resumed.

    Args:
        url: http or https.
        path: the new file, whole or not at all; until then it grows as <path>.part.
        md5: hex digest that the source publishes.

    Raises:
        DataError: the file cannot be fetched in `TRIES` tries, or has another digest.
    """
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(beside(path, LOCK), path):
        if not path.is_file():
            _fetch(url, path, md5)


def _fetch(url: str, path: Path, md5: str) -> None:
    part = path.with_name(f"{path.name}.part")
    for attempt in range(TRIES):
        try:
            _continue(url, part)
            break
        except (OSError, HTTPException) as error:
            if getattr(error, "filename", None) == str(part):  # it is this disk that fails
                raise
            gone = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            if gone or attempt == TRIES - 1:
                remedy = f"fetch it by other means to {path}, or give the same command again later"
                raise DataError(f"cannot be fetched: {error}", url, remedy=remedy) from error
            log.warning("%s: %s; once more", url, error)
            time.sleep(WAIT * 2**attempt)
    with open(part, "rb") as stream:
        found = hashlib.file_digest(stream, "md5").hexdigest()
    if found != md5:
        part.unlink()
        raise DataError(f"MD5 is {found}, and should be {md5}", url, remedy="fetch it again")
    part.rename(path)


def unpack(archive: Path, member: str, out: Path) -> None:
    """Unpack one folder of a tar archive, whole or not at all.

    Args:
        archive: .tar or .tar.gz.
        member: the folder in it.
        out: new path of the folder; if it is there, nothing is done.

    Raises:
        DataError: the archive is broken, would write elsewhere, or has no such folder.
    """
    if out.is_dir():
        return
    with naming(out), locked(beside(out, LOCK), out):
        if not out.is_dir():
            _unpack(archive, member, out)


def _unpack(archive: Path, member: str, out: Path) -> None:
    temporary = out.with_name(f".{out.name}.unpacking.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with (
            tarfile.open(archive) as tar,
            Progress(f"unpacking {archive.name}", archive.stat().st_size / MEGA, "MB") as progress,
        ):
            for item in tar:
                if item.name.startswith(f"{member}/"):
                    _extract(tar, item, temporary)
                raw = getattr(tar.fileobj, "fileobj", tar.fileobj)  # below the decompression
                progress.advance(raw.tell() / MEGA - progress.done)
        if not (temporary / member).is_dir():
            raise DataError(f"there is no {member}/ in it", archive)
        (temporary / member).rename(out)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"cannot be unpacked: {error}", archive, remedy="fetch it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract(tar: tarfile.TarFile, item: tarfile.TarInfo, folder: Path) -> None:
    """Write a file or folder of an archive safely; tarfile has filters only from Python 3.11.4."""
    place = folder / item.name
    if ".." in place.parts or not (item.isfile() or item.isdir()):
        raise tarfile.TarError(f"{item.name} is no file or folder within it")
    if item.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(item)
    assert source is not None, "a file has content"
    with source, place.open("wb") as stream:
        shutil.copyfileobj(source, stream)


def _continue(url: str, part: Path) -> None:
    """Append what is missing; raises OSError or HTTPException where the connection breaks."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # there is nothing after what we have
            return
        raise
    with answer:
        if answer.status != 206:  # it sends all of it
            have = 0
        left = int(answer.headers.get("Content-Length") or 0)
        name = part.name.removesuffix(".part")
        with (
            naming(part),
            open(part, "ab" if have else "wb") as stream,
            Progress(f"fetching {name}", (have + left) / MEGA, "MB", have / MEGA) as progress,
        ):
            for block in iter(partial(answer.read, BLOCK), b""):
                stream.write(block)
                progress.advance(len(block) / MEGA)
        if left and part.stat().st_size < have + left:
            raise OSError(f"the line broke after {part.stat().st_size} bytes")
