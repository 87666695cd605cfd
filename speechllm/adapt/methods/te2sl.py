"""Target text behind pseudo-audio that a refiner makes from its embeddings (TE2SL, 2605.14340)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from speechllm.adapt.made.made_data import MadeOfText
from speechllm.adapt.method import Workspace
from speechllm.config import PositiveFloat, PositiveInt, Section
from speechllm.slot.mixture import Component

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.slot.corpus import Corpus

REFINED = "refined"
"""Domain of the target's text behind pseudo-audio."""


class RefinerConfig(Section):
    """Network that turns embeddings of text into projected speech, and its optimisation."""

    pairs: Annotated[int, Field(ge=2, le=10**9)] = 2000
    """Maximum number of source pairs that it learns from."""
    width: PositiveInt = 256
    """Width of the Conformer blocks."""
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    kernel: PositiveInt = 7
    """Positions that the convolution of a block sees."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    steps: PositiveInt = 500
    batch: PositiveInt = 16
    """Utterances per step."""
    lr: PositiveFloat = 1e-3
    """Peak learning rate, after a tenth of the steps; it then falls to zero."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} cannot share a width of {self.width}")
        return self


class Te2sl(MadeOfText):
    """LoRA on target text, shown as pseudo-audio that a refiner makes from its token embeddings.

    A small Conformer learns on source pairs to turn the embeddings of a transcript into what
    encoder and projector give for its speech. Target text behind such pseudo-audio then tunes the
    LLM. What is published and what is ours: docs/methods/te2sl.md.
    """

    made_as = "pseudo-audio"
    made = Component("pseudo_audio", REFINED)
    refiner: RefinerConfig = RefinerConfig()

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """Make the target's text with its pseudo-audio, in a domain of its own."""
        from speechllm.adapt.made.refined import refined_text

        return {REFINED: refined_text(workspace, self.refiner, self.train.seed)}
