"""Check that transcript and answer fit the LLM's context, before any training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from speechllm.config import DEFAULT_PROMPT
from speechllm.errors import ConfigError
from speechllm.pretrained import LOADING_ERRORS
from speechllm.slot.prompt import Prompt, make_prompt


def transcript_limit(
    folder: Path,
    *,
    prompt: str | Prompt = DEFAULT_PROMPT,
    chat_template: str | None = None,
    trust_remote_code: bool = False,
    audio_positions: int = 300,
) -> Callable[..., str | None]:
    """Make a function that says why a transcript is too long, or returns None.

    The function takes the transcript, and the answer if it is not the transcript. A sequence is
    prompt + speech slot + answer + end. The slot counts as `audio_positions` (at most half of the
    context), or as twice the transcript if that is more: in the text views it holds the transcript,
    which corruption makes longer in tokens.

    Args:
        folder: transformers folder of the LLM, or of a model that holds one.
        prompt: prompt as in the model's config, or a finished `Prompt`.
        chat_template: as in the model's config.
        trust_remote_code: run code that comes with the model.
        audio_positions: LLM positions of the longest utterance's audio. 300 are 30 s of a 50 Hz
            encoder at a downsampling of 5.

    Raises:
        ConfigError: the folder holds no tokenizer or config that can be read, or there is no chat
            template.
    """
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except LOADING_ERRORS as error:
        raise ConfigError(f"{folder}: LLM cannot be read: {error}", "fetch it again") from error
    # Some models (those with ALiBi positions) have no limit.
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(prompt, str):
        prompt = make_prompt(tokenizer, prompt, chat_template)
    overhead = prompt.overhead

    def length(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    def problem(transcript: str, answer: str | None = None) -> str | None:
        if context is None:
            return None
        tokens = length(transcript)
        slot = max(min(audio_positions, context // 2), 2 * tokens)
        if overhead + slot + (tokens if answer is None else length(answer)) <= context:
            return None
        what = "transcript does" if answer is None else "transcript and answer do"
        return f"{what} not fit the LLM's context of {context} positions"

    return problem
