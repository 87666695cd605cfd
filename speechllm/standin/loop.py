"""Shared code of the stand-ins: a plain training loop, and a folder that appears whole."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from speechllm.config import TrainConfig, changed_keys
from speechllm.errors import ConfigError, shell_word
from speechllm.files.own import made_again, read_mapping
from speechllm.files.progress import Progress
from speechllm.files.whole import whole_folder, write_json
from speechllm.train.plain import PlainTrainer

T = TypeVar("T")
RECORD = "standin.json"


def seed_everything(seed: int) -> None:
    """Seed torch (weights, dropout), numpy (SpecAugment inside transformers) and random."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def train(
    what: str,
    model: PreTrainedModel,
    batches: Iterable[T],
    loss_of: Callable[[T], Tensor],
    config: TrainConfig,
) -> list[float]:
    """Take one optimiser step for each of the first `config.steps` batches.

    Args:
        what: name of the model, for progress and messages.
        model: to train, whole.
        batches: to learn from.
        loss_of: mean loss of a batch.
        config: optimisation.

    Returns:
        The loss of every step.

    Raises:
        SpeechLLMError: the loss is no longer finite.
    """
    # With masks and bfloat16 on a CPU, sdpa took 0.25 s where eager attention takes 0.14 s.
    model.set_attn_implementation("eager")
    remedy = "train with another --seed"
    trainer = PlainTrainer(what, model, loss_of, config, remedy, precision="auto")
    losses: list[float] = []
    with Progress(what, config.steps, "steps") as progress:
        for step, batch in zip(range(config.steps), batches, strict=False):
            losses.append(trainer.step(step, batch))
            progress.advance(1, f"loss {np.mean(losses[-20:]):.3f}")
    model.eval()
    return losses


def is_done(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether `folder` holds the stand-in that `settings` describe; False if there is no folder.

    Raises:
        ConfigError: it was made with other settings or data, or is no stand-in.
    """
    if not folder.exists():
        return False
    if not (folder / RECORD).is_file():
        raise ConfigError(f"{folder} exists and is no stand-in", "give another folder")
    changed = changed_keys(read_mapping(folder / RECORD, made_again(folder))["settings"], settings)
    if changed:
        raise ConfigError(
            f"{folder} was made with other settings; changed: {', '.join(changed)}",
            f"delete it to make it again: rm -r {shell_word(folder)}",
        )
    return True


@contextmanager
def new_folder(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a temporary folder and a record to fill; rename it to `folder` if all goes well.

    The record is saved in the folder as standin.json, with `settings` and the time it took.
    """
    wall, cpu = time.monotonic(), time.process_time()
    record: dict[str, Any] = {}
    with whole_folder(folder, lambda _: False) as temporary:
        yield temporary, record
        seconds = round(time.monotonic() - wall, 1)
        cpu_seconds = round(time.process_time() - cpu, 1)
        write_json(
            temporary / RECORD,
            {"settings": settings, **record, "seconds": seconds, "cpu_seconds": cpu_seconds},
        )
