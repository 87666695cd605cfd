"""Direct mixing: text and speech in one pool (Choi et al., 2509.15389)."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.method import Method
from speechllm.adapt.stages import TextSlot
from speechllm.config import Fraction
from speechllm.data.mixture import Component


class DirectMixing(Method):
    """All target text beside a share p of the target pairs, in natural proportions.

    What curriculum learns from in two stages, learnt at once: an item of speech for every 1 / p
    items of text.
    """

    slot: TextSlot = "clean_text"
    """What fills the speech slot of a text item."""
    p: Fraction = 0.1
    """Share of the target utterances whose audio is used."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [
            Component(self.slot, "target", 1 / (1 + self.p)),
            Component("audio", "target", None, fraction=self.p),
        ]
