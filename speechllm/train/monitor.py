"""Real-time evaluation: signals on small paired dev sets, and the actions that follow them.

Text-only tuning can move the LLM away from the projector's speech; evaluation on speech during
training shows when (2506.05671). Signals are only logged; actions follow one watched signal.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from speechllm.config import MonitorConfig
from speechllm.errors import ConfigError
from speechllm.model.speech_llm import TokenLoss
from speechllm.slot.collate import Batch

Signals = dict[str, float]

ERROR = "error"
"""Name of the signal that is the task's main error."""
HIGHER_IS_BETTER = {"token_accuracy"}


class Errors(Protocol):
    """Function that decodes batches and returns errors in percent by name."""

    def __call__(self, model: nn.Module, batches: Sequence[Batch]) -> Signals: ...


def badness(signal: str, value: float) -> float:
    """Value of a signal, with its sign changed if higher is better: lower is always better."""
    return -value if signal in HIGHER_IS_BETTER else value


def evaluate(
    model: nn.Module,
    batches: Sequence[Batch],
    errors: Errors | None,
    score_of: Callable[[Batch], TokenLoss] | None = None,
) -> Signals:
    """Teacher-forced loss (nats per token), perplexity and token accuracy; errors by decoding.

    Dropout is off meanwhile; afterwards the model's mode is restored.

    Args:
        model: the model.
        batches: of a dev set.
        errors: decodes batches with speech and gives their errors; None: no decoding.
        score_of: batch -> its loss; by default the model's own.

    Returns:
        Value of each signal.
    """
    training = model.training
    model.eval()
    nll, tokens, correct = 0.0, 0, 0
    with torch.no_grad():
        for batch in batches:
            score = (score_of or model)(batch)
            nll += float(score.nll)
            tokens += score.tokens
            correct += int(score.correct)
        signals = {
            "loss": nll / tokens,
            "perplexity": math.exp(min(nll / tokens, 700.0)),
            "token_accuracy": correct / tokens,
        }
        if errors and batches[0].examples[0].has_speech:
            signals |= errors(model, batches)
    model.train(training)
    return signals


class Monitor:
    """Evaluates dev sets every `config.every` steps and says what to do.

    Args:
        config: what to watch, and the actions.
        dev: batches of each dev set ("source", "target"), the same ones each time.
        errors: decodes batches; needed if `config.decode` is set.
        first_errors: decodes them before the first step; by default `errors`.
        score_of: batch -> its loss; by default the model's own.

    Raises:
        ConfigError: the watched set or signal does not exist, or `source_margin` lacks a source
            set.
    """

    def __init__(
        self,
        config: MonitorConfig,
        dev: Mapping[str, Sequence[Batch]],
        errors: Errors | None = None,
        first_errors: Errors | None = None,
        score_of: Callable[[Batch], TokenLoss] | None = None,
    ):
        if config.watch not in dev:
            raise ConfigError(
                f"monitor.watch: there is no dev set of the {config.watch} domain with audio",
                "give one, or watch another domain",
            )
        if config.signal == ERROR and not config.decode:
            raise ConfigError(f"monitor.signal is '{ERROR}', which needs monitor.decode: true")
        if config.source_margin is not None and "source" not in dev:
            raise ConfigError("monitor.source_margin needs a dev set of the source with audio")
        self.config = config
        self.dev, self.score_of = dev, score_of
        self.errors = errors if config.decode else None
        self.first_errors = (first_errors or errors) if config.decode else None
        self.best: float | None = None
        self.best_step = 0
        self.stale = 0
        """Evaluations since the best one."""
        self.source_bound: float | None = None
        """Highest loss on source speech with which weights may be the best."""
        self.lr_scale = 1.0

    @property
    def needs_best(self) -> bool:
        """Whether the best weights must be saved."""
        return self.config.keep_best or self.config.rollback is not None

    def is_due(self, step: int) -> bool:
        """Whether to evaluate after `step` finished steps; always before the first."""
        return step % self.config.every == 0

    def observe(
        self, step: int, model: nn.Module, agree: Callable[[float], float] = float
    ) -> tuple[dict[str, Signals], list[str]]:
        """Evaluate all dev sets.

        Args:
            step: finished steps.
            model: the model.
            agree: makes a number the same in all processes, so that they act alike.

        Returns:
            Signals by set, and actions: "best" (these weights are the best so far), or any of
            "lower_lr", "rollback" (to the best weights) and "stop".
        """
        errors = self.errors if step else self.first_errors
        signals = {
            name: evaluate(model, batches, errors, self.score_of)
            for name, batches in self.dev.items()
        }
        signals = {
            name: {key: agree(value) for key, value in found.items()}
            for name, found in signals.items()
        }
        value = signals[self.config.watch][self.config.signal]
        return signals, self.react(step, value, self._spares_source(signals))

    def _spares_source(self, signals: Mapping[str, Signals]) -> bool:
        if self.config.source_margin is None:
            return True
        loss = signals["source"]["loss"]
        if self.source_bound is None:
            self.source_bound = loss * (1 + self.config.source_margin)
        return loss <= self.source_bound

    def react(self, step: int, value: float, may_be_best: bool = True) -> list[str]:
        """Actions that follow from the new value of the watched signal.

        Args:
            step: finished steps.
            value: of the watched signal; NaN counts as infinitely bad.
            may_be_best: False if these weights lose too much on source speech to be the best; the
                first ones are the best in any case.
        """
        bad = badness(self.config.signal, value)
        if math.isnan(bad):
            bad = math.inf
        if self.best is None or (may_be_best and bad < self.best):
            self.best, self.best_step, self.stale = bad, step, 0
            return ["best"]
        self.stale += 1
        actions = []
        c = self.config
        if c.lower_lr and self.stale % c.lower_lr.patience == 0:
            self.lr_scale *= c.lower_lr.factor
            actions.append("lower_lr")
        if c.rollback and bad - self.best > c.rollback.margin * abs(self.best):
            actions.append("rollback")
        if c.stop and self.stale >= c.stop.patience:
            actions.append("stop")
        return actions

    def state(self) -> dict[str, Any]:
        """State that a resumed run needs."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "stale": self.stale,
            "lr_scale": self.lr_scale,
            "source_bound": self.source_bound,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state()` returned."""
        for name in self.state():
            setattr(self, name, state[name])
