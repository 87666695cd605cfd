"""MP3: a sequence of frames. The first one may hold their number (Xing, Info, VBRI).

Without that, libsndfile estimates the number from the first frame's bit rate, and reads no further.
A silent frame of the lowest bit rate before the others makes the estimate high enough.
"""

from typing import BinaryIO, NamedTuple

from speechllm.data.speech.containers.layout import Layout

RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
# By (version 1 or not, layer): kbit/s of the codes 1 to 14.
KBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
KIND = 0xFFFE0C00  # bits of a header that are the same in all frames: version, layer, rate
MONO = 0xC0  # both bits of the channel mode; any other one is of two channels
BITRATE_AND_PADDING, LEAST_BITRATE, NO_CHECKSUM = 0xF200, 0x1000, 0x10000
ID3 = (21, 14, 7, 0)  # shifts of the four bytes of a tag's length
APE = b"APETAGEX"
SEARCHED = 1 << 20  # bytes that are no frame, within which the next frame is looked for


class Frame(NamedTuple):
    """Length of a frame in bytes and in samples, by its header."""

    size: int
    samples: int


def may_be(head: bytes) -> bool:
    """Whether libsndfile reads a file that begins so as MP3. Files that begin with other tags it
    takes for MP3 by their names."""
    is_frame = head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0
    return is_frame or head[:3] == b"ID3" or head[:8] == APE


def layout(stream: BinaryIO) -> Layout:
    """Count the frames, and compare their number with the one in the first frame."""
    begin = behind_tags(stream)
    stream.seek(0)
    content = stream.read()
    first = _next_frame(content, begin, None)
    if first is None:
        return Layout()
    head = _head(content, first)
    frame = _frame(head)
    assert frame is not None
    count, is_whole, at = _count(content, first)
    last, note = _frame(_head(content, at)), ""
    if last and at + last.size > len(content):
        note = "MP3 file ends in the midst of a frame: is it truncated?"
    elif _next_frame(content, at, None) is not None:
        note = "MP3 file changes its rate or channels, and is read up to there"
    tag = _frames_by_tag(content[first : first + frame.size])
    if tag is not None and tag >= count - 1:  # some count the frame that the tag is in, or lack one
        known = is_whole and tag < count
        return Layout(known=known, missing=max(tag - count, 0) / count, note=note)
    if tag is not None:
        first += frame.size
        count -= 1
        note = "header of the MP3 file counts fewer frames than it holds: all are read"
    silent = head & ~BITRATE_AND_PADDING | LEAST_BITRATE | NO_CHECKSUM
    shortest = _frame(silent)
    assert shortest is not None
    return Layout(
        counted=count * frame.samples if is_whole else None,
        content=silent.to_bytes(4, "big").ljust(shortest.size, b"\0") + content[first:],
        skip=frame.samples,
        note=note,
    )


def _head(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")


def _kind(head: int) -> tuple[int, bool]:
    """Properties that all frames of a file share: version, layer, rate, and whether it is mono."""
    return head & KIND, head & MONO == MONO


def _frame(head: int) -> Frame | None:
    """Parse a header of 32 bits; None if it is no header, or that of a free-format frame."""
    version, layer = head >> 19 & 3, 4 - (head >> 17 & 3)
    bitrate, rate = head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or layer == 4 or rate == 3 or not 0 < bitrate < 15:
        return None
    is_first = version == 3
    bits = 1000 * KBITS[is_first, layer][bitrate - 1]
    padding = head >> 9 & 1
    if layer == 1:
        return Frame((12 * bits // RATES[version][rate] + padding) * 4, 384)
    samples = 1152 if is_first or layer == 2 else 576
    return Frame(samples // 8 * bits // RATES[version][rate] + padding, samples)


def behind_tags(stream: BinaryIO) -> int:
    """Offset of the first byte after the ID3 tags at the beginning of a file."""
    at = 0
    while True:
        stream.seek(at)
        head = stream.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            return at
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], ID3, strict=True))
        at += 10 + size + 10 * bool(head[5] & 0x10)


def _next_frame(content: bytes, at: int, kind: tuple[int, bool] | None) -> int | None:
    """Offset of the next frame (of this kind) that is followed by another, or ends the file."""
    end_of_search = at + SEARCHED
    while (at := content.find(b"\xff", at, end_of_search)) >= 0:
        head = _head(content, at)
        frame = _frame(head)
        if frame and kind in (None, _kind(head)):
            end = at + frame.size
            if end == len(content) or _kind(_head(content, end)) == _kind(head):
                return at
        at += 1
    return None


def _count(content: bytes, at: int) -> tuple[int, bool, int]:
    """Number of frames from the first one on, whether nothing but frames and tags is there, and
    the offset where the last frame ends."""
    count, is_whole, kind = 0, True, _kind(_head(content, at))
    while True:
        head = _head(content, at)
        frame = _frame(head) if _kind(head) == kind else None
        if frame and at + frame.size <= len(content):
            count += 1
            at += frame.size
            continue
        found = None if frame else _next_frame(content, at + 1, kind)
        if found is None:
            is_tag = content[at : at + 3] == b"TAG" or content[at : at + 8] == APE
            return count, is_whole and (at == len(content) or is_tag), at
        at, is_whole = found, False


def _frames_by_tag(frame: bytes) -> int | None:
    """Number of frames by the tag of a first frame, which then holds no sound; None without tag."""
    for name in (b"Xing", b"Info"):
        at = frame.find(name, 4, 44)
        if at >= 0 and len(frame) >= at + 12 and frame[at + 7] & 1:
            return _head(frame, at + 8)
    return _head(frame, 50) if frame[36:40] == b"VBRI" and len(frame) >= 54 else None
