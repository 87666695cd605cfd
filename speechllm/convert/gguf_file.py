"""Reader of GGUF files: metadata and tensors, by the `gguf` package of llama.cpp."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechllm.convert.remedies import AGAIN
from speechllm.errors import ConfigError, DataError, shown
from speechllm.files.guarded import guarded

NEWER = "update gguf (pip install -U gguf); if it is new, get the file again, or convert it again"
FAULTS = {
    r".*version (\d+) which": ("is of version {}, which the gguf package cannot read", NEWER),
    r".*?(\d+)\)? is not a valid GGMLQuantizationType": (
        "stores a tensor as type {}, which the gguf package does not know",
        NEWER,
    ),
    r".*?(\d+)\)? is not a valid GGUFValueType": (
        "states a value of type {}, which the gguf package does not know",
        NEWER,
    ),
    r"\W*Duplicate (.+) already in list": ("states {} twice", AGAIN),
    r"Found duplicated tensor with name (.+)": ("holds the tensor {} twice", AGAIN),
}
"""Errors of the gguf package with a message and remedy of their own; all others mean damage."""


@dataclass(frozen=True)
class GgufFile:
    """Content of a GGUF file.

    Attributes:
        path: the file.
        place: name of the file in messages.
        version: version of the format.
        architecture: name of the architecture, e.g. "llama".
        fields: metadata by key, as `gguf.ReaderField`s; a value is read only when asked for.
        tensors: `gguf.ReaderTensor`s by name.
    """

    path: Path
    place: str
    version: int
    architecture: str
    fields: dict[str, Any]
    tensors: dict[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """Value of a metadata key, or `default` if the file does not state it."""
        if key not in self.fields:
            return default
        with guarded(self.place, f"{key} cannot be read", remedy=AGAIN):
            return self.fields[key].contents()

    def number(self, name: str, default: float | None = None) -> Any:
        """Positive number in the architecture's metadata, e.g. "block_count".

        Raises:
            DataError: it is not stated and there is no default, or it is no positive number.
        """
        key = f"{self.architecture}.{name}"
        value = self.get(key, default)
        if value is None:
            raise DataError(f"does not state {key}", self.place, remedy=AGAIN)
        if type(value) not in (int, float) or not (math.isfinite(value) and value > 0):
            message = f"states {key} {shown(value)}, which is no positive number"
            raise DataError(message, self.place, remedy=AGAIN)
        return value


def read_gguf(path: Path, place: str) -> GgufFile:
    """Open a GGUF file: its metadata are read, its tensors are mapped.

    Args:
        path: the whole file.
        place: name of the file in messages.

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
    with guarded(place, "is cut off or damaged", remedy=AGAIN):
        try:
            reader = GGUFReader(path)
        except (ValueError, KeyError) as error:
            raise _named(error, place) or error from error
        version = int(reader.get_field("GGUF.version").parts[-1][0])
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    file = GgufFile(path, place, version, "", dict(reader.fields), tensors)
    parts = file.get("split.count", 0)
    if parts not in (0, 1):
        raise DataError(
            f"is one of {shown(parts)} files of a model",
            place,
            remedy="make them one: llama-gguf-split --merge FIRST.gguf WHOLE.gguf",
        )
    architecture = file.get("general.architecture")
    if not isinstance(architecture, str):
        raise DataError("does not state general.architecture", place, remedy=AGAIN)
    return GgufFile(path, place, version, architecture, file.fields, tensors)


def _named(error: Exception, place: str) -> DataError | None:
    """Error for a fault in `FAULTS`; None for any other."""
    for pattern, (message, remedy) in FAULTS.items():
        if match := re.match(pattern, str(error)):
            return DataError(message.format(match[1]), place, remedy=remedy)
    return None
