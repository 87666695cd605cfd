"""Check that a run's folder fits its settings. Imports no torch, to find finished runs quickly."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel

from speechllm.adapt.run_files import named_files, set_files
from speechllm.config import BaseConfig, as_of_today, changed_keys
from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.layout import CONFIG, DESCRIPTION, LANGUAGE_MODEL, LOG, MODEL, RUN, TENSORS
from speechllm.files.locks import LOCK, locked_folder
from speechllm.files.made_from import MADE_FROM, Files, changed_since, refuse_changes, write_record
from speechllm.files.own import made_again, read_mapping
from speechllm.files.processes import is_first_rank
from speechllm.files.whole import clean_up, sha256_of, whole_file
from speechllm.lm.folder import check_lm
from speechllm.model.bundle_record import check_bundle, model_config, pretrained_files
from speechllm.model.description import task_of
from speechllm.pretrained import encoder_key
from speechllm.task import Task

if TYPE_CHECKING:
    from speechllm.adapt.method import Method


@dataclass(frozen=True)
class RunInputs:
    """Inputs of a run besides its config.

    Attributes:
        names: entries of `inputs` in its config.yaml.
        files: files whose hashes are recorded in its made_from.json.
        encoder: encoder of a base; a config.yaml of an older version has its hash in `inputs`.
    """

    names: Mapping[str, Any]
    files: Files = field(default_factory=dict)
    encoder: str | None = None


def base_inputs(
    config: BaseConfig,
    task: Task,
    train: Sequence[Path],
    dev: Sequence[Path],
    dump: Path | None,
) -> RunInputs:
    """Inputs of a base run besides its config.

    Args:
        config: config of the base.
        task: task of its model.
        train, dev: data dirs.
        dump: root of the feature cache; None: audio is not looked at.

    Raises:
        DataError: audio has changed since its features were made.
    """
    model = config.model
    names = {key: [str(p) for p in paths] for key, paths in (("train", train), ("dev", dev))}
    files = pretrained_files(model) | set_files([*train, *dev], model, task, dump)
    return RunInputs({**names, "encoder": model.audio_model}, files, model.audio_model)


def adapt_inputs(
    method: "Method", base: Path, sets: Mapping[str, Sequence[Path]], dump: Path | None
) -> RunInputs:
    """Inputs of an adaptation besides its config.

    Args:
        method: method; the files that its settings name count too.
        base: folder of the base run.
        sets: data dirs by role: source, target, source_dev, target_dev.
        dump: as for `base_inputs`.

    Raises:
        SpeechLLMError: the base model is missing, or a model that it stands on has changed.
        DataError: the base model is damaged, or audio has changed since its features were made.
    """
    if not (base / RUN).is_file():
        raise SpeechLLMError(f"{base} holds no finished base model", "run stage 4 (base) first")
    check_bundle(base / MODEL)
    digest = sha256_of([base / MODEL / TENSORS])
    names = {key: [str(path) for path in paths] for key, paths in sets.items()}
    files = adapt_files(method, base, sets, dump)
    return RunInputs({"base": str(base), "base_sha256": digest, **names}, files)


def adapt_files(
    method: "Method", base: Path, sets: Mapping[str, Sequence[Path]], dump: Path | None
) -> Files:
    """Files of `adapt_inputs`: those that the settings name, and those of the sets.

    Args:
        method, base, sets, dump: as for `adapt_inputs`.

    Raises:
        DataError: audio has changed since its features were made.
    """
    model, task = model_config(base / MODEL), task_of(base)
    files: dict[str, Path | None] = dict(named_files(method.model_dump(mode="json")))
    for role, paths in sets.items():
        files |= set_files(paths, model, task, dump, method.reads_target_text or role != "target")
    return files


@contextmanager
def claimed(folder: Path, config: BaseModel, inputs: RunInputs) -> Iterator[bool]:
    """Lock a run's folder while the block runs; yield whether there is anything left to do.

    Args:
        folder: folder of the run.
        config: config of the run.
        inputs: its other inputs.

    Raises:
        SpeechLLMError: as `is_finished`; or another process is at work there.
        DataError: as `is_finished`.
    """
    if (folder / RUN).is_file() and is_finished(folder, config, inputs):  # it may be read-only
        clean_up(folder / LOCK)
        yield False
        return
    with locked_folder(folder):
        yield not is_finished(folder, config, inputs)


def training_sets(folder: Path) -> list[Path]:
    """Data dirs that a run learnt from (for an adaptation: the source's) and that still exist.

    Args:
        folder: folder of the run; without a config there are none.
    """
    path = folder / CONFIG
    inputs = read_mapping(path, made_again(folder)).get("inputs", {}) if path.is_file() else {}
    return [p for p in map(Path, inputs.get("train") or inputs.get("source") or ()) if p.is_dir()]


def is_finished(folder: Path, config: BaseModel, inputs: RunInputs) -> bool:
    """Whether the run in `folder` was trained to its end with these very settings and files.

    Where training has not begun, settings and hashes are written there, so that it can start.

    Args:
        folder: folder of the run.
        config: config of the run.
        inputs: its other inputs.

    Raises:
        SpeechLLMError: training began there with other settings, or from other files; names what
            differs.
        DataError: the run's files are damaged.
    """
    wanted = {"config": config.model_dump(mode="json"), "inputs": dict(inputs.names)}
    path, other = folder / CONFIG, f"rm -r {shell_word(folder)}, or name another folder with --exp"
    ended = (folder / RUN).is_file()
    if ended and not path.is_file():
        raise DataError("no such file", path, remedy=_trained_anew(folder))
    if ended or (path.is_file() and any(folder.rglob(LOG))):
        found = read_mapping(path, made_again(folder))
        found["config"] = as_of_today(type(config), found["config"])
        if inputs.encoder and "sha256" in found["inputs"]:
            wanted["inputs"] |= encoder_key(inputs.encoder)
        if changed := changed_keys(found, wanted):
            raise SpeechLLMError(
                f"{folder} was made with other settings: {', '.join(changed)}",
                f"undo the change, or {other}",
            )
        refuse_changes(folder, changed_since(folder / MADE_FROM, inputs.files), other)
    elif is_first_rank():
        write_record(folder / MADE_FROM, inputs.files)
        with whole_file(path) as stream:
            yaml.safe_dump(wanted, stream, sort_keys=False, allow_unicode=True)
    return _has_ended(folder)


def _has_ended(folder: Path) -> bool:
    """Whether a run has ended; raises DataError if its result is damaged."""
    if not (folder / RUN).is_file():
        return False
    remedy = _trained_anew(folder)
    if read_mapping(folder / RUN, remedy)["kind"] == LANGUAGE_MODEL:
        check_lm(folder)
    elif not (folder / MODEL / DESCRIPTION).is_file():
        raise DataError("there is no such file", folder / MODEL / DESCRIPTION, remedy=remedy)
    else:
        check_bundle(folder / MODEL)
    return True


def _trained_anew(folder: Path) -> str:
    """Remedy for a finished run that is damaged."""
    return f"rm {shell_word(folder / RUN)}, and run the stage again: it trains anew"
