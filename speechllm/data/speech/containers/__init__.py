"""Number of samples by the bytes of an audio file, where libsndfile does not tell the truth: the
file promises more than it holds, holds more than it promises, or promises nothing.
"""

from typing import BinaryIO

from speechllm.data.speech.containers import chunks, flac, mp3, ogg
from speechllm.data.speech.containers.layout import Layout

__all__ = ["Layout", "layout_of"]


def layout_of(stream: BinaryIO) -> Layout:
    """Examine a file; libsndfile is left to refuse bytes that are no audio."""
    begin = mp3.behind_tags(stream)
    stream.seek(begin)
    if stream.read(4) == b"fLaC":
        return flac.layout(stream, begin)
    stream.seek(0)
    head = stream.read(12)
    if head[:4] == b"OggS":
        return ogg.layout(stream)
    if mp3.may_be(head):
        return mp3.layout(stream)
    return chunks.layout(stream, head)
