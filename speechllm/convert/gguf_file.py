"""A GGUF file: what it states, and its tensors. The reader is the `gguf` package of llama.cpp."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechllm.errors import ConfigError, DataError

AGAIN = "get the file again, all of it"
UNREADABLE = (ValueError, IndexError, KeyError, OverflowError, TypeError, MemoryError, EOFError)
"""What the package raises for a file that is cut off or damaged."""


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file holds.

    Attributes:
        path: of the file.
        place: what it is called in messages.
        version: of the format.
        architecture: e.g. "llama".
        fields: what it states, by key; long lists too are read only when asked for.
        tensors: `gguf.ReaderTensor`s by name.
    """

    path: Path
    place: str
    version: int
    architecture: str
    fields: dict[str, Any]
    tensors: dict[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """What is stated for a key."""
        if key not in self.fields:
            return default
        try:
            return self.fields[key].contents()
        except UNREADABLE as error:
            raise DataError(f"{key} cannot be read: {error}", self.place, None, AGAIN) from error

    def number(self, name: str, default: float | None = None) -> Any:
        """A positive number of the architecture, e.g. "block_count".

        Raises:
            DataError: it is not stated and there is no default, or it is no such number.
        """
        key = f"{self.architecture}.{name}"
        value = self.get(key, default)
        if value is None:
            raise DataError(f"does not state {key}", self.place, None, AGAIN)
        if type(value) not in (int, float) or not (math.isfinite(value) and value > 0):
            raise DataError(f"states {key} {value}, which is no positive number", self.place)
        return value


def read_gguf(path: Path, place: str) -> GgufFile:
    """Read what a file states; its tensors are mapped.

    Args:
        path: of the whole file.
        place: what it is called in messages.

    Raises:
        ConfigError: the gguf package is missing.
        DataError: it is no GGUF file, of an unknown version, cut off or damaged, or one of several.
    """
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ConfigError(
            "a GGUF file is read by the package gguf, which is not installed",
            "in the recipe's environment: pip install gguf (or speechllm[import])",
        ) from error
    with open(path, "rb") as stream:
        first = stream.read(4)
    if first != b"GGUF":
        message = f"is no GGUF file: it begins with {first!r}, not with b'GGUF'"
        raise DataError(message, place, remedy="name a .gguf file, whole or in parts")
    try:
        reader = GGUFReader(path)
        version = int(reader.get_field("GGUF.version").parts[-1][0])
    except UNREADABLE as error:
        said = str(error).splitlines()
        if said and "version" in said[0]:
            message = f"is of a version that the gguf package cannot read: {said[0]}"
            raise DataError(
                message, path, remedy="update gguf, or convert the model again"
            ) from error
        raise DataError("is cut off or damaged", place, remedy=AGAIN) from error
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    file = GgufFile(path, place, version, "", dict(reader.fields), tensors)
    parts = file.get("split.count", 0)
    if parts and parts > 1:
        raise DataError(
            f"is one of {parts} files of a model",
            place,
            remedy="make them one: llama-gguf-split --merge FIRST.gguf WHOLE.gguf",
        )
    architecture = file.get("general.architecture")
    if not isinstance(architecture, str):
        raise DataError("does not state general.architecture", place, None, AGAIN)
    return GgufFile(path, place, version, architecture, file.fields, tensors)
