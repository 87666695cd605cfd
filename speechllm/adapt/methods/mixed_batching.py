"""Mixed batching with limited target audio (Baneras-Roux et al., 2604.06487)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

from pydantic import model_validator

from speechllm.adapt.method import Method
from speechllm.config import Fraction
from speechllm.slot.mixture import Component, Pick


class MixedBatching(Method):
    """Denoising where a share p of the target utterances comes with its audio.

    The audio is a fixed, seeded part of the target set, so "10 % of the audio" holds over the
    whole run; the published code draws it anew at each load and so uses 41 % in five epochs
    (`redraw`). The other utterances are shown as corrupted text only.
    """

    tau: Fraction = 0.5
    """Share of the target domain in every batch."""
    p: Fraction = 0.1
    """Share of the target utterances whose audio is used."""
    pick: Pick = "random"
    """Choice of these utterances; `coverage` prefers those with words that the source lacks."""
    redraw: bool = False
    """Choose these utterances anew in every epoch, as the published code does."""
    sigma_a: Fraction | None = None
    """Share of real source speech."""
    sigma_ta: Fraction | None = None
    """Share of source speech snapped to vocabulary entries."""
    sigma_t: Fraction | None = None
    """Share of corrupted source transcripts."""

    @model_validator(mode="after")
    def _one_way_to_pick(self) -> Self:
        if self.redraw and self.pick != "random":
            raise ValueError("redraw chooses by chance: leave out pick")
        return self

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        part = {"fraction": self.p, "redraw": self.redraw, "pick": self.pick}
        spoken = Component("audio", "target", **part)
        return [
            replace(spoken, share=self.tau * self.p),
            replace(spoken, view="noisy_text", share=self.tau * (1 - self.p), complement=True),
            Component("audio", "source", self.sigma_a),
            Component("projected_text", "source", self.sigma_ta),
            Component("noisy_text", "source", self.sigma_t),
        ]
