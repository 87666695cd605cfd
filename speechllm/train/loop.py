"""The training loop: one for base training and for every way of adapting.

Loss is summed over label tokens and divided by their number over all accumulated batches and
all ranks, so neither accumulation nor the number of processes changes what is optimised.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from speechllm.config import TrainConfig
from speechllm.errors import SpeechLLMError, shell_word
from speechllm.files.guarded import guarded
from speechllm.files.own import made_again, read_tensors
from speechllm.files.progress import Progress
from speechllm.files.signals import Stopped, deferred_signals
from speechllm.model.bundle import restore_tensors, save_trained
from speechllm.model.compute.precision import autocast, resolve
from speechllm.model.speech_llm import TokenLoss
from speechllm.slot.collate import Batch
from speechllm.slot.mixture import Item, Plan
from speechllm.train.ahead import Ahead
from speechllm.train.checkpoint import load_checkpoint, save_checkpoint
from speechllm.train.distributed import World
from speechllm.train.metrics import MetricLog
from speechllm.train.monitor import Monitor, Signals
from speechllm.train.optim import make_optimizers, rate_scale

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"

Objective = Callable[[Batch], TokenLoss]
"""Loss to minimise: batch -> its loss, summed over label tokens."""


class Controller(Protocol):
    """Interface of controllers that change the data mixture by the monitor's signals."""

    def observe(self, step: int, signals: Mapping[str, Signals]) -> str | None:
        """Use an evaluation; return a word for the change of the mixture, or None for no change."""

    def state(self) -> dict[str, Any]:
        """State that a resumed run needs; json can hold it."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the mixture from `state()`."""


