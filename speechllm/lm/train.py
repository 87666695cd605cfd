"""Train a network on text; the weights that are best on the dev text are kept."""

import itertools
import json
import logging
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechllm.errors import SpeechLLMError
from speechllm.files.layout import LOG
from speechllm.files.os_errors import naming
from speechllm.files.progress import Progress
from speechllm.lm.config import LMTrainConfig
from speechllm.lm.network import Network
from speechllm.lm.perplexity import Perplexity, Text
from speechllm.lm.token_lm import TokenLM
from speechllm.train.optim import make_optimizers, rate_scale

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
    """Train `module`; afterwards it holds the weights that were best on the dev text.

    Writes train.jsonl: a line for each evaluation.

    Args:
        module: the network, not yet trained.
        network: reads with the module.
        lm: scores with it, for evaluation.
        train: text to train on.
        dev: text to evaluate on.
        config: optimisation.
        folder: of train.jsonl.

    Returns:
        The best perplexity on the dev text.

    Raises:
        SpeechLLMError: the loss is not finite.
    """
    groups = _groups([[*lm.begin, *s, lm.end] for s in train.sentences], config.batch_tokens)
    passes = math.inf if config.epochs is None else math.ceil(config.epochs * len(groups))
    steps = int(min(config.steps or math.inf, passes))
    batches = _batches(groups, config.seed)
    optimisation = config.optimisation(steps)
    optimizers = make_optimizers(module, optimisation)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    best, kept, waited = Perplexity(math.inf, 1, 1), {}, 0
    with (
        naming(folder / LOG),
        (folder / LOG).open("w", encoding="utf-8") as stream,
        Progress("language model", steps, "steps") as progress,
    ):
        for step in range(steps):
            module.train()
            for optimizer, rate in zip(optimizers, rates, strict=True):
                optimizer.param_groups[0]["lr"] = rate * rate_scale(step, optimisation)
            loss = _loss(network, next(batches).to(lm.device), len(lm.begin))
            module.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), config.clip)
            for optimizer in optimizers:
                optimizer.step()
            if not math.isfinite(loss.item()):
                message = f"language model: loss is {loss.item()} at step {step}"
                raise SpeechLLMError(message, "lower train.lr")
            progress.advance(1, f"loss {loss.item():.3f}")
            if (step + 1) % config.evaluate_every and step + 1 < steps:
                continue
            module.eval()
            found = lm.perplexity(dev)
            line = {"step": step + 1, "loss": round(loss.item(), 4), **found.figures()}
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            waited += 1
            if found.nll < best.nll:
                best, waited = found, 0
                kept = {name: p.detach().clone() for name, p in module.named_parameters()}
            if config.patience and waited >= config.patience:
                log.info("no improvement in %d evaluations: ended at step %d", waited, step + 1)
                break
    for name, parameter in module.named_parameters():
        parameter.data = kept[name]
    module.eval()
    return best


def _groups(rows: Sequence[list[int]], most: int) -> list[list[list[int]]]:
    """Groups of rows of like length, of at most `most` tokens each, padding included."""
    groups: list[list[list[int]]] = [[]]
    for row in sorted(rows, key=len):  # so each row is the longest of its group so far
        if groups[-1] and (len(groups[-1]) + 1) * len(row) > most:
            groups.append([])
        groups[-1].append(row)
    return groups


def _batches(groups: Sequence[list[list[int]]], seed: int) -> Iterator[Tensor]:
    """Endless batches [N, L], padded with -1; the order is a function of seed and epoch."""
    for epoch in itertools.count():
        order = list(groups)
        random.Random(f"lm {seed} {epoch}").shuffle(order)
        for group in order:
            rows = [torch.tensor(row) for row in group]
            yield nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


def _loss(network: Network, ids: Tensor, begin: int) -> Tensor:
    """Mean negative log-likelihood per token; ends count, the `begin` first tokens do not."""
    logits, _ = network.advance(ids[:, :-1].clamp(min=0))
    wanted = ids[:, begin:]
    return functional.cross_entropy(
        logits[:, begin - 1 :].flatten(0, 1).float(), wanted.flatten(), ignore_index=-1
    )
