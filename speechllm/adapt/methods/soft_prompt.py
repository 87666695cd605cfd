"""Two-step soft-prompt fine-tuning (Ma, Liu and Kalinli, 2412.06967)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from speechllm.adapt.method import Method, Phase
from speechllm.adapt.two_stages import inherit_train
from speechllm.config import PositiveInt, TrainConfig
from speechllm.slot.mixture import Component

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.model.speech_llm import SpeechLLM


class SoftPromptTuning(Method):
    """Vectors learn to stand for the domain's speech; then the LLM learns its text behind them.

    1. `prompt`: with all else frozen, vectors in the speech slot learn to make the LLM produce the
       target's text.
    2. `tuning`: the vectors are fixed, and LoRA learns from the same text.

    Inference uses real speech, so the vectors are in no bundle. They stay in the run's folder, as
    prompt/trained.safetensors, where another run can find them (`prompt_file`).
    """

    length: PositiveInt = 30
    """Number of vectors; the paper reports 30 and 50."""
    init: Literal["normal", "random_words", "bos"] = "normal"
    """Initial values of the vectors, unless they come from a file."""
    mlp: bool = False
    """Send the vectors through three linear layers with ReLU."""
    prompt_train: TrainConfig | None
    """Optimisation of the first step; keys left out are taken from `train`."""
    prompt_file: Path | None = None
    """File of vectors that another run has learnt; there is no first step then."""

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, values: Any) -> Any:
        if values.get("prompt_file") is None:
            return inherit_train(values, "prompt_train")
        if values.get("prompt_train") is not None:
            raise ValueError("with prompt_file no prompt is learnt: leave out prompt_train")
        return {**values, "prompt_train": None}

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component("soft_prompt", "target", 1.0)]

    def phases(self, sizes: Mapping[str, int]) -> Sequence[Phase]:
        text = self.components(sizes)
        tuning = Phase("tuning", text, self.trainable, self.train, self.monitor)
        if self.prompt_train is None:
            return [tuning]
        vectors = ("scaffold.soft_prompt.*",)
        # No monitor: dev speech would take the vectors' place in the slot.
        return [Phase("prompt", text, vectors, self.prompt_train, None), tuning]

    def add_scaffold(self, model: "SpeechLLM") -> None:
        from speechllm.model.soft_prompt import SOFT_PROMPT, SoftPrompt, first_vectors

        start = first_vectors(
            self.init, self.length, model.embedding, model.tokenizer, model.prompt.bos
        )
        prompt = SoftPrompt(start, self.mlp)
        if self.prompt_file:
            prompt.load(self.prompt_file)
        model.scaffold[SOFT_PROMPT] = prompt
