"""Text-only fine-tuning with real-time evaluation (Fang et al., 2506.05671)."""

from collections.abc import Mapping, Sequence

from speechllm.adapt.method import Method
from speechllm.adapt.stages import TextSlot
from speechllm.data.mixture import Component


class TextOnly(Method):
    """LoRA on target text with the speech slot empty, watched on source speech.

    The paper's two stages are stage 4 (source pairs) and this one; its evaluation of alignment
    while training is the monitor. `slot: clean_text` fills the slot with the transcript itself,
    an ablation; `no_prompt` and `upsample_mask` are baselines of 2412.06967.
    """

    slot: TextSlot = "empty"

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component(self.slot, "target", 1.0)]