@dataclass
class Position:
    """Position of a run; it determines the next batch, since the plan is a pure function.

    Attributes:
        step: finished optimiser steps.
        epoch: present epoch.
        batch: index of the next step in the epoch's plan.
        seen: items consumed so far by component, over all ranks.
        seconds: training time so far, including that before a resume.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Trainer:
    """Trains the parameters of a model that require gradients.

    Args:
        model: called with a Batch, returns a TokenLoss.
        plan_epoch: epoch -> batches of all ranks.
        make_batch: (items, epoch) -> Batch.
        config: optimisation settings.
        folder: for checkpoints and train.jsonl.
        monitor: real-time evaluation, or None.
        world: this process among all.
        objective: loss to minimise; by default the model's own.
        controller: changes the plan; after a change the rest of the epoch is left out.
    """

    def __init__(
        self,
        model: nn.Module,
        plan_epoch: Callable[[int], Plan],
        make_batch: Callable[[Sequence[Item], int], Batch],
        config: TrainConfig,
        folder: Path,
        monitor: Monitor | None = None,
        world: World | None = None,
        objective: Objective | None = None,
        controller: Controller | None = None,
    ):
        self.objective, self.controller = objective or model, controller
        self.model, self.config, self.folder, self.monitor = model, config, folder, monitor
        self.plan_epoch = plan_epoch
        self.world = world or World()
        self._batches = Ahead(make_batch, self.world.device)
        self.precision = resolve(config.precision, self.world.device)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizers = make_optimizers(model, config)
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.position = Position()
        self.stopped = False
        self._learns = False
        self._best_sha256: str | None = None
        self._plan: Plan | None = None

    def train(self) -> Position:
        """Train to the last step or second, or until the monitor stops the run.

        Resumes from the checkpoint in the folder, if there is one. Afterwards the model holds
        the best weights (`keep_best`) or the last ones. A signal to stop is heeded at the end of a
        step, after a checkpoint, so that no step is lost.

        Raises:
            Stopped: a signal came.
            SpeechLLMError: loss or gradient is not finite, no batch reaches a trained weight, or
                the checkpoint is of another number of processes or another precision.
        """
        self._resume()
        self.metrics = MetricLog(self.folder, self.position.step, self.world.is_first)
        started = time.monotonic() - self.position.seconds
        self.model.train()
        config, position = self.config, self.position
        total, unit = (config.seconds, "s") if config.seconds else (config.steps, "steps")
        with (
            deferred_signals() as caught,
            Progress("training", total, unit, self._done()) as progress,
        ):
            while True:
                is_over = self._done() >= total
                if self.monitor and (is_over or self.monitor.is_due(position.step)):
                    self._evaluate()
                    if position.step == 0:
                        started = time.monotonic()  # the first evaluation is no training time
                if self.stopped or is_over:
                    break
                loss = self._step()
                position.seconds = self.world.agree(time.monotonic() - started)
                progress.advance(self._done() - progress.done, f"loss {loss:.3f}")
                is_told_to_stop = self.world.any(bool(caught))
                if is_told_to_stop or position.step % config.checkpoint_every == 0:
                    self._save()
                if is_told_to_stop:
                    log.info("a signal came: step %d is saved", position.step)
                    raise Stopped(*caught[:1])
        if position.step:
            self._check_that_it_learns()
        self._finish()
        return position

    def _done(self) -> float:
        """Seconds or steps so far, in the unit of the run's length."""
        return self.position.seconds if self.config.seconds else self.position.step

    def _step(self) -> float:
        """Take one optimiser step; return the mean loss per token."""
        scale = rate_scale(self.position.step, self.config, self.position.seconds)
        scale *= self.monitor.lr_scale if self.monitor else 1.0
        for optimizer, rate in zip(self.optimizers, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * scale
        # Dropout's randomness is a pure function of the step too, so there is no state to save.
        seed = f"dropout {self.config.seed} {self.position.step} {self.world.rank}"
        torch.manual_seed(random.Random(seed).getrandbits(63))
        sums = []  # for each batch: loss, tokens, correct, has a gradient, parts of the loss
        for _ in range(self.config.accumulate):
            score = self._forward(self._next_batch())
            if score.nll.requires_grad:
                score.nll.backward()
            count = score.nll.new_tensor(score.tokens)
            learns = count.new_tensor(score.nll.requires_grad)
            figures = [score.nll, count, score.correct, learns, *score.parts.values()]
            sums.append(torch.stack([figure.detach().float() for figure in figures]))
        totals = torch.stack(sums).sum(0)
        if self.world.size > 1:  # zeros for a weight that only other ranks' batches use
            for p in self.parameters:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.world.sum([*gradients, totals])
        nll, tokens, correct, learns, *parts = totals.tolist()
        tokens = max(tokens, 1.0)  # batches without labels teach nothing
        for gradient in gradients:
            gradient /= tokens
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.config.clip))
        if not math.isfinite(nll) or not math.isfinite(norm):
            raise SpeechLLMError(
                f"loss or gradient is not finite at step {self.position.step}",
                "lower train.lr, or train in fp32 (train.precision: fp32)",
            )
        self._learns = self._learns or learns > 0
        if self.position.epoch > 0 or self.position.batch >= len(self._plan.steps):
            self._check_that_it_learns()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.position.step += 1
        if self.position.step % self.config.log_every == 0:
            self.metrics.write(
                self.position.step,
                train={
                    "loss": nll / tokens,
                    "token_accuracy": correct / tokens,
                    **{name: p / tokens for name, p in zip(score.parts, parts, strict=True)},
                },
                lr=self.config.lr * scale,
                gradient_norm=norm,
                epoch=self.position.epoch,
                seconds=round(self.position.seconds, 2),
            )
        return nll / tokens

    def _check_that_it_learns(self) -> None:
        """Raise if no trained weight had a gradient, such as a projector alone on text batches."""
        if not self._learns:
            raise SpeechLLMError(
                "no trained weight had a part in any batch so far",
                "let `trainable` or `lora` name weights that these views reach (text fills the"
                " slot without the projector); auxiliary losses need larger batches",
            )

    def _forward(self, batch: Batch) -> TokenLoss:
        with autocast(self.precision, self.world.device):
            return self.objective(batch)

    def _next_batch(self) -> Batch:
        position = self.position
        if self._plan is None:
            self._plan = self.plan_epoch(position.epoch)
        if position.batch >= len(self._plan.steps):
            position.epoch, position.batch = position.epoch + 1, 0
            self._plan = self.plan_epoch(position.epoch)
        steps, rank = self._plan.steps, self.world.rank
        step = steps[position.batch]
        position.batch += 1
        for item in (item for batch in step for item in batch):
            key = str(item.component)
            position.seen[key] = position.seen.get(key, 0) + 1
        then = steps[position.batch][rank] if position.batch < len(steps) else None
        batch = self._batches.batch(step[rank], position.epoch, then)
        return batch.to(self.world.device)

    def _evaluate(self) -> None:
        """Evaluate, log, and carry out the monitor's actions."""
        assert self.monitor
        with autocast(self.precision, self.world.device):
            signals, actions = self.monitor.observe(self.position.step, self.model)
        if self.controller and (change := self.controller.observe(self.position.step, signals)):
            actions.append(change)
            self._plan = None
            if self.position.batch:
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
        self.metrics.write(self.position.step, dev=signals, actions=actions)
        shown = "  ".join(f"{name} loss {s['loss']:.3f}" for name, s in signals.items())
        log.info("step %d: %s  %s", self.position.step, shown, " ".join(actions))
        if "best" in actions and self.monitor.needs_best:
            first = self.world.is_first
            self._best_sha256 = save_trained(self._best_file, self.model) if first else None
        self.world.barrier()
        if "rollback" in actions:
            self._restore_best()
            for optimizer in self.optimizers:
                optimizer.state.clear()
        self.stopped = "stop" in actions

    @property
    def _best_file(self) -> Path:
        """File of the best weights so far, named by step, so that a resumed run finds its own."""
        assert self.monitor
        return self.folder / f"best.{self.monitor.best_step}.safetensors"

    def _restore_best(self) -> None:
        path, remedy = self._best_file, made_again(self.folder)
        restore_tensors(self.model, read_tensors(path, remedy, self._best_sha256), path)

    def _save(self) -> None:
        if self.world.is_first:
            state = {
                "position": asdict(self.position),
                "monitor": self.monitor.state() if self.monitor else None,
                "controller": self.controller.state() if self.controller else None,
                "world_size": self.world.size,
                "precision": self.precision,
                "best_sha256": self._best_sha256,
                "learns": self._learns,
            }
            save_checkpoint(self.folder / CHECKPOINT, self.model, self.optimizers, state)
            for old in self.folder.glob("best.*.safetensors"):
                if self.monitor and old != self._best_file:
                    old.unlink()
        self.world.barrier()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return
        state = load_checkpoint(path, self.model, self.optimizers)
        anew = f"rm {shell_word(path)}: training begins anew"
        with guarded(path, "is not a checkpoint", remedy=anew):
            self._go_on(path, state)
        log.info("resumed at step %d", self.position.step)

    def _go_on(self, path: Path, state: dict[str, Any]) -> None:
        if state["world_size"] != self.world.size:
            raise SpeechLLMError(
                f"{path} was written by {state['world_size']} processes, not {self.world.size}",
                "go on with as many processes as before, or remove the checkpoint",
            )
        if state.get("precision", self.precision) != self.precision:
            raise SpeechLLMError(
                f"{path} was written in {state['precision']}, and auto means {self.precision} here",
                "go on on a machine of the same kind, or remove the checkpoint",
            )
        self.position = Position(**state["position"])
        if self.monitor:
            self.monitor.restore(state["monitor"])
        if self.controller:
            self.controller.restore(state["controller"])
        self._best_sha256 = state.get("best_sha256")
        self._learns = state.get("learns", True)

    def _finish(self) -> None:
        """Leave the model with the weights to keep, in eval mode."""
        self.metrics.close()
        if self.monitor and self.monitor.config.keep_best:
            self._restore_best()
        self.world.barrier()  # the file of the best weights may be removed once all have read it
        self.model.eval()
