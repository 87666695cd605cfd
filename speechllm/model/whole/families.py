"""Families of trained Speech LLMs: one class for each, with all that differs between them.

To add a family, write a class here and name it in FAMILIES. A class says how frames become LLM
positions, where the projector is, and how the model's own template makes the prompt.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import nn

from speechllm.config import ModelConfig
from speechllm.errors import ConfigError
from speechllm.model.encoder.encoder import SAMPLE_RATE
from speechllm.pretrained import LOADING_ERRORS, cannot_be_loaded

KEY = "model.speech_llm"


class Family:
    """Base class of families, with what most of them have in common.

    Attributes:
        instruction: text of the user's turn beside the audio; the config may replace it.
        language: language named in the prompt if the config names none; None for a family whose
            prompt names no language.
        projector_name: name of the part between encoder and LLM.
        has_template: whether a chat template makes the prompt; the config may replace it.
        config: the model's config.
    """

    instruction: ClassVar[str | None] = None
    language: ClassVar[str | None] = None
    has_template: ClassVar[bool] = True
    projector_name: ClassVar[str] = "multi_modal_projector"

    def __init__(self, config: Any):
        self.config = config

    @property
    def window(self) -> int:
        """Number of encoder frames that the projector takes together."""
        return 1

    @property
    def positions(self) -> int:
        """Number of LLM positions that a window becomes."""
        return 1

    @property
    def width(self) -> int:
        """Width of the projector's input."""
        return self.config.audio_config.hidden_size

    def projector(self, model: nn.Module) -> nn.Module:
        """Part of the model between encoder and LLM."""
        return model.model.get_submodule(self.projector_name)

    def load_processor(self, folder: Path, **options: Any) -> Any:
        """Load what renders the model's chat template: its processor, or its tokenizer."""
        from transformers import AutoProcessor

        return AutoProcessor.from_pretrained(folder, **options)

    def render(
        self, processor: Any, instruction: str | None, language: str | None
    ) -> str | list[int]:
        """Prompt of an utterance up to where the transcript begins, as text or as token ids.

        Args:
            processor: result of `load_processor`.
            instruction: text beside the audio; None for none.
            language: language to name in the prompt; None for a family that names none.

        Raises:
            ValueError: the model's prompt cannot hold the instruction or the language.
            NotImplementedError: a subclass lacks it.
        """
        raise NotImplementedError


class Qwen2Audio(Family):
    """Qwen2-Audio (2407.10759): the encoder pools to 25 Hz, one linear layer for each frame."""

    instruction = "Please recognize the speech and only output the recognized content:"

    def render(self, processor: Any, instruction: str | None, language: str | None) -> str:
        content = [
            {"type": "audio", "audio_url": "utterance"},  # rendered, never opened
            {"type": "text", "text": instruction},
        ]
        return processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )


class Qwen3ASR(Family):
    """Qwen3-ASR (2601.21337): 12.5 Hz, two linear layers for each frame.

    The system's turn may hold words to expect. The answer begins with the language, which the
    prompt gives, so that only the transcript is left to generate.
    """

    language = "English"

    def render(self, processor: Any, instruction: str | None, language: str | None) -> str:
        silence = np.zeros(1, np.float32)  # rendered, never heard
        return processor.apply_transcription_request(
            [silence], language=language, prompt=instruction, tokenize=False
        )[0]


class Voxtral(Family):
    """Voxtral (2507.13264): four frames stacked, 12.5 Hz, always whole windows of 30 s.

    Its tokenizer is that of the package mistral-common, which makes the prompt in token ids.
    """

    language = "en"
    has_template = False

    @property
    def window(self) -> int:
        return self.width // self.config.audio_config.hidden_size

    @property
    def width(self) -> int:
        return self.config.audio_config.intermediate_size

    def render(
        self, processor: Any, instruction: str | None, language: str | None
    ) -> str | list[int]:
        if instruction is not None:
            raise ValueError("its request for a transcript holds no instruction")
        silence = np.zeros(SAMPLE_RATE, np.float32)
        request = processor.apply_transcription_request(
            [silence],
            model_id="voxtral",
            language=language,
            sampling_rate=SAMPLE_RATE,
            format=["wav"],
        )
        return request["input_ids"][0].tolist()


class GraniteSpeech(Family):
    """Granite Speech (2505.08699): queries attend to windows of frames.

    Its audio token stands in the text, so its tokenizer alone makes the prompt.
    """

    instruction = "can you transcribe the speech into a written format?"
    projector_name = "projector"
    system: ClassVar[str] = (
        "Knowledge Cutoff Date: April 2024.\nToday's Date: April 9, 2025.\n"
        "You are Granite, developed by IBM. You are a helpful AI assistant"
    )
    """System turn from the model's card."""

    @property
    def window(self) -> int:
        return self.config.window_size

    @property
    def positions(self) -> int:
        return self.config.window_size // self.config.downsample_rate

    @property
    def width(self) -> int:
        return self.config.encoder_config.hidden_size

    def load_processor(self, folder: Path, **options: Any) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, **options)

    def render(self, processor: Any, instruction: str | None, language: str | None) -> str:
        audio = processor.convert_ids_to_tokens(self.config.audio_token_id)
        turns = [{"role": "user", "content": f"{audio}{instruction}"}]
        if "strftime_now" in processor.chat_template:  # or else the prompt would change every day
            turns.insert(0, {"role": "system", "content": self.system})
        return processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)


FAMILIES: dict[str, type[Family]] = {
    "qwen2_audio": Qwen2Audio,
    "qwen3_asr": Qwen3ASR,
    "voxtral": Voxtral,
    "granite_speech": GraniteSpeech,
}
"""Families by the `model_type` in a model's config.json."""


def find_family(config: ModelConfig, folder: Path) -> Family:
    """Family of the model in a folder, found by its config.json.

    Raises:
        ConfigError: the model is of no known family, or its config.json cannot be read.
    """
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(folder, trust_remote_code=config.trust_remote_code)
    except LOADING_ERRORS as error:
        raise cannot_be_loaded(KEY, config.speech_llm or "", error) from error
    if found.model_type not in FAMILIES:
        raise ConfigError(
            f"{KEY}: {config.speech_llm} is of the kind '{found.model_type}', which is no family "
            f"of Speech LLMs known here ({', '.join(FAMILIES)})",
            "give an encoder and an LLM apart as model.encoder and model.llm, or add the family: "
            "one class in speechllm/model/whole/families.py",
        )
    return FAMILIES[found.model_type](found)
