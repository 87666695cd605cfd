"""Training step of one module on one process, for stand-ins and language models.

`speechllm.train.loop` is for recognisers: mixtures, monitors, several processes.
"""

import math
import random
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from speechllm.config import TrainConfig
from speechllm.errors import SpeechLLMError
from speechllm.model.compute.precision import autocast
from speechllm.train.optim import make_optimizers, rate_scale

T = TypeVar("T")


class PlainTrainer(Generic[T]):
    """Take optimiser steps.

    Args:
        name: of the model, for messages.
        module: whose parameters are trained.
        loss_of: mean loss of a batch.
        config: optimisation; its `steps` end the schedule.
        precision: of the forward pass, as `train.precision`.
        device: of the forward pass.
        remedy: for a loss that is no longer finite.
        seed: makes dropout a function of seed and step, so that a run can go on where it was; None
            leaves the random state alone.

    Attributes:
        optimizers: with the moments that a checkpoint holds.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        loss_of: Callable[[T], Tensor],
        config: TrainConfig,
        remedy: str,
        precision: str = "fp32",
        device: str = "cpu",
        seed: int | None = None,
    ):
        self.name, self.module, self.loss_of, self.config = name, module, loss_of, config
        self.remedy, self.seed = remedy, seed
        self.precision, self.device = precision, device
        self.optimizers = make_optimizers(module, config)
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]

    def step(self, number: int, batch: T) -> float:
        """Take a step; return the loss before it.

        Args:
            number: of the step, from 0.
            batch: to learn from.

        Raises:
            SpeechLLMError: the loss is no longer finite.
        """
        scale = rate_scale(number, self.config)
        for optimizer, rate in zip(self.optimizers, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * scale
        if self.seed is not None:
            drawn = random.Random(f"dropout {self.seed} {number}").getrandbits(63)
            torch.manual_seed(drawn)
        self.module.train()
        with autocast(self.precision, self.device):
            loss = self.loss_of(batch)
        self.module.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        found = loss.item()
        if not math.isfinite(found):
            raise SpeechLLMError(f"{self.name}: loss is {found} at step {number}", self.remedy)
        return found
