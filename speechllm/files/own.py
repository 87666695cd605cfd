"""Readers of files that speechllm wrote; errors name a damaged file and how to make it anew."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.errors import DataError, SpeechLLMError, shell_word, shown
from speechllm.files.guarded import guarded
from speechllm.files.layout import LANGUAGE_MODEL, MODEL, REFERENCE, RUN

if TYPE_CHECKING:
    from torch import Tensor


class Own(dict[str, Any]):
    """Mapping from a file that speechllm wrote; a missing key raises a DataError.

    Attributes:
        path: the file.
        remedy: what makes the file anew.
    """

    path: Path | None = None
    remedy: str | None = None

    def __missing__(self, key: str) -> Any:
        raise DataError(f"is damaged: there is no '{key}'", self.path, remedy=self.remedy)

    def get(self, key: str, default: Any = None) -> Any:
        """Value of a key, or the default; where that is a mapping, the value has to be one.

        Raises:
            DataError: it is another value.
        """
        value = super().get(key, default)
        if isinstance(default, dict) and not isinstance(value, dict):
            raise DataError(f"is damaged: '{key}' is no mapping", self.path, remedy=self.remedy)
        return value


def made_again(place: str | Path) -> str:
    """Remedy for a damaged file: remove `place` (the file or a folder), run the stage again."""
    again = "run the stage that makes it again"
    if not os.path.lexists(place):
        return again
    return f"{'rm -r' if os.path.isdir(place) else 'rm'} {shell_word(place)}, then {again}"


def read_json(path: str | Path, remedy: str | None = None) -> Any:
    """Read a JSON file that speechllm wrote.

    Args:
        path: the file.
        remedy: remedy if it is damaged; by default, to make this file again.

    Raises:
        DataError: it cannot be read or is damaged. A missing key raises it when it is looked up.
    """
    remedy = remedy or made_again(path)
    content = _content(path, remedy)
    with guarded(path, "is damaged, no JSON", remedy=remedy):
        return _own(json.loads(content), Path(path), remedy)


def read_mapping(path: str | Path, remedy: str | None = None) -> Own:
    """Read a JSON object, or a yaml mapping, that speechllm wrote; otherwise like `read_json`.

    Raises:
        DataError: it cannot be read, is damaged, or is no mapping.
    """
    if Path(path).suffix == ".yaml":
        found = _read_yaml(Path(path), remedy or made_again(path))
    else:
        found = read_json(path, remedy)
    if not isinstance(found, Own):
        message = "is damaged: no mapping of keys to values"
        raise DataError(message, path, remedy=remedy or made_again(path))
    return found


def _read_yaml(path: Path, remedy: str) -> Any:
    from speechllm.files.strict_yaml import load_yaml

    content = _content(path, remedy)
    with guarded(path, "is damaged, no yaml", remedy=remedy):
        return _own(load_yaml(content.decode("utf-8")), path, remedy)


def read_json_rows(path: str | Path, remedy: str | None = None, grows: bool = False) -> list[Any]:
    """Read a file of JSON lines that speechllm wrote; otherwise like `read_json`.

    Args:
        path: the file.
        remedy: remedy if it is damaged.
        grows: the file grows line by line; a half-written last line is left out.
    """
    remedy = remedy or made_again(path)
    *lines, last = _content(path, remedy).split(b"\n")
    rows = []
    for number, line in enumerate(lines if grows or not last else [*lines, last], 1):
        with guarded(path, "is damaged, no JSON", number, remedy):
            rows.append(_own(json.loads(line), Path(path), remedy))
    return rows


def read_objects(path: str | Path, remedy: str | None = None) -> list[Own]:
    """Read a growing file of JSON objects, one a line; otherwise like `read_json_rows`.

    Raises:
        DataError: it cannot be read, is damaged, or a line is no object.
    """
    rows = read_json_rows(path, remedy, grows=True)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Own):
            message = "is damaged: not a JSON object"
            raise DataError(message, path, number, remedy or made_again(path))
    return rows


def read_by_id(path: str | Path, remedy: str | None = None) -> dict[str, Own]:
    """Read JSON objects by their `id`; otherwise like `read_objects`.

    Raises:
        DataError: it cannot be read, is damaged, or a line has no id.
    """
    rows = {}
    for number, row in enumerate(read_objects(path, remedy), 1):
        if not isinstance(row.get("id"), str):
            message = "is damaged: not a JSON object with an id"
            raise DataError(message, path, number, remedy or made_again(path))
        rows[row["id"]] = row
    return rows


PACKED_AGAIN = "copy the whole packed folder again, or remove it and run the stage pack again"
"""Remedy for damage in a packed folder."""


def made_again_bundle(bundle: Path) -> str:
    """Remedy for a damaged or missing bundle, of a run or in a packed folder."""
    if bundle.name == MODEL:
        run = bundle.parent / RUN
        others = (REFERENCE, LANGUAGE_MODEL)
        if not bundle.exists() and run.is_file() and read_mapping(run).get("kind") in others:
            return "it is of no Speech LLM: name the folder of a base or an adapted model"
        return made_again(bundle.parent)
    return PACKED_AGAIN


def cut_half_line(path: Path) -> None:
    """Cut off a half-written last line that a killed run left."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as stream:
            stream.truncate(whole)


def read_tensors(
    path: str | Path, remedy: str | None = None, sha256: str | None = None
) -> "dict[str, Tensor]":
    """Read a safetensors file that speechllm wrote.

    Args:
        path: the file.
        remedy: see `read_json`.
        sha256: hash of the file when it was written; None if an older version did not note it.

    Raises:
        DataError: it cannot be read, is damaged, or has another hash.
    """
    from safetensors.torch import load_file

    remedy = remedy or made_again(path)
    _check_there(path, remedy)
    if sha256:
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            raise DataError("is not what was written", path, remedy=remedy)
    with guarded(path, "is damaged, no tensors", remedy=remedy):
        return load_file(path)


def check_format(written: object, known: int, folder: Path) -> None:
    """Refuse a folder that a newer speechllm wrote.

    Args:
        written: format number in the folder's description.
        known: newest format that this version reads.
        folder: the folder, for the message.

    Raises:
        SpeechLLMError: `written` is no integer, or above `known`.
    """
    if not isinstance(written, int) or written > known:
        message = f"{folder} is of format {shown(written)}; this speechllm reads up to {known}"
        raise SpeechLLMError(message, "update speechllm")


def _content(path: str | Path, remedy: str) -> bytes:
    _check_there(path, remedy)
    with guarded(path, "cannot be read"):
        return Path(path).read_bytes()


def _check_there(path: str | Path, remedy: str) -> None:
    if not os.path.exists(path):
        raise DataError("no such file", path, remedy=remedy)


def _own(value: Any, path: Path, remedy: str) -> Any:
    if isinstance(value, dict):
        own = Own({key: _own(part, path, remedy) for key, part in value.items()})
        own.path, own.remedy = path, remedy
        return own
    return [_own(part, path, remedy) for part in value] if isinstance(value, list) else value
