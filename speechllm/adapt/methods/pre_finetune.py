"""Pre-fine-tuning: the LLM sees the domain's text before it learns to recognise (2412.06967)."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.stages import TextFirst, TextSlot
from speechllm.slot.mixture import Component


class PreFinetune(TextFirst):
    """Plain target text, then recognition of source speech: a baseline of Ma et al.

    In the paper recognition is learnt after the text for the first time. Here the base knew it
    before, as it is shared with all other methods, and learns it again.
    """

    slot: TextSlot = "no_prompt"

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component("audio", "source", 1.0)]
