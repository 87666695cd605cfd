"""Sources of models: a file, a folder, a wheel, or an installed package. Nothing is executed."""

import base64
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO, Any

from speechllm.convert.remedies import AGAIN, PULL, WHEEL_AGAIN
from speechllm.errors import ConfigError, DataError
from speechllm.files.guarded import guarded
from speechllm.files.progress import Progress

BLOCK = 1 << 20
LICENCE_FILES = ("licen[cs]e*", "copying*", "notice*", "model_card*")
POINTER = b"version https://git-lfs"
NO_WHEEL = "is no whole wheel"


@dataclass(frozen=True)
class Member:
    """File of a source.

    Attributes:
        name: its path within the source, with slashes.
        size: size in bytes.
        place: name of the file in messages.
        path: its path; None inside a wheel.
        wheel: the wheel that it lies in, if any.
        sha256: hash that the package states for it, if any.
        is_wanted: it may be the model; else it only lies beside a file that was named.
    """

    name: str
    size: int
    place: str
    path: Path | None = None
    wheel: Path | None = None
    sha256: str | None = None
    is_wanted: bool = True

    @property
    def base(self) -> str:
        """Name without folders."""
        return self.name.rsplit("/", 1)[-1]

    def blocks(self) -> Iterator[bytes]:
        """Read its bytes, one block after the other.

        Raises:
            DataError: the wheel is damaged, or the file is a pointer of Git LFS.
        """
        if self.path is not None:
            with open(self.path, "rb") as stream:
                yield from self._blocks(stream)
            return
        with (
            guarded(self.wheel, NO_WHEEL, remedy=WHEEL_AGAIN),
            zipfile.ZipFile(self.wheel) as wheel,
            wheel.open(self.name) as stream,
        ):
            yield from self._blocks(stream)

    def _blocks(self, stream: IO[bytes]) -> Iterator[bytes]:
        block = stream.read(BLOCK)
        _check_pointer(block, self.place)
        while block:
            yield block
            block = stream.read(BLOCK)

    def read(self) -> bytes:
        """Read all its bytes, for small files."""
        return b"".join(self.blocks())

    def json(self, kind: type) -> Any:
        """Read it as JSON.

        Raises:
            DataError: it is no JSON, or its value is not a `kind`.
        """
        with guarded(self.place, "is no JSON", remedy=AGAIN):
            value = json.loads(self.read().decode("utf-8"))
        if not isinstance(value, kind):
            message = f"holds a {type(value).__name__}, not a {kind.__name__}"
            raise DataError(message, self.place, remedy=AGAIN)
        return value


@dataclass(frozen=True)
class ModelSource:
    """Source that was named on the command line.

    Attributes:
        given: the name as it was given.
        members: its files.
        name, version, licence: stated by the package; None for files and folders.
    """

    given: str
    members: list[Member]
    name: str | None = None
    version: str | None = None
    licence: str | None = None

    def licence_files(self) -> list[Member]:
        """Files with the text of a licence."""
        texts = [m for m in self.members if Path(m.base).suffix in ("", ".txt", ".md", ".rst")]
        return [m for m in texts if any(Path(m.base.lower()).match(n) for n in LICENCE_FILES)]


