"""Train a network on text; the weights that are best on the dev text are kept."""

import itertools
import json
import logging
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechllm.errors import shell_word
from speechllm.files.guarded import guarded
from speechllm.files.layout import LOG
from speechllm.files.own import made_again, read_tensors
from speechllm.files.progress import Progress
from speechllm.files.whole import whole_file
from speechllm.lm.config import LMTrainConfig
from speechllm.lm.network import Network
from speechllm.lm.perplexity import Perplexity, Text
from speechllm.lm.token_lm import TokenLM
from speechllm.model.bundle import restore_tensors, save_trained
from speechllm.train.checkpoint import load_checkpoint, save_checkpoint
from speechllm.train.loop import CHECKPOINT
from speechllm.train.plain import PlainTrainer

log = logging.getLogger(__name__)


def train_network(
    module: nn.Module,
    network: Network,
    lm: TokenLM,
    train: Text,
    dev: Text,
    config: LMTrainConfig,
    folder: Path,
) -> Perplexity:
    """Train `module`, and leave the weights in it that were best on the dev text.

    A killed run goes on from its last evaluation, and ends bit-equal. train.jsonl gets a line for
    each evaluation.

    Args:
        module: in its first state.
        network: reads with the module.
        lm: scores with it, for evaluation.
        train, dev: text.
        config: optimisation.
        folder: of train.jsonl, and of the checkpoint while it lasts.

    Returns:
        The best perplexity on the dev text.

    Raises:
        SpeechLLMError: the loss is no longer finite.
        DataError: the checkpoint is damaged.
    """
    groups = _groups([[*lm.begin, *s, lm.end] for s in train.sentences], config.batch_tokens)
    passes = math.inf if config.epochs is None else math.ceil(config.epochs * len(groups))
    steps = int(min(config.steps or math.inf, passes))
    trainer = PlainTrainer(
        "language model",
        module,
        lambda ids: _loss(network, ids, len(lm.begin)),
        config.optimisation(steps),
        "lower train.lr",
        seed=config.seed,
    )
    run = _Run(folder, trainer)
    batches = _batches(groups, config.seed, run.step)
    with Progress("language model", steps, "steps", run.step) as progress:
        while run.step < steps and not run.is_over:
            loss = trainer.step(run.step, next(batches).to(lm.device))
            run.step += 1
            progress.advance(1, f"loss {loss:.3f}")
            if run.step % config.evaluate_every and run.step < steps:
                continue
            module.eval()
            run.observe(loss, lm.perplexity(dev))
            if config.patience and run.waited >= config.patience:
                log.info("no improvement in %d evaluations: ended at step %d", run.waited, run.step)
                run.is_over = True
            run.save()
    run.finish()
    module.eval()
    return run.best


class _Run:
    """Where a training stands: its steps, evaluations and best weights, in memory and on disk."""

    def __init__(self, folder: Path, trainer: PlainTrainer[Tensor]):
        self.folder, self.trainer = folder, trainer
        self.step, self.waited, self.is_over = 0, 0, False
        self.best = Perplexity(math.inf, 1, 1)
        self.lines: list[dict[str, Any]] = []
        self._best_step, self._best_sha256 = 0, ""
        path = folder / CHECKPOINT
        if not path.is_file():
            return
        state = load_checkpoint(path, trainer.module, trainer.optimizers)
        anew = f"rm {shell_word(path)}: training begins anew"
        with guarded(path, "is not a checkpoint", remedy=anew):
            self.step, self.waited, self.is_over = state["step"], state["waited"], state["is_over"]
            self.best, self.lines = Perplexity(**state["best"]), state["lines"]
            self._best_step, self._best_sha256 = state["best_step"], state["best_sha256"]
        log.info("resumed at step %d", self.step)

    @property
    def _best_file(self) -> Path:
        return self.folder / f"best.{self._best_step}.safetensors"

    def observe(self, loss: float, found: Perplexity) -> None:
        """Note an evaluation, and keep the weights if they are the best so far."""
        self.lines.append({"step": self.step, "loss": round(loss, 4), **found.figures()})
        self.waited += 1
        if found.nll < self.best.nll:
            self.best, self.waited, self._best_step = found, 0, self.step
            self._best_sha256 = save_trained(self._best_file, self.trainer.module)

    def save(self) -> None:
        """Write train.jsonl and the checkpoint."""
        with whole_file(self.folder / LOG) as stream:
            stream.writelines(json.dumps(line) + "\n" for line in self.lines)
        state = {
            "step": self.step,
            "waited": self.waited,
            "is_over": self.is_over,
            "best": {"nll": self.best.nll, "tokens": self.best.tokens, "words": self.best.words},
            "best_step": self._best_step,
            "best_sha256": self._best_sha256,
            "lines": self.lines,
        }
        path = self.folder / CHECKPOINT
        save_checkpoint(path, self.trainer.module, self.trainer.optimizers, state)
        for old in self.folder.glob("best.*.safetensors"):
            if old != self._best_file:
                old.unlink()

    def finish(self) -> None:
        """Leave the best weights in the module, and nothing else on disk."""
        path, remedy = self._best_file, made_again(self.folder)
        tensors = read_tensors(path, remedy, self._best_sha256)
        restore_tensors(self.trainer.module, tensors, path)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
        path.unlink()


def _groups(rows: Sequence[list[int]], most: int) -> list[list[list[int]]]:
    """Groups of rows of like length, of at most `most` tokens each, padding included."""
    groups: list[list[list[int]]] = [[]]
    for row in sorted(rows, key=len):  # so that this one is the longest
        if groups[-1] and (len(groups[-1]) + 1) * len(row) > most:
            groups.append([])
        groups[-1].append(row)
    return groups


def _batches(groups: Sequence[list[list[int]]], seed: int, first: int) -> Iterator[Tensor]:
    """Endless batches [N, L] from batch `first` on, -1 on pads; their order is a function of seed
    and epoch."""
    epochs, done = divmod(first, len(groups))
    for epoch in itertools.count(epochs):
        order = list(groups)
        random.Random(f"lm {seed} {epoch}").shuffle(order)
        for group in order[done if epoch == epochs else 0 :]:
            rows = [torch.tensor(row) for row in group]
            yield nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


def _loss(network: Network, ids: Tensor, begin: int) -> Tensor:
    """Mean negative log-likelihood per token; ends count, the `begin` first tokens do not."""
    logits, _ = network.advance(ids[:, :-1].clamp(min=0))
    wanted = ids[:, begin:]
    return functional.cross_entropy(
        logits[:, begin - 1 :].flatten(0, 1).float(), wanted.flatten(), ignore_index=-1
    )
