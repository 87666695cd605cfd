"""Multi-view text denoising (Burdisso et al., Interspeech 2026; first in 2601.20900)."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.method import Method
from speechllm.config import Fraction
from speechllm.slot.mixture import Component


class Denoise(Method):
    """Corrupted target text fills the speech slot; the LLM learns to correct it.

    Three views of the source beside it keep the LLM in touch with speech. Null sigmas share
    equally what is left.
    """

    tau: Fraction | None = None
    """Share of corrupted target text; null = the target's share of all utterances."""
    sigma_a: Fraction | None = None
    """Share of real source speech."""
    sigma_ta: Fraction | None = None
    """Share of source speech snapped to vocabulary entries."""
    sigma_t: Fraction | None = None
    """Share of corrupted source transcripts."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        tau = self.tau
        if tau is None:
            tau = sizes["target"] / (sizes["target"] + sizes["source"])
        return [
            Component("noisy_text", "target", tau),
            Component("audio", "source", self.sigma_a),
            Component("projected_text", "source", self.sigma_ta),
            Component("noisy_text", "source", self.sigma_t),
        ]
