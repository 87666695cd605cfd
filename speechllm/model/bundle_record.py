"""Check that a bundle, and the models that it builds on, are unchanged since training.

`model.json` has the hash of the tensors. `made_from.json` beside it records both files and, in a
base's bundle, the pretrained models' files. Imports no torch, so finished work is found quickly.
"""

import os
from pathlib import Path
from typing import Any

from speechllm.config import ModelConfig, parse
from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.layout import DESCRIPTION, RUN, TENSORS
from speechllm.files.made_from import (
    MADE_FROM,
    changed_since,
    digest,
    refuse_changes,
    write_record,
)
from speechllm.files.own import made_again_bundle, read_mapping
from speechllm.files.whole import sha256_of
from speechllm.pretrained import model_files

SHA256, PARENT = "sha256", "parent"
"""Keys of model.json: hash of the tensors; bundle that this one was adapted from."""
PRETRAINED = ("speech_llm", "encoder", "llm")
"""Keys of ModelConfig that name pretrained models."""


def model_config(bundle: Path) -> ModelConfig:
    """Settings of a bundle's model."""
    path = bundle / DESCRIPTION
    return parse(ModelConfig, read_mapping(path, made_again_bundle(bundle))["model"], path)


def pretrained_files(config: ModelConfig, weights: bool = True) -> dict[str, Path]:
    """Files of the pretrained models, named `<key>/<file>`, with or without their weights."""
    files: dict[str, Path] = {}
    for key in PRETRAINED:
        if name := getattr(config, key):
            files |= model_files(key, name, weights)
    return files


def write_bundle_record(bundle: Path) -> None:
    """Record the files of a bundle just written and, for a base, its pretrained models' files."""
    write_record(bundle / MADE_FROM, _files(bundle, read_mapping(bundle / DESCRIPTION)))


def check_bundle(bundle: Path, moved: bool = False) -> None:
    """Raise an error if a trained model, or a model that it builds on, has changed since.

    Args:
        bundle: the bundle's folder.
        moved: the pretrained models lie elsewhere now, and were checked there.

    Raises:
        DataError: a file of the bundle is damaged; the error names it.
        SpeechLLMError: a parent or a pretrained model has changed since.
    """
    record = bundle / MADE_FROM
    description = read_mapping(bundle / DESCRIPTION, made_again_bundle(bundle))
    if changed_since(record, {DESCRIPTION: bundle / DESCRIPTION}, partly=True):
        raise _damaged(bundle / DESCRIPTION, description)
    files = _files(bundle, description) if not moved else {TENSORS: bundle / TENSORS}
    names = changed_since(record, files, partly=moved)
    if not _is_whole(bundle, description):
        raise _damaged(bundle / TENSORS, description)
    anew = f"rm -r {shell_word(bundle.parent)}, and run stage {_stage(description)} again"
    if not moved:
        refuse_changes(bundle.parent, names, anew)
    if PARENT in description:
        parent = parent_of(bundle, description)
        check_bundle(parent, moved)
        if sha256_of([parent / TENSORS]) != description["parent_sha256"]:
            raise SpeechLLMError(
                f"{bundle} was adapted from {parent}, which has changed since", anew
            )


def _is_whole(bundle: Path, description: dict[str, Any]) -> bool:
    """Whether the tensors are those that were written, by the hash in model.json if it has one."""
    tensors = bundle / TENSORS
    return tensors.is_file() and description.get(SHA256) in (None, digest(tensors))


def parent_of(bundle: Path, description: dict[str, Any]) -> Path:
    """Folder of the bundle that a bundle was adapted from."""
    return Path(os.path.normpath(bundle / description[PARENT]))


def _files(bundle: Path, description: dict[str, Any]) -> dict[str, Path]:
    own = {name: bundle / name for name in (TENSORS, DESCRIPTION)}
    if PARENT in description:
        return own
    return own | pretrained_files(parse(ModelConfig, description["model"], bundle / DESCRIPTION))


def trained_anew(bundle: Path, description: dict[str, Any]) -> str:
    """Remedy for a damaged bundle: how to train it again.

    A stage trains a run again if the run lacks run.json, its last file.
    """
    run = bundle.parent
    if not (run / RUN).is_file():
        return made_again_bundle(bundle)
    return f"rm {shell_word(run / RUN)}, and run stage {_stage(description)} again: it trains anew"


def _damaged(path: Path, description: dict[str, Any]) -> DataError:
    remedy = trained_anew(path.parent, description)
    return DataError("is not what was written", path, remedy=remedy)


def _stage(description: dict[str, Any]) -> str:
    return "5 (adapt)" if PARENT in description else "4 (base)"
