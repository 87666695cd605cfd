"""Text with a little speech: curriculum and direct mixing (Choi et al., 2509.15389)."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from speechllm.adapt.method import Method
from speechllm.adapt.two_stages import TextFirst, TextSlot, source_speech
from speechllm.config import Fraction
from speechllm.slot.mixture import Component


class Curriculum(TextFirst):
    """All target text, with the transcript in the slot; then a share p of the target pairs.

    Whether LoRA or the whole LLM learns is set by `lora` and `trainable`; the paper tunes the
    whole LLM.
    """

    slot: TextSlot = "clean_text"
    p: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the target utterances whose audio is used."""
    source_audio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of source speech in the second stage, for example of another language."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        target = Component("audio", "target", 1 - self.source_audio, fraction=self.p)
        return [target, *source_speech(self.source_audio)]


class DirectMixing(Method):
    """All target text beside a share p of the target's speech, in natural proportions.

    It learns in one stage from the data that `Curriculum` uses in two. If all text is spoken too,
    there is an item of speech for every 1 / p items of text.
    """

    slot: TextSlot = "clean_text"
    """View that fills the speech slot of a text item."""
    p: Fraction = 0.1
    """Share of the target utterances whose audio is used."""
    source_audio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of source speech among all items, for example of another language."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        text = sizes.get("target/text", sizes["target"])
        speech = self.p * sizes.get("target/audio", sizes["target"])
        left = 1 - self.source_audio
        mixed = [
            Component(self.slot, "target", left * text / (text + speech)),
            Component("audio", "target", None, fraction=self.p),
        ]
        return [*mixed, *source_speech(self.source_audio)]
