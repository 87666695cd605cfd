"""Pre-fine-tuning: the LLM learns the domain's text before recognition (2412.06967)."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.two_stages import TextFirst, TextSlot
from speechllm.slot.mixture import Component


class PreFinetune(TextFirst):
    """Plain target text, then recognition of source speech: a baseline of Ma et al.

    In the paper the model learns recognition only after the text. Here the base, which all methods
    share, has learnt it before, and learns it again.
    """

    slot: TextSlot = "no_prompt"

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component("audio", "source", 1.0)]
