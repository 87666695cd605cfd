"""Names of weights: a bundle's, those of transformers' own class, and vLLM's."""

from typing import Literal

from speechllm.config import ModelConfig
from speechllm.model.whole.families import find_family
from speechllm.pretrained import resolve_folder

PREFIX = "base_model.model."
"""PEFT's name of the model that it wraps."""
Format = Literal["peft", "vllm"]
"""Who is to load an adapter; a whole Speech LLM's names differ between transformers and vLLM."""
OLDER = ("language_model.model.", "thinker.model.")
"""Where vLLM and older transformers, and Qwen3-ASR's own code, keep the decoder."""
DECODER = "model."
DECODERS: dict[Format, str] = {"peft": "model.language_model.", "vllm": "language_model.model."}
HEADS: dict[Format, str] = {"peft": "lm_head", "vllm": "language_model.lm_head"}


class Names:
    """Translates names between a causal LM, as bundles know it, and transformers' own class.

    For encoder + projector + LLM the class is the causal LM itself. A whole Speech LLM keeps the
    decoder one level deeper, and its projector beside it.

    Args:
        config: settings of the model.
    """

    def __init__(self, config: ModelConfig):
        self.is_whole = config.speech_llm is not None
        self.projector = ""
        """Beginning of the projector's names in a whole Speech LLM."""
        if config.speech_llm:
            folder = resolve_folder(config.speech_llm, "model.speech_llm", weights=False)
            self.projector = f"model.{find_family(config, folder).projector_name}."

    def to_theirs(self, name: str, format: Format = "peft") -> str:
        """Name in transformers' own class, or in vLLM's, of what the causal LM calls `name`."""
        if self.is_whole and name.startswith(DECODER):
            return DECODERS[format] + name.removeprefix(DECODER)
        if self.is_whole and name.startswith("lm_head"):
            return HEADS[format] + name.removeprefix("lm_head")
        return name

    def to_ours(self, name: str) -> str | None:
        """Name in the causal LM; None if it is no part of the LLM."""
        if not self.is_whole:
            return name
        for older in OLDER:
            if name.startswith(older):
                return DECODER + name.removeprefix(older)
        for head in ("language_model.lm_head", "thinker.lm_head", "lm_head"):
            if name == head or name.startswith(f"{head}."):
                return "lm_head" + name.removeprefix(head)
        if name.startswith(DECODERS["peft"]):
            return DECODER + name.removeprefix(DECODERS["peft"])
        return None


def plain(name: str) -> str:
    """Name that a parameter had before PEFT wrapped the model and its layers."""
    return name.removeprefix(PREFIX).replace(".base_layer.", ".")
