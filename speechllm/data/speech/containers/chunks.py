"""WAV (RIFF, RIFX, RF64, Wave64), AIFF, AU, CAF and NIST sphere: the samples are one stretch of
bytes whose length stands in the header.

libsndfile takes a half-copied file for a short one, and ignores what follows the stretch. It finds
no samples either where a writer that could not seek back has left a length of 0.
"""

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from speechllm.data.speech.containers.layout import Layout

UNKNOWN = 0x7FFF0000  # a writer that cannot seek back to the length leaves 2 or 4 GiB there
UNKNOWN_LONG = 1 << 62  # likewise, in 64 bits; -1 is above it
LOOKED_AT = 1 << 20  # bytes after the samples that are examined
SPHERE_HEADER = 1024
LEAST_HEADER = 24  # bytes, of AU


class Stretch(NamedTuple):
    """Place of the samples in a file.

    Attributes:
        start: offset of the first byte.
        promised: bytes by the header; None: to the end of the file.
        behind: bytes after these that are neither chunks nor padding.
        length_end: offset of the end of the length in the header.
        form: struct format of the length; "" where it is not to be corrected.
    """

    start: int
    promised: int | None
    behind: int = 0
    length_end: int = 0
    form: str = ""


class Chunk(NamedTuple):
    """Named part of a file from `at` to `end`; `size` bytes of content begin at `start`."""

    name: bytes
    at: int
    start: int
    size: int | None
    end: int


def layout(stream: BinaryIO, head: bytes) -> Layout:
    """Compare what the header promises with what the file holds."""
    size = stream.seek(0, os.SEEK_END)
    found = _stretch(stream, head, size)
    if found is None or not found.promised:  # 0 means "unknown" too
        content = _with_length(stream, found, size) if found else None
        return Layout(known=True, seekable=True, content=content)
    if found.start < LEAST_HEADER:  # libsndfile reads on behind the header, and seeks within it
        return Layout()
    held = max(size - found.start, 0)
    return Layout(
        known=True,
        seekable=True,
        size=min(found.promised, held),
        missing=max(found.promised - held, 0) / max(held, 1),
        behind=found.behind / max(min(found.promised, held), 1),
    )


def _stretch(stream: BinaryIO, head: bytes, size: int) -> Stretch | None:
    name = head[:4]
    if name in (b"RIFF", b"RF64"):
        return _of_chunk(stream, _iff(stream, size, "<"), b"data", 0, size, "<I")
    if name in (b"RIFX", b"FORM"):
        wanted, preface = (b"SSND", 8) if name == b"FORM" else (b"data", 0)
        return _of_chunk(stream, _iff(stream, size, ">"), wanted, preface, size, ">I")
    if name == b"riff":
        return _of_chunk(stream, _wave64(stream, size), b"data", 0, size)
    if name == b"caff":
        return _of_chunk(stream, _caf(stream, size), b"data", 4, size, ">Q")
    if name in (b".snd", b"dns."):
        start, promised = struct.unpack(">II" if name == b".snd" else "<II", head[4:].ljust(8))
        if promised >= UNKNOWN:
            return Stretch(start, None)
        return Stretch(start, promised, _no_padding(stream, start + promised, size))
    return _sphere(stream, size) if head[:7] == b"NIST_1A" else None


def _of_chunk(
    stream: BinaryIO, chunks: Iterator[Chunk], name: bytes, preface: int, size: int, form: str = ""
) -> Stretch | None:
    """Samples in the first chunk of this name, with the bytes after it that are no chunks."""
    found: Stretch | None = None
    for chunk in chunks:
        if found is None:
            if chunk.name == name:
                promised = None if chunk.size is None else max(chunk.size - preface, 0)
                found = Stretch(chunk.start + preface, promised, 0, chunk.start, form)
                if promised is None:
                    return found
        elif not re.fullmatch(rb"[ -~]{4}", chunk.name) or chunk.end > size + 1:
            return found._replace(behind=_no_padding(stream, chunk.at, size))
    return found


def _with_length(stream: BinaryIO, found: Stretch, size: int) -> bytes | None:
    """Content of the file with the true length in its header; None where libsndfile needs no such
    help, as it neither believes the wrong length nor takes it for damage."""
    is_refused = found.promised is None and found.form == ">Q"  # the "unknown" of CAF
    length = size - found.length_end
    if not (found.form and (is_refused or found.behind)) or length >= UNKNOWN:
        return None
    stream.seek(0)
    content = bytearray(stream.read())
    struct.pack_into(found.form, content, found.length_end - struct.calcsize(found.form), length)
    return bytes(content)


def _iff(stream: BinaryIO, size: int, order: str) -> Iterator[Chunk]:
    """Chunks of RIFF and its kin; a length in `ds64` stands for one that 32 bits cannot hold."""
    at, long = 12, None
    while at + 8 <= size:
        stream.seek(at)
        name, length = struct.unpack(f"{order}4sI", stream.read(8))
        known: int | None = length
        if name == b"ds64":
            long = struct.unpack("<QQ", stream.read(16).ljust(16, b"\0"))[1]
        if name == b"data" and length >= UNKNOWN:
            known = long if long and length == 0xFFFFFFFF and long < UNKNOWN_LONG else None
        end = at + 8 + (length if known is None else known)
        yield Chunk(name, at, at + 8, known, end)
        at = end + end % 2


def _wave64(stream: BinaryIO, size: int) -> Iterator[Chunk]:
    at = 40
    while at + 24 <= size:
        stream.seek(at)
        name, length = struct.unpack("<4s12xQ", stream.read(24))
        length = max(length, 24)
        known = length - 24 if length < UNKNOWN_LONG else None
        yield Chunk(name, at, at + 24, known, at + length)
        at += length + -length % 8


def _caf(stream: BinaryIO, size: int) -> Iterator[Chunk]:
    at = 8
    while at + 12 <= size:
        stream.seek(at)
        name, length = struct.unpack(">4sQ", stream.read(12))
        yield Chunk(name, at, at + 12, length if length < UNKNOWN_LONG else None, at + 12 + length)
        at += 12 + length


def _sphere(stream: BinaryIO, size: int) -> Stretch | None:
    stream.seek(0)
    head = stream.read(SPHERE_HEADER)
    fields = dict(re.findall(rb"^(\w+) -(?:i|s\d+) (\d+)$", head, re.MULTILINE))
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    if b"shorten" in head or not fields.keys() >= {*names}:
        return None
    count, channels, width = (int(fields[name]) for name in names)
    start = int(head[8:16]) if head[8:16].strip().isdigit() else SPHERE_HEADER
    promised = count * channels * width
    if size - start == count * width:  # some count the samples of all channels
        promised = size - start
    return Stretch(start, promised, _no_padding(stream, start + promised, size))


def _no_padding(stream: BinaryIO, at: int, size: int) -> int:
    """Number of bytes from `at` to the end of the file; 0 if they are padding, all zero."""
    if at >= size:
        return 0
    stream.seek(at)
    return size - at if stream.read(LOOKED_AT).strip(b"\0") else 0
