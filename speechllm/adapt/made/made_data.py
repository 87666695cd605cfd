"""Common part of the methods that make their own data, to train on alone or in a mixture."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from pydantic import ValidationInfo, model_validator

from speechllm.adapt.method import Method
from speechllm.config import RECORDED, Fraction
from speechllm.slot.mixture import Component, Pick, resolve_shares


class MadeData(Method):
    """Data that are made from the target's speech or text, mixed with the views of `denoise`.

    Attributes:
        made_as: what is made, for messages.
    """

    made_as: ClassVar[str]

    tau: Fraction = 1.0
    """Share of the made data; 1 = nothing else is used."""
    tau_t: Fraction = 0.0
    """Share of corrupted target text."""
    sigma_a: Fraction | None = None
    """Share of real source speech."""
    sigma_ta: Fraction | None = None
    """Share of source speech snapped to vocabulary entries."""
    sigma_t: Fraction | None = None
    """Share of corrupted source transcripts."""

    @model_validator(mode="after")
    def _made(self) -> Self:
        if self.tau == 0:
            raise ValueError(f"tau: without a share of {self.made_as} it is another method")
        return self

    def mixture(self, made: Component, text: Component, *more: Component) -> Sequence[Component]:
        """Mixture of made data, corrupted target text and views of the source; no zero shares.

        Args:
            made: component of the made data; its share is `tau`.
            text: component of the corrupted target text; its share is `tau_t`.
            more: further components, with shares.
        """
        components = [
            *more,
            replace(made, share=self.tau),
            replace(text, share=self.tau_t),
            Component("audio", "source", self.sigma_a),
            Component("projected_text", "source", self.sigma_ta),
            Component("noisy_text", "source", self.sigma_t),
        ]
        shares = resolve_shares([component.share for component in components])
        return [replace(c, share=s) for c, s in zip(components, shares, strict=True) if s > 0]


class MadeOfText(MadeData):
    """Data that are made from the target's text, and if wanted a little of its real speech.

    Attributes:
        made: component of what is made.
    """

    made: ClassVar[Component]

    target_audio: Fraction = 0.0
    """Share of real target speech."""
    p: Fraction = 0.1
    """Share of the target utterances whose audio is used for `target_audio`."""
    pick: Pick = "random"
    """Choice of these utterances; `coverage` prefers those with words that the source lacks."""

    @model_validator(mode="after")
    def _used(self, info: ValidationInfo) -> Self:
        if info.context == RECORDED or self.target_audio:
            return self
        if said := {"p", "pick"} & self.model_fields_set:
            raise ValueError(f"{' and '.join(sorted(said))}: give target_audio a share, too")
        return self

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        real = Component("audio", "target", self.target_audio, fraction=self.p, pick=self.pick)
        return self.mixture(self.made, Component("noisy_text", "target"), real)


def key(settings: Any) -> str:
    """Short hash of settings, so that data made with other settings lie elsewhere."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
