"""Modules of a build, which may be an older one: they have moved since, and some ask for less."""

import importlib
import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# Now, and before (98c4fd8 to bf0be5b).
MOVED = {
    "data.dirs.kaldi": "data.kaldi",
    "data.speech.audio": "data.audio",
    "decode.search.search": "decode.search",
    "model.compute.precision": "model.precision",
    "model.encoder.encoder": "model.encoder",
    "slot.collate": "data.collate",
    "slot.corpus": "data.corpus",
    "slot.mixing": "adapt.mixing",
    "slot.mixture": "data.mixture",
    "slot.views": "data.views",
    "task": "tasks.task",
}


def module(name: str) -> ModuleType:
    """`speechllm.<name>`, or what stands in its place in the build that is imported."""
    try:
        return importlib.import_module(f"speechllm.{name}")
    except ModuleNotFoundError as error:
        if name not in MOVED or not (error.name or "").startswith("speechllm"):
            raise
        return importlib.import_module(f"speechllm.{MOVED[name]}")


def of_one_process(mixture: type, *words: Any) -> Any:
    """Mixture for one process; older builds have to be told so."""
    told = "world_size" in inspect.signature(mixture).parameters
    return mixture(*words, 1) if told else mixture(*words)


def batches_of(plan: Any) -> list[Sequence[Any]]:
    """Batches of one process's plan; older builds held them by step and process."""
    if hasattr(plan, "batches"):
        return list(plan.batches)
    return [items for step in plan.steps for items in step]
