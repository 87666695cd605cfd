"""FLAC: the number of samples stands in the header, and follows from the last frame's header too.

It is 0 where the writer could not count. A wrong number stops libsndfile early, or makes it ask for
more memory than there is. https://www.rfc-editor.org/rfc/rfc9639
"""

import os
from typing import BinaryIO

from speechllm.data.speech.containers.layout import Layout

STREAMINFO = 34  # bytes, behind the magic word and the header of its block
TAIL = 1 << 16  # bytes at the end in which the last frame begins
BLOCK_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << n for n in range(8)))


def layout(stream: BinaryIO, begin: int = 0) -> Layout:
    """Compare the number of samples in the header with the end of the last frame.

    Args:
        stream: the file.
        begin: offset of its magic word, after any tags.
    """
    stream.seek(begin + 8)
    info = stream.read(STREAMINFO)
    if len(info) < STREAMINFO:
        return Layout()
    promised = int.from_bytes(info[13:18], "big") & 0xFFFFFFFFF
    if not promised:
        return Layout()
    size = stream.seek(0, os.SEEK_END)
    largest = int.from_bytes(info[7:10], "big")
    stream.seek(max(begin + 8 + STREAMINFO, size - max(TAIL, 2 * largest)))
    counted = _end_of_last_frame(stream.read(), int.from_bytes(info[:2], "big"))
    if counted is None or counted <= promised:
        true = counted == promised
        return Layout(known=true, seekable=true, promised=promised)
    stream.seek(begin)
    content = bytearray(stream.read())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    note = "header of the FLAC file counts fewer samples than it holds: all are read"
    return Layout(content=bytes(content), note=note)


def _end_of_last_frame(tail: bytes, block: int) -> int | None:
    """Number of samples up to the end of the last frame that begins in these bytes."""
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if tail[at + 1 : at + 2] in (b"\xf8", b"\xf9"):
            end = _end_of_frame(tail[at : at + 17], block)
            if end is not None:
                return end
    return None


def _end_of_frame(head: bytes, block: int) -> int | None:
    """Number of samples up to a frame's end, by its header; None if `head` is no frame header."""
    if len(head) < 6:
        return None
    first = head[4]
    length = 1 if first < 0x80 else 8 - (first ^ 0xFF).bit_length()  # of the number, as in UTF-8
    if length == 0 or (first >= 0x80 and length == 1) or len(head) < 4 + length:
        return None
    number = first & (0x7F if length == 1 else 0x7F >> length)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    at = 4 + length
    code, rate = head[2] >> 4, head[2] & 15
    samples = BLOCK_SIZES[code]
    if code in (6, 7):
        samples = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    at += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not samples or len(head) <= at or head[at] != _crc8(head[:at]):
        return None
    begin = number if head[1] & 1 else number * block
    return begin + samples


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x107 if crc & 0x80 else 0)) & 0x1FF
    return crc
