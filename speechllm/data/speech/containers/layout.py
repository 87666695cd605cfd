"""Result of examining the bytes of an audio file."""

from typing import NamedTuple


class Layout(NamedTuple):
    """Trust in libsndfile's number of samples, and what to correct.

    Attributes:
        known: libsndfile's number is right.
        seekable: any sample can be sought, and what follows is the same as without seeking.
        size: bytes of the samples; in some containers libsndfile reads a little beyond them.
        counted: the right number instead of libsndfile's; None where that is not known.
        promised: number by the header, where only decoding shows whether it is true.
        missing: bytes of samples that are promised and not there, relative to those that are.
        behind: bytes that the header does not count and that are nothing else either, relative to
            those of the samples.
        content: bytes that libsndfile must read instead of the file, or it would stop early.
        skip: samples at the beginning of `content` that are not the file's.
        note: oddity of the file, worded equally for all such files; "" where there is none.
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