@dataclass
class Taken:
    """Hashes of all files that were read, by name."""

    sha256: dict[str, str] = field(default_factory=dict)

    def note(self, member: Member, digest: str) -> None:
        """Record a file's hash.

        Raises:
            DataError: its package states another hash.
        """
        if member.sha256 not in (None, digest):
            message = f"its sha256 is {digest}, and the package's RECORD says {member.sha256}"
            raise DataError(
                message, member.place, remedy="it is damaged or was changed: get the package again"
            )
        self.sha256[member.name] = digest

    def small(self, member: Member) -> Member:
        """Record the hash of a small file; return the file."""
        self.note(member, hashlib.sha256(member.read()).hexdigest())
        return member

    def join(self, members: list[Member], folder: Path) -> Path:
        """Write parts, or a file of a wheel, to one file on disk; a whole file stays in place."""
        is_whole = len(members) == 1 and members[0].path is not None
        target = None if is_whole else folder / "joined"
        blocks = sum(-(-member.size // BLOCK) for member in members)
        with (
            Progress("reading", blocks, "MiB") as progress,
            open(target, "wb") if target else io.BytesIO() as out,
        ):
            for member in members:
                digest = hashlib.sha256()
                for block in member.blocks():
                    digest.update(block)
                    if target:
                        out.write(block)
                    progress.advance()
                self.note(member, digest.hexdigest())
        return target or members[0].path


def find_source(given: str) -> ModelSource:
    """Find the source that a name means: a file or folder, else an installed package.

    Raises:
        ConfigError: there is no such file, folder or package.
        DataError: a wheel is damaged.
    """
    path = Path(given)
    if path.is_dir():
        return ModelSource(given, [_file(p) for p in sorted(path.iterdir()) if p.is_file()])
    if path.suffix in (".whl", ".zip") and path.is_file():
        return _wheel(given, path)
    if path.is_file():
        beside = [p for p in sorted(path.parent.iterdir()) if p.is_file() and p != path]
        return ModelSource(given, [_file(path), *(_file(p, is_wanted=False) for p in beside)])
    return _installed(given)


def _check_pointer(first: bytes, place: str) -> None:
    if first.startswith(POINTER):
        raise DataError("is a pointer of Git LFS, not the file itself", place, remedy=PULL)


def _file(path: Path, is_wanted: bool = True) -> Member:
    return Member(path.name, path.stat().st_size, str(path), path, is_wanted=is_wanted)


def _wheel(given: str, path: Path) -> ModelSource:
    """Read a wheel: a zip with RECORD, the hashes of its files, and METADATA."""
    with open(path, "rb") as stream:
        _check_pointer(stream.read(len(POINTER)), str(path))
    with guarded(path, NO_WHEEL, remedy=WHEEL_AGAIN), zipfile.ZipFile(path) as wheel:
        infos = [info for info in wheel.infolist() if not info.is_dir()]
        texts = {
            kind: wheel.read(info).decode("utf-8")
            for info in infos
            for kind in ("METADATA", "RECORD")
            if info.filename.endswith(f".dist-info/{kind}")
        }
    with guarded(path, "its RECORD cannot be read", remedy=WHEEL_AGAIN):
        rows = csv.reader(texts.get("RECORD", "").splitlines())
        said = {name: _hex(digest) for name, digest, _ in filter(None, rows)}
    members = [
        Member(
            info.filename,
            info.file_size,
            f"{path}: {info.filename}",
            wheel=path,
            sha256=said.get(info.filename),
        )
        for info in infos
    ]
    return _described(given, members, message_from_string(texts.get("METADATA", "")))


def _installed(given: str) -> ModelSource:
    """Read an installed package by the list of its files."""
    try:
        package = distribution(given)
    except (PackageNotFoundError, ValueError) as error:
        raise ConfigError(
            f"there is no file, folder or installed package '{given}'",
            "check the spelling; a package need not be installed: "
            "`pip download --no-deps NAME` fetches a .whl, which can be named here",
        ) from error
    members = []
    for listed in package.files or ():
        path = Path(str(listed.locate()))
        if path.is_file():
            said = listed.hash
            is_sha256 = said is not None and said.mode == "sha256"
            sha256 = _hex(f"sha256={said.value}") if is_sha256 else None
            size = path.stat().st_size
            members.append(Member(str(listed), size, str(path), path, sha256=sha256))
    return _described(given, members, package.metadata)


def _described(given: str, members: list[Member], metadata: Message | Any) -> ModelSource:
    names = metadata.get_all("Classifier") or []
    classified = [n.split("::")[-1].strip() for n in names if n.startswith("License ::")]
    stated = metadata.get("License-Expression") or metadata.get("License")
    first = (stated or "").strip().splitlines()  # some state the whole text
    licence = first[0] if first else ", ".join(classified) or None
    return ModelSource(given, members, metadata.get("Name"), metadata.get("Version"), licence)


def _hex(stated: str) -> str | None:
    """Convert RECORD's sha256=<urlsafe base64 without padding> to hex digits."""
    kind, _, value = stated.partition("=")
    if kind != "sha256":
        return None
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except ValueError:
        return None
