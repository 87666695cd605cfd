"""What both stand-ins share: a plain training loop, and a folder that appears whole."""

import math
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from speechllm.config import changed_keys
from speechllm.errors import ConfigError
from speechllm.files import read_json, write_json
from speechllm.progress import Progress

T = TypeVar("T")
RECORD = "standin.json"


@dataclass(frozen=True)
class Optimisation:
    """AdamW, and Muon for hidden matrices if asked for; linear warm-up, cosine decay to zero.

    Attributes:
        muon_lr: learning rate of Muon (Jordan et al. 2024); 0 leaves all parameters to AdamW.
        clip: largest norm of the gradient.
    """

    steps: int
    lr: float
    warmup: int
    muon_lr: float = 0.0
    weight_decay: float = 0.01
    clip: float = 1.0

    def scale(self, step: int) -> float:
        """Share of the full learning rate at the 0-based `step`."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return (1 + math.cos(math.pi * done)) / 2

    def optimizers(self, model: nn.Module) -> list[torch.optim.Optimizer]:
        """The optimisers over the model's parameters."""
        hidden = [
            parameter
            for name, parameter in model.named_parameters()
            if self.muon_lr and parameter.ndim == 2 and ".layers." in name and "embed" not in name
        ]
        chosen = {id(parameter) for parameter in hidden}
        rest = [p for p in model.parameters() if id(p) not in chosen]
        adam = torch.optim.AdamW(
            rest, self.lr, betas=(0.9, 0.98), weight_decay=self.weight_decay, fused=True
        )
        if not hidden:
            return [adam]
        return [adam, torch.optim.Muon(hidden, self.muon_lr, weight_decay=0.0)]


def seed_everything(seed: int) -> None:
    """Seed torch (weights, dropout), numpy (SpecAugment inside transformers) and random."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def fast_dtype() -> torch.dtype:
    """bfloat16 where this CPU multiplies it natively, else float32."""
    abilities = torch.cpu.get_capabilities()
    native = abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16")
    return torch.bfloat16 if native else torch.float32


def train(
    what: str,
    model: PreTrainedModel,
    batches: Iterable[T],
    loss_of: Callable[[T], Tensor],
    optimisation: Optimisation,
) -> list[float]:
    """Take one optimiser step for each of the first `optimisation.steps` batches.

    Returns:
        The loss of every step.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    # With masks and bfloat16 on a CPU, sdpa took 0.25 s where eager attention takes 0.14 s.
    model.set_attn_implementation("eager")
    optimizers = optimisation.optimizers(model)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    dtype = fast_dtype()
    losses: list[float] = []
    model.train()
    with Progress(what, optimisation.steps, "steps") as progress:
        for step, batch in zip(range(optimisation.steps), batches, strict=False):
            for optimizer, rate in zip(optimizers, rates, strict=True):
                optimizer.param_groups[0]["lr"] = rate * optimisation.scale(step)
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                loss = loss_of(batch)
            model.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), optimisation.clip)
            for optimizer in optimizers:
                optimizer.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(f"{what}: loss is {losses[-1]} at step {step}")
            progress.advance(1, f"loss {np.mean(losses[-20:]):.3f}")
    model.eval()
    return losses


def is_done(folder: Path, settings: dict[str, Any]) -> bool:
    """Say whether `folder` holds the stand-in that `settings` describe.

    Raises:
        ConfigError: it holds something else: other settings, other data, or no stand-in at all.
    """
    if not folder.exists():
        return False
    if not (folder / RECORD).is_file():
        raise ConfigError(f"{folder} exists and is no stand-in", "give another folder")
    changed = changed_keys(read_json(folder / RECORD)["settings"], settings)
    if changed:
        raise ConfigError(
            f"{folder} was made with other settings; changed: {', '.join(changed)}",
            f"delete it to make it again: rm -r {folder}",
        )
    return True


@contextmanager
def new_folder(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a temporary folder and a record to fill; rename it to `folder` if all goes well.

    The record is saved in it as standin.json, with `settings` and the seconds that it took.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    wall, cpu = time.monotonic(), time.process_time()
    record: dict[str, Any] = {}
    try:
        yield temporary, record
        seconds = round(time.monotonic() - wall, 1)
        cpu_seconds = round(time.process_time() - cpu, 1)
        write_json(
            temporary / RECORD,
            {"settings": settings, **record, "seconds": seconds, "cpu_seconds": cpu_seconds},
        )
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
