"""Prompt of a Speech LLM that is trained already: the one that it was trained with."""

from pathlib import Path
from typing import Any

import torch

from speechllm.config import ModelConfig
from speechllm.errors import ConfigError
from speechllm.model.whole.families import KEY, Family, find_family
from speechllm.pretrained import LOADING_ERRORS, cannot_be_loaded, resolve_folder
from speechllm.slot.prompt import Prompt, cut_prompt

ANSWER = "ANSWER"


def load_prompt(config: ModelConfig) -> Prompt:
    """Make the prompt of a Speech LLM, without its weights.

    Raises:
        ConfigError: the model is of no known family, or its prompt cannot be made.
    """
    return own_prompts(config).make()


def own_prompts(config: ModelConfig) -> "OwnPrompts":
    """Load `OwnPrompts` of a Speech LLM, without its weights.

    Raises:
        ConfigError: the model is of no known family; or see `OwnPrompts`.
    """
    folder = resolve_folder(config.speech_llm or "", KEY, weights=False)
    return OwnPrompts(config, folder, find_family(config, folder))


class OwnPrompts:
    """Makes the prompts that the model's own processor makes around an utterance.

    Args:
        config: names the model, and the text of its prompt.
        folder: the model's folder.
        family: the model's family.

    Attributes:
        tokenizer: the model's tokenizer.

    Raises:
        ConfigError: the folder has no processor or no chat template, or the config asks for a
            prompt that it cannot make.
    """

    def __init__(self, config: ModelConfig, folder: Path, family: Family):
        self._config, self._folder, self._family = config, folder, family
        name = config.speech_llm
        if config.language is not None and family.language is None:
            raise ConfigError(f"model.language: the prompt of {name} names no language")
        try:
            processor = family.load_processor(folder, trust_remote_code=config.trust_remote_code)
        except LOADING_ERRORS as error:
            raise _no_processor(name, str(error)) from error
        tokenizer = getattr(processor, "tokenizer", processor)
        if not hasattr(processor, "apply_chat_template") or not hasattr(
            tokenizer, "all_special_ids"
        ):
            raise _no_processor(name, f"found only a {type(processor).__name__}")
        if config.chat_template and not family.has_template:
            raise ConfigError(f"model.chat_template: {name} makes its prompts without a template")
        if config.chat_template:
            processor.chat_template = config.chat_template
        if family.has_template and not processor.chat_template:
            raise ConfigError(
                f"{KEY}: {name} has no chat template", "give one as model.chat_template"
            )
        self._processor, self.tokenizer = processor, tokenizer

    def make(self, addition: str = "") -> Prompt:
        """Make the prompt; `addition` is one more sentence after the instruction.

        Raises:
            ConfigError: the prompt cannot be made.
        """

        config, family = self._config, self._family
        instruction = family.instruction if config.prompt is None else config.prompt
        instruction = " ".join(filter(None, (instruction, addition))) or None
        try:
            with torch.device("cpu"):  # a sketch has a prompt too
                language = config.language or family.language
                ids = family.render(self._processor, instruction, language)
        except ImportError as error:
            raise cannot_be_loaded(KEY, config.speech_llm or "", error) from error
        except Exception as error:  # a template is a program; such as an unknown language
            raise ConfigError(
                f"{KEY}: {config.speech_llm}'s prompt cannot be made: {error}",
                "mend model.prompt, model.language or model.chat_template",
            ) from error
        tokenizer = self.tokenizer
        if isinstance(ids, str):
            # A template that writes bos itself gets no second one, as in the processors.
            has_bos = tokenizer.bos_token and ids.startswith(tokenizer.bos_token)
            ids = tokenizer(ids, add_special_tokens=not has_bos).input_ids
            eos, stops = _ends(self._processor, tokenizer, self._folder)
        else:
            eos, stops = tokenizer.eos_token_id, ()
        return cut_prompt(tokenizer, ids, family.config.audio_token_id, eos, stops)


def _ends(processor: Any, tokenizer: Any, folder: Path) -> tuple[int, tuple[int, ...]]:
    """Token that the model's template puts after an answer, and other tokens that end one."""
    from transformers import GenerationConfig

    try:
        named = GenerationConfig.from_pretrained(folder).eos_token_id
    except LOADING_ERRORS:
        named = None
    ends = {named} if isinstance(named, int) else set(named or ())
    ends = {token for token in ends if token in tokenizer.added_tokens_decoder}
    ends |= {tokenizer.eos_token_id} - {None}
    turns = [{"role": "user", "content": "-"}, {"role": "assistant", "content": ANSWER}]
    try:
        written = processor.apply_chat_template(turns, tokenize=False)
    except Exception:  # a template that only makes requests
        written = ""
    _, answer, rest = written.rpartition(ANSWER)
    after = tokenizer(rest, add_special_tokens=False).input_ids if answer else []
    if after and after[0] in tokenizer.added_tokens_decoder:
        eos = after[0]
    elif tokenizer.eos_token_id is not None:
        eos = tokenizer.eos_token_id
    else:
        raise ConfigError(f"{KEY}: the tokenizer in {folder} has no end-of-sequence token")
    return eos, tuple(sorted(ends - {eos}))


def _no_processor(name: str | None, why: str) -> ConfigError:
    return ConfigError(
        f"{KEY}: {name} holds no processor that can be read: {why}",
        "fetch all of its files: processor_config.json or preprocessor_config.json, "
        "tokenizer_config.json and the tokenizer's, chat_template.jinja",
    )
