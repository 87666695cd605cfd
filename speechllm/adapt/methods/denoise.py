"""Multi-view text denoising (Burdisso et al., Interspeech 2026; first in 2601.20900)."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.method import Method
from speechllm.config import Fraction
from speechllm.slot.mixture import Component


class Denoise(Method):
    """Corrupted target text stands where speech would; the LLM learns to put it right.

    Four views keep it in touch with speech. A null proportion shares what is left equally.
    """

    tau: Fraction | None = None
    """Share of corrupted target text; null = the domains' natural proportion."""
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
