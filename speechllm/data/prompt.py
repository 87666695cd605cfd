"""The prompt as token ids: what stands before the speech slot and what stands after it."""

from dataclasses import dataclass
from typing import Any

from speechllm.config import SPEECH_MARKER
from speechllm.errors import ConfigError


@dataclass(frozen=True)
class Prompt:
    """`prefix` + speech slot + `suffix` + transcript + `eos`, all in token ids."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    eos: int
    pad: int
    bos: int
    """What a text without any prompt begins with; eos, for an LLM that has no such token."""

    @property
    def overhead(self) -> int:
        """Positions of a sequence that are neither slot nor transcript."""
        return len(self.prefix) + len(self.suffix) + 1


def make_prompt(tokenizer: Any, text: str, chat_template: str | None = None) -> Prompt:
    """Render the user's turn with the LLM's chat template and cut it at the speech marker.

    Both sides are tokenised apart, so that no token straddles the slot's border, whatever
    fills it.

    Args:
        tokenizer: a transformers tokenizer.
        text: the user's turn, with one `<speech>` marker anywhere in it.
        chat_template: used instead of the tokenizer's own.

    Raises:
        ConfigError: not exactly one marker, no chat template, or no end-of-sequence token.
    """
    if text.count(SPEECH_MARKER) != 1:
        raise ConfigError(f"model.prompt must hold {SPEECH_MARKER} once, not '{text}'")
    if not (chat_template or tokenizer.chat_template):
        raise ConfigError(
            f"the tokenizer {tokenizer.name_or_path} has no chat template",
            "give one in the config as model.chat_template",
        )
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"the tokenizer {tokenizer.name_or_path} has no end-of-sequence token")
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}],
        chat_template=chat_template,
        tokenize=False,
        add_generation_prompt=True,
    )
    if rendered.count(SPEECH_MARKER) != 1:
        raise ConfigError(f"the chat template does not keep the user's text once: '{rendered}'")
    before, after = (
        tuple(tokenizer(part, add_special_tokens=False).input_ids)
        for part in rendered.split(SPEECH_MARKER)
    )
    pad = tokenizer.pad_token_id
    # Pads are told apart by the attention mask and never by their id, so any id will do.
    eos, bos = tokenizer.eos_token_id, tokenizer.bos_token_id
    return Prompt(before, after, eos, eos if pad is None else pad, eos if bos is None else bos)
