"""Ogg (Vorbis, Opus): pages; the last one of a stream is marked."""

import os
from typing import BinaryIO

from speechllm.data.speech.containers.layout import Layout

PAGE = 27  # bytes of a page's header, before the lengths of its segments
FIRST, LAST = 2, 4  # of a page's flags


def layout(stream: BinaryIO) -> Layout:
    """Look for the end mark, and for further streams after it, which are not decoded."""
    size = stream.seek(0, os.SEEK_END)
    at, ended, streams = 0, False, 0
    while at + PAGE <= size:
        stream.seek(at)
        head = stream.read(PAGE)
        if head[:4] != b"OggS":
            break
        lengths = stream.read(head[26])
        if head[5] & FIRST and ended:
            note = "Ogg file holds several streams, of which only the first is read"
            return Layout(note=note)
        streams += bool(head[5] & FIRST)
        ended = bool(head[5] & LAST)
        at += PAGE + head[26] + sum(lengths)
    return Layout(note="" if ended and at <= size else "Ogg stream has no end: is it truncated?")
