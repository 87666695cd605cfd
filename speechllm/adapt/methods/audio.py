"""Fine-tuning on target pairs: the reference line of every comparison."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.method import Method
from speechllm.config import Fraction
from speechllm.slot.mixture import Component, Pick


class FullAudio(Method):
    """LoRA on a fixed, seeded fraction of the target domain's real pairs, and nothing else.

    With fraction 1 it is the upper reference of 2601.20900 and 2604.06487, with less their
    "standard ASR fine-tuning".
    """

    fraction: Fraction = 1.0
    pick: Pick = "random"
    """How these are chosen; `coverage`: to hold the words that the source's text lacks."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component("audio", "target", 1.0, fraction=self.fraction, pick=self.pick)]
