"""The training loop: one for base training and for every way of adapting.

Loss is summed over label tokens and divided by their number over all batches of a step. These are
dealt out to the processes, and dropout is drawn anew for each batch, by its number in the step. So
one process that takes the batches in turn computes the same as many.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from speechllm.config import TrainConfig
from speechllm.errors import SpeechLLMError, Unfinished, out_of_memory, shell_word
from speechllm.files.guarded import guarded
from speechllm.files.own import made_again, read_tensors
from speechllm.files.progress import Progress
from speechllm.files.signals import Stopped, deferred_signals
from speechllm.model.bundle import restore_tensors, save_trained
from speechllm.model.compute.precision import autocast, resolve
from speechllm.model.speech_llm import TokenLoss
from speechllm.slot.collate import Batch
from speechllm.slot.mixture import Item, Plan, positions
from speechllm.train.ahead import Ahead
from speechllm.train.checkpoint import load_checkpoint, save_checkpoint
from speechllm.train.distributed import World
from speechllm.train.metrics import MetricLog
from speechllm.train.monitor import Monitor, Signals
from speechllm.train.optim import clip_gradients, make_optimizers, rate_scale

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
REHEARSED_ON = {"cuda"}
"""Kinds of devices on which the largest batch comes first; elsewhere memory seldom runs out, and a
step costs more."""

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
        batch: index of the next batch in the epoch's plan.
        seen: items consumed so far by component, over all processes.
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
        plan_epoch: epoch -> batches of all processes together.
        make_batch: (items, epoch) -> Batch.
        config: optimisation settings, as `TrainConfig.among` returns them.
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
        self._make_batch, self._batches = make_batch, Ahead(make_batch, self.world.device)
        self.precision = resolve(config.precision, self.world.device)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizers = make_optimizers(model, config)
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.position = Position()
        self.stopped = False
        self._evaluated: int | None = None  # steps at the last evaluation
        self._learns = False
        self._best_sha256: str | None = None
        self._plan: Plan | None = None

    def train(self) -> Position:
        """Train to the last step or second, or until the monitor stops the run.

        Resumes from the checkpoint in the folder, if there is one. Afterwards the model holds
        the best weights (`keep_best`) or the last ones. A signal to stop is heeded at the end of a
        step or of the last evaluation, after a checkpoint, so that no step is lost.

        Raises:
            SpeechLLMError: loss or gradient is not finite, no batch reaches a trained weight,
                memory does not suffice, or the checkpoint is of another precision.
            Unfinished: the time is over; a checkpoint is saved.
            Stopped: a signal came; a checkpoint is saved.
        """
        self._resume()
        is_evaluated = self._evaluated == self.position.step
        self.metrics = MetricLog(
            self.folder, self.position.step, self.world.is_first, keeps_evaluation=is_evaluated
        )
        started = time.monotonic() - self.position.seconds
        self.model.train()
        config, position = self.config, self.position
        if torch.device(self.world.device).type in REHEARSED_ON:
            self._rehearse()
        total, unit = (config.seconds, "s") if config.seconds else (config.steps, "steps")
        with (
            deferred_signals() as caught,
            Progress("training", total, unit, self._done()) as progress,
        ):
            while True:
                is_over = self._done() >= total
                if self._evaluation_is_due(is_over):
                    self._evaluate()
                    if position.step == 0:
                        started = time.monotonic()  # the first evaluation is no training time
                if self.stopped or is_over:
                    self._heed(caught)
                    break
                loss = self._step()
                position.seconds = self.world.agree(time.monotonic() - started)
                progress.advance(self._done() - progress.done, f"loss {loss:.3f}")
                self._heed(caught)
                is_out_of_time = self._done() < total and self.world.is_out_of_time()
                if is_out_of_time or position.step % config.checkpoint_every == 0:
                    self._save()
                if is_out_of_time:
                    self.metrics.close()
                    raise Unfinished(
                        f"the time is over: stopped after {self._done():g} of {total:g} {unit}",
                        "give the same command again: it goes on from here",
                    )
        if position.step:
            self._check_that_it_learns()
        self._finish()
        return position

    def _heed(self, caught: Sequence[int]) -> None:
        """Save and stop, all processes alike, if a signal came to any of them."""
        number = self.world.highest(caught[0] if caught else 0)
        if number:
            self._save()
            log.info("a signal came: step %d is saved", self.position.step)
            raise Stopped(number)

    def _done(self) -> float:
        """Seconds or steps so far, in the unit of the run's length."""
        return self.position.seconds if self.config.seconds else self.position.step

    def _step(self) -> float:
        """Take one optimiser step; return the mean loss per token."""
        scale = rate_scale(self.position.step, self.config, self.position.seconds)
        scale *= self.monitor.lr_scale if self.monitor else 1.0
        for optimizer, rate in zip(self.optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
        sums = []  # for each batch: loss, tokens, correct, parts of the loss
        with self._explaining_memory():
            for number, batch in self._own_batches():
                # Dropout is a pure function of step and batch too, so there is no state to save.
                seed = f"dropout {self.config.seed} {self.position.step} {number}"
                torch.manual_seed(random.Random(seed).getrandbits(63))
                score = self._learn(batch)
                count = score.nll.new_tensor(score.tokens)
                figures = [score.nll, count, score.correct, *score.parts.values()]
                sums.append(torch.stack([figure.detach().float() for figure in figures]))
        totals = torch.stack(sums).sum(0)
        self._add_up(totals)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        nll, tokens, correct, *parts = totals.tolist()
        tokens = max(tokens, 1.0)  # batches without labels teach nothing
        for gradient in gradients:
            gradient /= tokens
        norm = clip_gradients(self.parameters, self.config.clip)
        if not math.isfinite(nll) or not math.isfinite(norm):
            raise SpeechLLMError(
                f"loss or gradient is not finite at step {self.position.step}",
                "lower train.lr, or train in fp32 (train.precision: fp32)",
            )
        self._learns = self._learns or bool(gradients)
        if self.position.epoch > 0 or self.position.batch >= len(self._plan.batches):
            self._check_that_it_learns()
        with self._explaining_memory():
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

    def _add_up(self, totals: Tensor) -> None:
        """Add up gradients, and the figures of a step, over all processes."""
        if self.world.size == 1:
            return
        has_gradient = totals.new_tensor([p.grad is not None for p in self.parameters])
        for p in self.parameters:  # zeros for a weight that only other processes' batches use
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        # FSDP has added up the gradients of sharded weights.
        whole = [p.grad for p in self.parameters if not isinstance(p.grad, DTensor)]
        self.world.sum([*whole, totals, has_gradient])
        # The optimiser skips a weight that no process used, and would move it for a zero.
        for p, count in zip(self.parameters, has_gradient.tolist(), strict=True):
            p.grad = p.grad if count else None

    def _check_that_it_learns(self) -> None:
        """Raise if no trained weight had a gradient, such as a projector alone on text batches."""
        if not self._learns:
            raise SpeechLLMError(
                "no trained weight had a part in any batch so far",
                "let `trainable` or `lora` name weights that these views reach (text fills the"
                " slot without the projector); auxiliary losses need larger batches",
            )

    def _learn(self, batch: Batch) -> TokenLoss:
        """Add a batch's gradient to that of the step."""
        with autocast(self.precision, self.world.device):
            score = self.objective(batch)
        if score.nll.requires_grad:
            score.nll.backward()
        return score

    def _own_batches(self) -> Iterator[tuple[int, Batch]]:
        """This process's batches of the next step, with their numbers in it."""
        taken = [self._next_items() for _ in range(self.config.step_batches)]
        rank, size, plan = self.world.rank, self.world.size, self._plan
        assert plan
        later = self.position.batch + rank  # in the step after this one
        coming = [(self.position.epoch, items) for items in plan.batches[later : later + 1]]
        own = [*taken[rank::size], *coming]
        for place, number in enumerate(range(rank, len(taken), size)):
            epoch, items = own[place]
            then = next((items for e, items in own[place + 1 : place + 2] if e == epoch), None)
            batch = self._batches.batch(items, epoch, then)
            yield number, batch.to(self.world.device)

    def _next_items(self) -> tuple[int, Sequence[Item]]:
        """Epoch and items of the next batch of all processes."""
        position = self.position
        if self._plan is None:
            self._plan = self.plan_epoch(position.epoch)
        if position.batch >= len(self._plan.batches):
            position.epoch, position.batch = position.epoch + 1, 0
            self._plan = self.plan_epoch(position.epoch)
        items = self._plan.batches[position.batch]
        position.batch += 1
        for item in items:
            key = str(item.component)
            position.seen[key] = position.seen.get(key, 0) + 1
        return position.epoch, items

    def _rehearse(self) -> None:
        """Learn from the largest batch and forget it: memory may run out now, not days later."""
        if self._done() >= (self.config.seconds or self.config.steps):
            return
        self._plan = self._plan or self.plan_epoch(self.position.epoch)
        items = max(self._plan.batches, key=positions)
        devices = [self.world.device] if torch.device(self.world.device).type == "cuda" else []
        with self._explaining_memory(), torch.random.fork_rng(devices):
            # The optimiser will keep two moments of each weight.
            is_new = not any(optimizer.state for optimizer in self.optimizers)
            moments = [torch.empty_like(p) for p in self.parameters * 2 if is_new]
            self._learn(self._make_batch(items, self.position.epoch).to(self.world.device))
            del moments
        for p in self.parameters:
            p.grad = None

    @contextmanager
    def _explaining_memory(self) -> Iterator[None]:
        """Name the options that help where memory does not suffice."""
        try:
            yield
        except Exception as error:
            said = out_of_memory(error)
            if said is None:
                raise
            config = self.config
            ways = [f"lower train.batch_positions, which is {config.batch_positions}"]
            if not config.gradient_checkpointing:
                ways.append("set train.gradient_checkpointing: true")
            if self.precision == "fp32":
                ways.append("train.precision: bf16 and model.llm_dtype: bfloat16")
            if not config.shard:
                ways.append("train.shard: true with several processes")
            raise SpeechLLMError(
                f"memory does not suffice for a step of training: {said}", ", or ".join(ways)
            ) from error

    def _evaluation_is_due(self, is_over: bool) -> bool:
        """Whether to evaluate now; not again where a signal came during the last evaluation."""
        if self.monitor is None or self._evaluated == self.position.step:
            return False
        return is_over or self.monitor.is_due(self.position.step)

    def _evaluate(self) -> None:
        """Evaluate, log, and carry out the monitor's actions."""
        assert self.monitor
        self._evaluated = self.position.step
        with autocast(self.precision, self.world.device):
            signals, actions = self.monitor.observe(
                self.position.step, self.model, self.world.agree
            )
        if self.controller and (change := self.controller.observe(self.position.step, signals)):
            actions.append(change)
            self._plan = None
            if self.position.batch:
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
        self.metrics.write(self.position.step, dev=signals, actions=actions)
        shown = "  ".join(f"{name} loss {s['loss']:.3f}" for name, s in signals.items())
        log.info("step %d: %s  %s", self.position.step, shown, " ".join(actions))
        if "best" in actions and self.monitor.needs_best:
            self._best_sha256 = save_trained(self._best_file, self.model)
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
        state = {
            "position": asdict(self.position),
            "monitor": self.monitor.state() if self.monitor else None,
            "controller": self.controller.state() if self.controller else None,
            "step_batches": self.config.step_batches,
            "precision": self.precision,
            "best_sha256": self._best_sha256,
            "learns": self._learns,
            "evaluated": self._evaluated,
            "stopped": self.stopped,
        }
        save_checkpoint(self.folder / CHECKPOINT, self.model, self.optimizers, state)
        if self.world.is_first:
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
        self._evaluated, self.stopped = state.get("evaluated"), state.get("stopped", False)

    def _finish(self) -> None:
        """Leave the model with the weights to keep, in eval mode."""
        self.metrics.close()
        if self.monitor and self.monitor.config.keep_best:
            self._restore_best()
        self.world.barrier()  # the file of the best weights may be removed once all have read it
        self.model.eval()
