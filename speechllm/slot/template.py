"""Turn of a chat, rendered by the LLM's own template with a fixed date."""

from datetime import date
from typing import Any

from speechllm.errors import ConfigError

TODAY = date(2024, 7, 26)
"""Date that templates are given: the one that Llama 3's falls back to without a clock."""
CODES = ("%d", "%-d", "%m", "%-m", "%b", "%B", "%y", "%Y", "%a", "%A", "%j", "%H", "%M", "%S")
STOPPED_CLOCK = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('{code}', '{TODAY.strftime(code)}')" for code in CODES)
    + " }}{%- endmacro -%}"
)
"""Macro put before a template; it hides the function `strftime_now`."""


def render(tokenizer: Any, text: str, chat_template: str | None = None) -> str:
    """Render a user's turn and the beginning of the answer.

    Some templates put the date into a system prompt (Llama 3, SmolLM 3), and some let the model
    think before it answers (Qwen 3). A prompt must not change overnight, and a transcript needs no
    thinking: the date is fixed, and thinking is switched off where it can be.

    Args:
        tokenizer: a transformers tokenizer.
        text: the user's turn.
        chat_template: template to use instead of the tokenizer's own.

    Raises:
        ConfigError: there is no template, or it cannot write such a turn.
    """

    if not (chat_template or tokenizer.chat_template):
        raise ConfigError(
            f"the tokenizer {tokenizer.name_or_path} has no chat template",
            "give one in the config as model.chat_template",
        )
    try:
        template = tokenizer.get_chat_template(chat_template)
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            chat_template=STOPPED_CLOCK + template if "strftime_now" in template else template,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
    except Exception as error:  # a template is a program
        raise ConfigError(
            f"the chat template of {tokenizer.name_or_path} cannot write a user's turn: {error}",
            "give another one in the config as model.chat_template",
        ) from error
