"""What a file's bytes say of its samples."""

from typing import NamedTuple


class Layout(NamedTuple):
    """How far libsndfile's number of samples can be trusted.

    Attributes:
        known: the number is right.
        seekable: any sample can be sought, and what follows is the same as without seeking.
        size: bytes of the samples; libsndfile takes a little more for samples in some containers.
        counted: the right number instead of libsndfile's; None where that is not known.
        promised: what the header says, where it takes decoding to know whether that is true.
        missing: bytes of samples that are promised and not there, relative to those that are.
        behind: bytes that the header does not count and that are nothing else either, relative to
            those of the samples.
        content: what libsndfile must read instead of the file, lest it stops early.
        skip: samples at the beginning of `content` that are none of the file's.
        note: what is odd, in words that are the same for all such files; "" where nothing is.
    """

    known: bool = False
    seekable: bool = False
    size: int | None = None
    counted: int | None = None
    promised: int | None = None
    missing: float = 0.0
    behind: float = 0.0
    content: bytes | None = None
    skip: int = 0
    note: str = ""
