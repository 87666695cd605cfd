"""Text-only fine-tuning with real-time evaluation (Fang et al., 2506.05671)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from speechllm.adapt.method import Method
from speechllm.data.mixture import Component


class TextOnly(Method):
    """LoRA on target text with the speech slot empty, watched on source speech.

    The paper's two stages are stage 4 (source pairs) and this one; its evaluation of alignment
    while training is the monitor. `slot: clean_text` fills the slot with the transcript itself,
    an ablation.
    """

    slot: Literal["empty", "clean_text"] = "empty"

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component(self.slot, "target", 1.0)]
