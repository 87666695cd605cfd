"""Prompt as token ids: the parts before and after the speech slot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speechllm.config import SPEECH_MARKER
from speechllm.errors import ConfigError
from speechllm.slot.template import render


@dataclass(frozen=True)
class Prompt:
    """`prefix` + speech slot + `suffix` + transcript + `eos`, all in token ids."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    eos: int
    pad: int
    bos: int
    """First token of a text without any prompt; eos, for an LLM without such a token."""
    stops: tuple[int, ...] = ()
    """Further tokens that end a hypothesis, where a trained model has more than one."""

    @property
    def overhead(self) -> int:
        """Number of positions of a sequence that are neither slot nor transcript."""
        return len(self.prefix) + len(self.suffix) + 1


def make_prompt(tokenizer: Any, text: str, chat_template: str | None = None) -> Prompt:
    """Render the user's turn with the LLM's chat template and cut it at the speech marker.

    Both sides are tokenised separately, so that no token crosses the slot's border, whatever
    fills it.

    Args:
        tokenizer: a transformers tokenizer.
        text: the user's turn, with one `<speech>` marker anywhere in it.
        chat_template: template to use instead of the tokenizer's own.

    Raises:
        ConfigError: not exactly one marker, no chat template, or no end-of-sequence token.
    """
    if text.count(SPEECH_MARKER) != 1:
        raise ConfigError(f"model.prompt must hold {SPEECH_MARKER} once, not '{text}'")
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"the tokenizer {tokenizer.name_or_path} has no end-of-sequence token, so nothing "
            "would end a transcript",
            "name another LLM in model.llm, or set eos_token in its tokenizer_config.json",
        )
    rendered = render(tokenizer, text, chat_template)
    if rendered.count(SPEECH_MARKER) != 1:
        raise ConfigError(
            f"the chat template does not keep the user's text once: '{rendered}'",
            "give another one in the config as model.chat_template",
        )
    before, after = (
        tuple(tokenizer(part, add_special_tokens=False).input_ids)
        for part in rendered.split(SPEECH_MARKER)
    )
    return _with_specials(tokenizer, before, after, tokenizer.eos_token_id)


def cut_prompt(
    tokenizer: Any, ids: Sequence[int], audio: int, eos: int, stops: Sequence[int] = ()
) -> Prompt:
    """Cut a prompt at its audio; the prompt was made by a trained model's own processor.

    Args:
        tokenizer: the model's tokenizer.
        ids: the whole prompt, with the audio token once, or once for each position of audio.
        audio: id of the audio token.
        eos: id of the token that ends the model's answer.
        stops: ids of further tokens that end it.

    Raises:
        ConfigError: no audio in the prompt, or audio in several places.
    """
    places = [place for place, token in enumerate(ids) if token == audio]
    if not places or places[-1] - places[0] >= len(places):
        raise ConfigError(
            f"the model's template makes a prompt with audio in {len(places)} places: "
            f"'{tokenizer.decode(ids)}'",
            "a prompt must hold one utterance: mend model.prompt or model.chat_template",
        )
    before, after = tuple(ids[: places[0]]), tuple(ids[places[-1] + 1 :])
    return _with_specials(tokenizer, before, after, eos, tuple(stops))


def _with_specials(
    tokenizer: Any,
    before: tuple[int, ...],
    after: tuple[int, ...],
    eos: int,
    stops: tuple[int, ...] = (),
) -> Prompt:
    # Pads are recognised by the attention mask and never by their id, so any id will do.
    pad, bos = tokenizer.pad_token_id, tokenizer.bos_token_id
    return Prompt(
        before, after, eos, eos if pad is None else pad, eos if bos is None else bos, stops
    )
