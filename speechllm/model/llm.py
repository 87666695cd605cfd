"""The decoder-only LLM, its tokenizer and its LoRA."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from speechllm.config import LoraConfig, ModelConfig
from speechllm.errors import ConfigError
from speechllm.pretrained import resolve_folder


def load_tokenizer(config: ModelConfig) -> Any:
    """The LLM's tokenizer."""
    from transformers import AutoTokenizer

    folder = resolve_folder(config.llm, "model.llm")
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=config.trust_remote_code)


def load_llm(config: ModelConfig) -> nn.Module:
    """The causal LM with its pretrained weights.

    Raises:
        ConfigError: the folder or hub id holds no causal LM that transformers can load.
    """
    from transformers import AutoModelForCausalLM

    folder = resolve_folder(config.llm, "model.llm")
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, config.llm_dtype),
            # With a padding mask, eager attention in bfloat16 is the faster one on a CPU.
            attn_implementation=None if torch.cuda.is_available() else "eager",
            trust_remote_code=config.trust_remote_code,
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"model.llm: {config.llm} cannot be loaded: {error}") from error


def add_lora(llm: nn.Module, config: LoraConfig) -> nn.Module:
    """Wrap the LLM with fresh adapters (float32, also over bfloat16 weights).

    Raises:
        ConfigError: a target module that the LLM does not have.
    """
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    peft_config = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.targets),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(llm, peft_config)
    except ValueError as error:
        raise ConfigError(f"lora.targets {list(config.targets)}: {error}") from error


def merge_lora(llm: nn.Module) -> nn.Module:
    """Fold a parent's adapters into the weights, so that a child can add its own."""
    return llm.merge_and_unload() if hasattr(llm, "merge_and_unload") else llm


@contextmanager
def head_sees_only(llm: nn.Module, positions: Tensor) -> Iterator[None]:
    """Inside the block, the LM head is applied at `positions` ([B, L], bool) alone.

    Logits then have the shape [N, V] instead of [B, L, V]: with a vocabulary of 128k the rest
    would take most of the memory and a good part of the time. The selection happens in front of
    the head, inside the architecture's own forward, so what some architectures do to logits
    afterwards (scaling, soft caps) still holds.
    """
    head = llm.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, args: (args[0][positions],))
    try:
        yield
    finally:
        hook.remove()
