"""Adaptive mixing: shares that follow the monitor. Our own; the papers keep shares fixed.

2604.06487 finds a good mixture by a sweep and names its dynamic composition as future work. Here
each view of each domain has a held-out loss of its own, and shares move towards the views whose
held-out loss still falls.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from speechllm.adapt.made.simulated import SIMULATED, SimulatedSpeech
from speechllm.adapt.method import Method, Phase, Workspace
from speechllm.config import Fraction, PositiveFloat
from speechllm.errors import ConfigError
from speechllm.slot.mixture import Component, Pick, resolve_shares

if TYPE_CHECKING:
    from speechllm.slot.corpus import Corpus
    from speechllm.slot.mixing import Mixture
    from speechllm.train.monitor import Signals


class Adaptive(Method):
    """Target speech and target text, and both of the source, in shares that move.

    After every evaluation a share is multiplied by exp(rate * progress). Progress is the relative
    fall of its view's held-out loss, divided by the greatest relative change among the views. If
    the loss on source speech exceeds that at the start by more than `source_margin`, the source's
    shares are doubled instead, and no such weights are kept. A view whose share is 0 at the start
    takes no part.
    """

    p: Fraction = 0.1
    """Share of the target utterances whose audio is used; they stay the same."""
    pick: Pick = "random"
    """Choice of these utterances; `coverage` prefers those with words that the source lacks."""
    target_audio: Fraction = 0.25
    """Initial share of real target speech."""
    target_text: Fraction = 0.25
    """Initial share of target text."""
    source_audio: Fraction = 0.25
    """Initial share of real source speech."""
    source_text: Fraction | None = None
    """Initial share of corrupted source transcripts; null = the rest."""
    simulated: SimulatedSpeech | None = None
    """Show target text as simulated speech, as `posterior` does; null = as corrupted text."""
    rate: PositiveFloat = 0.5
    """Greatest change of the logarithm of a share at one evaluation."""
    floor: Annotated[float, Field(ge=0, lt=0.25)] = 0.02
    """Lowest share of a view, so that none is dropped."""
    source_margin: PositiveFloat = 0.5
    """Tolerated rise of the loss on source speech, relative to the start."""

    @model_validator(mode="after")
    def _one_margin(self) -> Self:
        if self.monitor.source_margin is not None:
            raise ValueError("give source_margin of the method, which is the monitor's too")
        return self

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        text = ("pseudo_audio", SIMULATED) if self.simulated else ("noisy_text", "target")
        components = [
            Component("audio", "target", self.target_audio, fraction=self.p, pick=self.pick),
            Component(*text, self.target_text),
            Component("audio", "source", self.source_audio),
            Component("noisy_text", "source", self.source_text),
        ]
        shares = resolve_shares([c.share for c in components])
        return [replace(c, share=s) for c, s in zip(components, shares, strict=True) if s > 0]

    def phases(self, sizes: Mapping[str, int]) -> Sequence[Phase]:
        components = self.components(sizes)
        texts = tuple((c.domain, c.view) for c in components if c.view == "noisy_text")
        monitor = self.monitor.model_copy(update={"source_margin": self.source_margin})
        return [Phase("", components, self.trainable, self.train, monitor, texts)]

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        if not self.simulated:
            return {}
        return {SIMULATED: self.simulated.simulate(workspace, self.train.seed)}

    def controller(self, mixture: "Mixture") -> "ShareController":
        return ShareController(mixture, self.rate, self.floor, self.source_margin)


class ShareController:
    """Moves a mixture's shares after every evaluation.

    Args:
        mixture: mixture whose components' held-out losses are among the monitor's signals.
        rate: greatest change of the logarithm of a share at one evaluation.
        floor: lowest share.
        source_margin: tolerated rise of the loss on source speech, relative to the start.
    """

    def __init__(self, mixture: "Mixture", rate: float, floor: float, source_margin: float):
        self.mixture, self.rate, self.floor, self.margin = mixture, rate, floor, source_margin
        self.losses: list[float] = []
        """Held-out losses of the components at the last evaluation."""
        self.source_bound = math.inf

    def observe(self, step: int, signals: Mapping[str, "Signals"]) -> str | None:
        wanted = [_dev_set(c) for c in self.mixture.components]
        if missing := sorted({"source", *wanted} - signals.keys()):
            raise ConfigError(
                f"adaptive follows held-out losses, but no dev set is for {', '.join(missing)}",
                "give source and target dev sets with audio and text",
            )
        losses = [signals[name]["loss"] for name in wanted]
        before, self.losses = self.losses, losses
        source = signals["source"]["loss"]
        if not before:
            self.source_bound = source * (1 + self.margin)
            return None
        if source > self.source_bound:
            factors = [2.0 if c.domain == "source" else 1.0 for c in self.mixture.components]
        else:
            progress = [(b - now) / b for b, now in zip(before, losses, strict=True)]
            greatest = max(map(abs, progress)) or 1.0
            factors = [math.exp(self.rate * p / greatest) for p in progress]
        moved = [s * f for s, f in zip(self.mixture.shares, factors, strict=True)]
        self.mixture.shares = with_floor(moved, self.floor)
        return "shares " + " ".join(f"{share:.2f}" for share in self.mixture.shares)

    def state(self) -> dict[str, Any]:
        return {
            "shares": self.mixture.shares,
            "losses": self.losses,
            "source_bound": None if math.isinf(self.source_bound) else self.source_bound,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.mixture.shares, self.losses = list(state["shares"]), list(state["losses"])
        bound = state["source_bound"]
        self.source_bound = math.inf if bound is None else bound


def _dev_set(component: Component) -> str:
    """Name of a component's held-out loss; simulated speech is judged by real speech."""
    if component.view == "noisy_text":
        return f"{component.domain}/{component.view}"
    return "source" if component.domain == "source" else "target"


def with_floor(shares: Sequence[float], floor: float) -> list[float]:
    """Scale shares to a sum of 1 and give each at least `floor` (fixed share, Herbster 1998)."""
    free, total = 1 - floor * len(shares), sum(shares)
    return [floor + free * share / total for share in shares]
