"""Speech LLM that is trained already, taken apart into projector and LLM."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from speechllm.config import ModelConfig
from speechllm.errors import ConfigError
from speechllm.model.llm import attention
from speechllm.model.projector import OwnProjector
from speechllm.model.whole.families import KEY, find_family
from speechllm.model.whole.own_prompt import OwnPrompts
from speechllm.pretrained import is_sketch, load_model, resolve_folder
from speechllm.slot.prompt import Prompt


class Whole(NamedTuple):
    """Parts of a trained Speech LLM, without the encoder, whose output is cached."""

    tokenizer: Any
    prompt: Prompt
    llm: nn.Module
    projector: OwnProjector


def load_whole(config: ModelConfig) -> Whole:
    """Load the model and take it apart; without weights in `torch.device("meta")`.

    An adapter that comes with the model (Granite Speech has one for speech) is folded into the
    weights: every input here is speech, or text in place of speech.

    Raises:
        ConfigError: the model is of no known family, or some of its files are missing.
    """
    folder = resolve_folder(config.speech_llm or "", KEY, weights=not is_sketch())
    family = find_family(config, folder)
    prompts = OwnPrompts(config, folder, family)
    model = load_in_one_piece(config)  # its encoder is dropped when the parts are taken
    projector = OwnProjector(
        family.projector(model).float(), family.width, family.window, family.positions
    )
    return Whole(prompts.tokenizer, prompts.make(), _causal_lm(model), projector)


def load_in_one_piece(config: ModelConfig) -> Any:
    """Load the model as transformers' own class, its adapter folded in if it has one.

    Raises:
        ConfigError: the model is of no known family, or some of its files are missing.
    """
    from transformers import AutoModelForMultimodalLM

    name = config.speech_llm or ""
    folder = resolve_folder(name, KEY, weights=not is_sketch())
    family = find_family(config, folder)
    if getattr(family.config, "has_lora_adapter", False) and not is_sketch():
        _check_adapter(folder, name)
    model = load_model(
        AutoModelForMultimodalLM,
        folder,
        KEY,
        name,
        dtype=getattr(torch, config.llm_dtype),
        attn_implementation=attention(config),
        trust_remote_code=config.trust_remote_code,
    )
    _fold_adapters(model)
    return model


def _check_adapter(folder: Path, name: str) -> None:
    if (folder / "adapter_config.json").is_file() and any(folder.glob("adapter_model.*")):
        return
    raise ConfigError(
        f"{KEY}: {name} needs its LoRA adapter to hear, but the folder has no "
        "adapter_config.json with adapter_model.safetensors",
        "fetch all of the model's files",
    )


def _fold_adapters(model: nn.Module) -> None:
    """Merge the LoRA that transformers loaded with the model, and put plain layers back."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            above, _, last = name.rpartition(".")
            setattr(model.get_submodule(above), last, layer.get_base_layer())


def _causal_lm(model: Any) -> nn.Module:
    """Decoder and head of the model, as the causal LM that they were before speech was added.

    So the LM's own class still scales embeddings and logits (Granite multiplies the one and
    divides the other), and LoRA, search and losses get an ordinary LLM.
    """
    from transformers import AutoModelForCausalLM

    config = model.config.get_text_config()
    with torch.device("meta"):  # its weights come from the model
        llm = AutoModelForCausalLM.from_config(
            config, attn_implementation=config._attn_implementation
        )
    setattr(llm, llm.base_model_prefix, model.model.language_model)
    llm.set_output_embeddings(model.get_output_embeddings())
    return llm
