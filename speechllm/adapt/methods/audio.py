"""Fine-tuning on target pairs: the reference of every comparison."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.method import Method
from speechllm.config import Fraction
from speechllm.slot.mixture import Component, Pick


class FullAudio(Method):
    """LoRA on a fixed, seeded fraction of the target domain's real pairs, and nothing else.

    Fraction 1 is the upper reference of 2601.20900 and 2604.06487; a smaller one is their
    "standard ASR fine-tuning".
    """

    fraction: Fraction = 1.0
    """Share of the target utterances that are used."""
    pick: Pick = "random"
    """Choice of these utterances; `coverage` prefers those with words that the source lacks."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component("audio", "target", 1.0, fraction=self.fraction, pick=self.pick)]
