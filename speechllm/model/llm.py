"""The decoder-only LLM, its tokenizer and its LoRA."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechllm.config import LoraConfig, ModelConfig
from speechllm.environment import environment_number
from speechllm.errors import ConfigError
from speechllm.pretrained import (
    LOADING_ERRORS,
    cannot_be_loaded,
    is_sketch,
    load_model,
    resolve_folder,
)

KEY = "model.llm"
TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "tekken.json")


def load_tokenizer(config: ModelConfig) -> Any:
    """Load the LLM's tokenizer.

    A pad token that has no row in the LLM's embeddings is replaced by the eos token.

    Raises:
        ConfigError: the folder or hub id holds no tokenizer.
    """
    from transformers import AutoTokenizer

    folder = resolve_folder(config.llm, KEY, weights=False)
    known = _llm_config(folder, config).get_text_config().vocab_size
    # Without any of these transformers makes up an empty tokenizer.
    if not any(path for files in TOKENIZER_FILES for path in folder.glob(files)):
        raise ConfigError(
            f"{KEY}: {config.llm} has no tokenizer",
            "fetch all of the model's files: tokenizer.json, tokenizer_config.json",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=config.trust_remote_code
        )
    except LOADING_ERRORS as error:
        raise cannot_be_loaded(f"{KEY} (its tokenizer)", config.llm, error) from error
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id >= known:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_llm(config: ModelConfig) -> nn.Module:
    """Load the causal LM with its pretrained weights; without any in `torch.device("meta")`.

    Raises:
        ConfigError: the folder or hub id holds no causal LM that transformers can load, or a
            package that the config's way of loading needs is missing.
    """
    from transformers import AutoModelForCausalLM

    folder = resolve_folder(config.llm, KEY, weights=not is_sketch())
    _check_is_causal(_llm_config(folder, config), config)
    quantized = four_bits(config) if config.load_in_4bit and not is_sketch() else {}
    return load_model(
        AutoModelForCausalLM,
        folder,
        KEY,
        config.llm,
        dtype=getattr(torch, config.llm_dtype),
        attn_implementation=attention(config),
        trust_remote_code=config.trust_remote_code,
        **quantized,
    )


def _llm_config(folder: Path, config: ModelConfig) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=config.trust_remote_code)
    except LOADING_ERRORS as error:
        raise cannot_be_loaded(KEY, config.llm, error) from error


def _check_is_causal(found: Any, config: ModelConfig) -> None:
    """Raise ConfigError for what is no decoder-only LLM, before anything heavy is read."""
    import transformers
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    saved_as = (found.architectures or [None])[0]
    if found.is_encoder_decoder:
        why = "is an encoder-decoder"
    elif type(found) in MODEL_FOR_CAUSAL_LM_MAPPING:
        wanted = MODEL_FOR_CAUSAL_LM_MAPPING[type(found)].__name__
        if saved_as in (None, wanted) or not hasattr(transformers, saved_as):
            return
        why = f"was saved as {saved_as}, and not as {wanted}"
    elif config.trust_remote_code and "AutoModelForCausalLM" in getattr(found, "auto_map", {}):
        return
    else:
        why = f"is a {saved_as or found.model_type}"
    raise ConfigError(
        f"{KEY}: {config.llm} {why}, which is no decoder-only language model",
        "name a causal LM, such as Qwen/Qwen2.5-1.5B-Instruct; a speech encoder belongs to "
        "model.encoder",
    )


def attention(config: ModelConfig) -> str | None:
    """Attention implementation for transformers; None lets it choose.

    Raises:
        ConfigError: the config asks for flash_attention_2, and flash-attn is not installed.
    """
    if config.llm_attention == "flash_attention_2" and find_spec("flash_attn") is None:
        raise ConfigError(
            "model.llm_attention: flash_attention_2 needs the package flash-attn",
            "in the recipe's environment: pip install flash-attn; or leave the key out",
        )
    if config.llm_attention != "auto":
        return config.llm_attention
    # With a padding mask, eager attention in bfloat16 is faster on a CPU.
    return None if torch.cuda.is_available() else "eager"


def four_bits(config: ModelConfig) -> dict[str, Any]:
    """Loading options that keep frozen weights in 4 bits (QLoRA, 2305.14314, section 3).

    Raises:
        ConfigError: bitsandbytes or accelerate is not installed.
    """
    lacking = [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]
    if lacking:
        raise ConfigError(
            f"model.load_in_4bit needs the package {' and '.join(lacking)}",
            f"in the recipe's environment: pip install {' '.join(lacking)}; or leave the key out",
        )
    from transformers import BitsAndBytesConfig

    device = f"cuda:{environment_number('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    return {
        "device_map": {"": device},
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, config.llm_dtype),
        ),
    }


def checkpoint_gradients(llm: nn.Module, on: bool) -> None:
    """Switch gradient checkpointing: keep each layer's input only, and recompute the rest.

    The non-reentrant kind: it needs no input that requires a gradient, so it works with LoRA over
    frozen embeddings, and hooks such as `head_sees_only` still hold.

    Raises:
        ConfigError: the LLM's code does not support it.
    """
    model = base_of(llm)
    if not on:
        model.activation_checkpointing_disable()
        return
    try:
        model.activation_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise ConfigError(f"train.gradient_checkpointing: {error}", "leave the key out") from error


def add_lora(llm: nn.Module, config: LoraConfig) -> nn.Module:
    """Wrap the LLM with fresh adapters (float32, also over bfloat16 weights).

    Raises:
        ConfigError: the LLM has no such target module.
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
    """Fold a parent's adapters into the weights, so that a child can add its own.

    Raises:
        ConfigError: the weights are kept in 4 bits, where folding would round them anew.
    """
    if not hasattr(llm, "merge_and_unload"):
        return llm
    if getattr(llm.get_base_model(), "is_loaded_in_4bit", False):
        raise ConfigError(
            "model.load_in_4bit: a base that has LoRA of its own cannot be adapted in 4 bits",
            "train the base without lora, or without load_in_4bit",
        )
    return llm.merge_and_unload()


def scale_lora(llm: nn.Module, factor: float) -> None:
    """Multiply what LoRA adds to the weights by `factor`."""
    from peft.tuners.lora import LoraLayer

    for module in llm.modules():
        if isinstance(module, LoraLayer):
            module.scale_layer(factor)


@contextmanager
def without_lora(llm: nn.Module) -> Iterator[None]:
    """Inside the block, the LLM computes as before `add_lora`.

    PEFT freezes LoRA's weights meanwhile and unfreezes all of them afterwards; here weights that
    were frozen stay frozen.
    """
    trained = [(parameter, parameter.requires_grad) for parameter in llm.parameters()]
    try:
        with llm.disable_adapter():
            yield
    finally:
        for parameter, is_trained in trained:
            parameter.requires_grad_(is_trained)


def base_of(llm: nn.Module) -> Any:
    """Causal LM that a PEFT model wraps, with LoRA in its layers; a plain LLM itself."""
    return llm.get_base_model() if hasattr(llm, "get_base_model") else llm


@contextmanager
def head_sees_only(llm: nn.Module, positions: Tensor) -> Iterator[None]:
    """Inside the block, the LM head is applied at `positions` ([B, L], bool) alone.

    Logits then have the shape [N, V] instead of [B, L, V]: with a vocabulary of 128k the rest
    would take most of the memory and much of the time. Positions are selected just before the
    head, inside the architecture's own forward, so what some architectures do to logits
    afterwards (scaling, soft caps) still holds.
    """
    head = llm.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, args: (args[0][positions],))
    try:
        yield
    finally:
        hook.remove()
