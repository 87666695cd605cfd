"""Origin of imported pretrained models: the record in a folder, for run.json and reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.files.layout import SOURCE
from speechllm.files.own import read_mapping

if TYPE_CHECKING:
    from speechllm.config import ModelConfig


def source_of(folder: str | Path) -> dict[str, Any] | None:
    """The record that `speechllm import-model` left in a folder; None for any other model.

    Raises:
        DataError: the record is damaged.
    """
    path = Path(folder) / SOURCE
    if not path.is_file():
        return None
    return read_mapping(path, "import the model again: speechllm import-model --help")


def sources_of(model: "ModelConfig") -> dict[str, dict[str, Any]]:
    """Records of the imported models among those that a config names, by config key."""
    names = {"encoder": model.encoder, "llm": model.llm, "speech_llm": model.speech_llm}
    found = {key: source_of(name) for key, name in names.items() if name}
    return {key: dict(source) for key, source in found.items() if source is not None}


def in_words(source: Mapping[str, Any]) -> str:
    """Write a record in one line: format, packages with versions, type of weights, licence."""
    packages = [f"{p.get('name')} {p.get('version')}" for p in source.get("packages") or ()]
    of = f" of {' and '.join(packages)}" if packages else ""
    stored = source.get("stored") or source.get("dtype")
    was = f" from {stored}" if stored != source.get("dtype") else ""
    licence = source.get("licence") or "not stated"
    return f"{source.get('format')}{of}, {source.get('dtype')}{was}, licence {licence}"
