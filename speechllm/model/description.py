"""Description stored with a trained model: its task, and the labels of its training data.

Imports no torch.
"""

from pathlib import Path
from typing import Any

from speechllm.errors import DataError
from speechllm.files.layout import DESCRIPTION, MODEL, RUN
from speechllm.files.own import made_again, made_again_bundle, read_mapping
from speechllm.task import Labels, Task, load_task

LABELS = "labels"
"""Key of the labels in a bundle's description."""


def task_of(model: Path) -> Task:
    """Task of a run's folder, from its bundle or else run.json; `asr` where neither names one.

    Raises:
        ConfigError: there is no task of that name.
        DataError: the description of the bundle or the run is damaged.
    """
    bundle = model / MODEL
    if not (bundle / DESCRIPTION).is_file() and (model / RUN).is_file():
        return load_task(read_mapping(model / RUN, made_again(model)).get("task", "asr"))
    config = _description(bundle).get("model", {})
    if not isinstance(config, dict):
        message = "is damaged: `model` is no mapping of keys to values"
        raise DataError(message, bundle / DESCRIPTION, remedy=made_again_bundle(bundle))
    return load_task(config.get("task", "asr"))


def labels_of(model: Path) -> Labels | None:
    """Labels that the model in a run's folder has seen in training; None if it has none."""
    return bundle_labels(model / MODEL)


def bundle_labels(bundle: Path) -> Labels | None:
    """Labels stored in a bundle; None if it has none."""
    return _description(bundle).get(LABELS)


def with_labels(one: Labels, other: Labels) -> Labels:
    """Labels of both, by kind, sorted."""
    kinds = sorted(one.keys() | other.keys())
    return {kind: sorted({*one.get(kind, ()), *other.get(kind, ())}) for kind in kinds}


def _description(bundle: Path) -> dict[str, Any]:
    path = bundle / DESCRIPTION
    return read_mapping(path, made_again_bundle(bundle)) if path.is_file() else {}
