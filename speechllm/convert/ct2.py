"""Reader of CTranslate2's model.bin: named tensors in one file, which is mapped, not loaded.

The layout is that of `ModelSpec._serialize` (CTranslate2, python/ctranslate2/specs/model_spec.py),
little-endian throughout: version u32, name of the spec, its revision u32, number of variables u32,
the variables, number of aliases u32, the aliases (alias, name). A variable is name, rank u8,
dimensions u32, type u8, bytes u32, values. A string is its length with the final zero u16, then its
bytes.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechllm.convert.remedies import AGAIN
from speechllm.errors import DataError
from speechllm.files.guarded import guarded

VERSIONS = range(4, 7)
"""Versions of the layout that can be read; before 4, variables had a width but no type."""
TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""Types of variables in the order of their numbers (include/ctranslate2/types.h)."""
WIDTH = {"float32": 4, "int8": 1, "int16": 2, "int32": 4, "float16": 2, "bfloat16": 2}
STORED = {"bfloat16": "<i2", "int8": "<i1", "int16": "<i2", "int32": "<i4"}
STORED |= {"float32": "<f4", "float16": "<f2"}
"""Types as numpy reads them; it has no bfloat16, whose bits are read as integers."""


@dataclass(frozen=True)
class Variable:
    """Tensor as it is stored.

    Attributes:
        type: one of `TYPES`.
        values: [its shape], mapped from the file; bfloat16 as int16 of the same bits.
    """

    type: str
    values: np.ndarray


@dataclass(frozen=True)
class Ct2Model:
    """Content of a model.bin.

    Attributes:
        spec: name of the kind of model, e.g. "WhisperSpec".
        revision: revision of that kind.
        variables: variables by name.
        aliases: further names of variables: alias -> name.
    """

    spec: str
    revision: int
    variables: dict[str, Variable]
    aliases: dict[str, str]


class _Ct2Reader:
    """Sequential reader; each call says what is read next, for the message of an error."""

    def __init__(self, path: Path, place: str):
        self.place = place
        self.size = path.stat().st_size
        # A private mapping, as torch wants memory that it may write to.
        self.bytes = np.memmap(path, np.uint8, "c") if self.size else np.empty(0, np.uint8)
        self.at = 0

    def take(self, size: int, what: str) -> np.ndarray:
        if self.at + size > self.size:
            message = f"ends at byte {self.size}, inside {what}: the file is cut off"
            raise DataError(message, self.place, remedy=AGAIN)
        self.at += size
        return self.bytes[self.at - size : self.at]

    def number(self, form: str, what: str) -> int:
        return struct.unpack("<" + form, self.take(struct.calcsize(form), what).tobytes())[0]

    def string(self, what: str) -> str:
        raw = self.take(self.number("H", what), what).tobytes()
        text = raw[:-1].decode("ascii", errors="replace")
        if raw[-1:] != b"\0" or not text.isprintable() or "\ufffd" in text:
            message = f"has no name at byte {self.at - len(raw)}, where {what} should be"
            raise DataError(message, self.place, remedy=AGAIN)
        return text


def read_ct2(path: Path, place: str) -> Ct2Model:
    """Map a model.bin; no tensor is read before it is used.

    Args:
        path: the whole file.
        place: name of the file in messages.

    Raises:
        DataError: it is no model.bin, of an unknown version, cut off or damaged.
    """
    file = _Ct2Reader(path, place)
    version = file.number("I", "its version")
    if version not in VERSIONS:
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
        if version > 100:
            first = file.bytes[:4].tobytes()
            message = (
                f"is no CTranslate2 model: it begins with {first!r}, not with a version ({known})"
            )
            raise DataError(message, place, remedy="name the model.bin of a CTranslate2 model")
        raise DataError(
            f"has version {version} of CTranslate2's format; {known} can be read",
            place,
            remedy="convert the model again with CTranslate2 4, or take its transformers folder",
        )
    spec, revision = file.string("the kind of model"), file.number("I", "the revision")
    variables: dict[str, Variable] = {}
    count = file.number("I", "the number of variables")
    for number in range(1, count + 1):
        name = file.string(f"the name of variable {number} of {count}")
        if name in variables:
            raise DataError(f"holds variable {name} twice", place, remedy=AGAIN)
        variables[name] = _variable(file, f"variable {name} ({number} of {count})")
    aliases: dict[str, str] = {}
    count = file.number("I", "the number of aliases")
    for number in range(1, count + 1):
        alias = file.string(f"alias {number} of {count}")
        aliases[alias] = file.string(f"alias {number} of {count}")
        if aliases[alias] not in variables or alias in variables:
            message = f"calls a variable {alias} that it does not hold: {aliases[alias]}"
            raise DataError(message, place, remedy=AGAIN)
    if file.at != file.size:
        raise DataError(
            f"goes on for {file.size - file.at} bytes after its end", place, remedy=AGAIN
        )
    return Ct2Model(spec, revision, variables, aliases)


def _variable(file: _Ct2Reader, what: str) -> Variable:
    rank = file.number("B", what)
    shape = tuple(file.number("I", what) for _ in range(rank))
    kind, size = file.number("B", what), file.number("I", what)
    if kind >= len(TYPES):
        raise DataError(f"{what} is of type {kind}, which is unknown", file.place, None, AGAIN)
    expected = WIDTH[TYPES[kind]]
    for dimension in shape:  # in Python's integers, which do not overflow
        expected *= dimension
    if size != expected:
        message = (
            f"{what} has {size} bytes, and its shape {list(shape)} of {TYPES[kind]} {expected}"
        )
        raise DataError(message, file.place, None, AGAIN)
    values = file.take(size, what)
    with guarded(file.place, f"{what} has a shape that no array has", remedy=AGAIN):
        return Variable(TYPES[kind], values.view(STORED[TYPES[kind]]).reshape(shape))
