"""Posteriors of target text from a simulator that is trained on source pairs (TASU2)."""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, PrivateAttr, model_validator

from speechllm.adapt.made.made_data import MadeOfText
from speechllm.adapt.made.simulated import SIMULATED
from speechllm.adapt.method import Workspace
from speechllm.config import PositiveFloat, PositiveInt, Section
from speechllm.errors import ConfigError
from speechllm.slot.mixture import Component

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.adapt.made.harder_bins import HarderBins
    from speechllm.slot.corpus import Corpus
    from speechllm.slot.mixing import Mixture
    from speechllm.slot.pseudo_audio.sparse_posteriors import SimulatedText

log = logging.getLogger(__name__)

Bound = Annotated[float, Field(ge=0)]
Growth = Annotated[float, Field(gt=0, le=1)]


class SimulatorConfig(Section):
    """Network that simulates posteriors, and its optimisation."""

    width: PositiveInt = 192
    layers: PositiveInt = 2
    """Number of layers in the encoder, and in the decoder."""
    heads: PositiveInt = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    epochs: PositiveInt = 8
    batch: PositiveInt = 32
    """Utterances per step."""
    lr: PositiveFloat = 1e-3

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width: {self.width} is no multiple of twice {self.heads} heads")
        return self


class BinCurriculum(Section):
    """Curriculum over bins of WER, from easy to hard."""

    start: Growth = 0.5
    """Initial share of the bins, the easiest, that is drawn from."""
    step: Growth = 0.5
    """Growth of the share at each evaluation of the monitor."""


class Tasu2(MadeOfText):
    """LoRA on target text, shown through simulated posteriors of the projector's CTC.

    TASU2 (Interspeech 2026, 2604.08384): a Transformer learns on source pairs which posteriors a
    text gets when it is read at a given WER, and predicts them for target text.
    """

    made_as = "simulated speech"
    made = Component("pseudo_audio", SIMULATED)
    utterances: Annotated[int, Field(ge=2, le=10**9)] = 2000
    """Maximum number of source pairs that the simulator learns from."""
    bins: tuple[Bound, ...] = (0, 10, 20, 30, 100)
    """Upper bounds of the WER bins (percent); the last bin also holds what is above its bound."""
    wer: tuple[Bound, ...] = (0, 10, 20, 30)
    """Bins in which target text is simulated, from easy to hard, by their bounds."""
    variants: PositiveInt = 1
    """Simulations of a sentence in each bin."""
    curriculum: BinCurriculum | None = BinCurriculum()
    """Curriculum over the bins; null = all bins from the start."""
    simulator: SimulatorConfig = SimulatorConfig()

    _simulated: "SimulatedText | None" = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.wer:
            raise ValueError("wer: name a bin at least")
        for name, bounds in ("bins", self.bins), ("wer", self.wer):
            if list(bounds) != sorted(set(bounds)):
                raise ValueError(f"{name}: write each bound once, from low to high")
        if unknown := sorted(set(self.wer) - set(self.bins)):
            raise ValueError(f"wer: {unknown[0]:g} is no bound of bins")
        return self

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """Make the target's text with its simulations, in a domain of its own.

        Raises:
            ConfigError: the LLM of the base is given no posteriors, the source has no audio, or
                CTC reads too little in it.
        """
        from speechllm.adapt.made.heard import ctc_of_posteriors
        from speechllm.adapt.made.simulated_text import simulate

        ctc_of_posteriors(workspace.model, self.method)
        if not workspace.corpora["source"].has_audio:
            raise ConfigError(f"{self.method} learns from source speech, and the source has none")
        self._simulated = simulate(self, workspace)
        log.info("simulated posteriors: %s", json.dumps(self._simulated.origin))
        return {SIMULATED: self._simulated}

    def controller(self, mixture: "Mixture") -> "HarderBins | None":
        from speechllm.adapt.made.harder_bins import HarderBins

        if self.curriculum is None or self._simulated is None:
            return None
        return HarderBins(self._simulated, **self.curriculum.model_dump())
