"""A run's folder belongs to its settings. Imports no torch, so finished work is found quickly."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from speechllm.config import BaseConfig, as_of_today, changed_keys
from speechllm.errors import SpeechLLMError
from speechllm.files import sha256_of, whole_file
from speechllm.layout import CONFIG, LOG, MODEL, RUN, TENSORS
from speechllm.locks import locked_folder
from speechllm.pretrained import encoder_key
from speechllm.processes import is_first_rank


def base_inputs(config: BaseConfig, train: Sequence[Path], dev: Sequence[Path]) -> dict[str, Any]:
    """What a base run depends on besides its config."""
    sets = {"train": train, "dev": dev}
    names = {key: [str(path) for path in paths] for key, paths in sets.items()}
    return {**names, **encoder_key(config.model.audio_model)}


def adapt_inputs(base: Path, sets: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
    """What an adaptation depends on besides its config.

    Raises:
        SpeechLLMError: the base model is not there.
    """
    tensors = base / MODEL / TENSORS
    if not (base / RUN).is_file():
        raise SpeechLLMError(f"{base} holds no finished base model", "run stage 4 (base) first")
    names = {key: [str(path) for path in paths] for key, paths in sets.items()}
    return {"base": str(base), "base_sha256": sha256_of([tensors]), **names}


@contextmanager
def claimed(folder: Path, config: BaseModel, inputs: Mapping[str, Any]) -> Iterator[bool]:
    """Hold a run's folder while the block runs; yield whether there is anything left to do.

    Raises:
        SpeechLLMError: as `is_finished`; or another process is at work there.
    """
    if (folder / RUN).is_file() and is_finished(folder, config, inputs):  # it may be read-only
        yield False
        return
    with locked_folder(folder):
        yield not is_finished(folder, config, inputs)


def is_finished(folder: Path, config: BaseModel, inputs: Mapping[str, Any]) -> bool:
    """Whether the run in `folder` was trained to its end with these very settings.

    Otherwise the settings are written there, so that the run can start or go on.

    Raises:
        SpeechLLMError: training began there with other settings; names the keys that differ.
    """
    wanted = {"config": config.model_dump(mode="json"), "inputs": dict(inputs)}
    path = folder / CONFIG
    if path.is_file() and any(folder.rglob(LOG)):
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        found["config"] = as_of_today(type(config), found["config"])
        if changed := changed_keys(found, wanted):
            raise SpeechLLMError(
                f"{folder} was made with other settings: {', '.join(changed)}",
                f"undo the change, or rm -r {folder}, or name another folder with --exp",
            )
    elif is_first_rank():
        with whole_file(path) as stream:
            yaml.safe_dump(wanted, stream, sort_keys=False, allow_unicode=True)
    return (folder / RUN).is_file()
