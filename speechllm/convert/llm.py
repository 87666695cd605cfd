"""Conversion of an LLM in a GGUF file to a causal LM of transformers.

transformers itself loads GGUF files, but ignores tensors and settings that it does not know, such
as the frequencies of Llama 3, and cannot save what it loads. Here nothing may be left over. The
architectures are those for which tests show that models come out as they went in, and as
transformers loads them (tests/convert/test_llm.py).
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from speechllm.convert.cast import cast
from speechllm.convert.gguf_file import GgufFile, read_gguf
from speechllm.convert.gguf_tokenizer import gguf_tokenizer
from speechllm.convert.parts import Found
from speechllm.convert.remedies import AGAIN_OR_OTHER, FROM_ELSEWHERE
from speechllm.errors import DataError, shown
from speechllm.files.guarded import guarded
from speechllm.files.progress import track

ARCHITECTURES = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}

READ = {
    *("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"),
    *("attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon"),
    *("attention.key_length", "rope.freq_base"),
}
"""Metadata keys of the architecture that go into the config."""
NOTHING = {"rope.scaling.type": "none", "expert_count": 0, "expert_used_count": 0}
"""Metadata keys that may only have the value that turns their feature off."""

OUTSIDE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Modules of transformers by llama.cpp's names of tensors, outside of layers and in a layer."""
FREQUENCIES = "rope_freqs.weight"
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Frequency scaling of Llama 3.1 to 3.3; its factor is read off the lowest frequency."""


def llm_folder(found: Found, path: Path, out: Path, dtype: torch.dtype | None) -> dict[str, Any]:
    """Write a transformers folder of a GGUF file.

    Args:
        found: the model's files.
        path: the GGUF file, whole.
        out: the folder to write into.
        dtype: type of the weights; None: that of the floats in the file; float16 if quantised.

    Returns:
        Contents of the folder's record.

    Raises:
        ConfigError: the gguf package is missing.
        DataError: the file is damaged, or has tensors or settings that are not known here.
    """
    file = read_gguf(path, found.place)
    _check(file)
    kinds = sorted({tensor.tensor_type.name for tensor in file.tensors.values()})
    dtype = dtype or _float_type(kinds)
    config = _config(file)
    tokenizer = gguf_tokenizer(file, config.vocab_size)
    config.dtype = dtype
    config.bos_token_id = tokenizer.bos_token_id
    config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    with (
        guarded(file.place, "states sizes that no model has", remedy=AGAIN_OR_OTHER),
        torch.device("meta"),
    ):
        model = AutoModelForCausalLM.from_config(config)
    state = dict(_tensors(file, config, dtype, model.state_dict()))
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True, assign=True)
    model.tie_weights()
    turn = file.get("tokenizer.ggml.eot_token_id")
    if isinstance(turn, int) and turn != tokenizer.eos_token_id:
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, turn]
    model.save_pretrained(out, max_shard_size="2GB")
    tokenizer.save_pretrained(out)
    record = {
        "format": f"GGUF {file.version} {file.architecture}",
        "model": file.get("general.name"),
        "stored": ", ".join(kinds),
        "dtype": str(dtype).removeprefix("torch."),
        "parameters": model.num_parameters(),
    }
    return {**record, "licence": file.get("general.license")}


def _check(file: GgufFile) -> None:
    """Refuse a file that is no LLM of a known architecture, or states keys not known here."""
    kind = file.get("general.type", "model")
    if kind != "model":
        message = f"states general.type {shown(kind)}, not 'model'"
        raise DataError(message, file.place, remedy="name the model's own file")
    if file.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        message = f"holds a {file.architecture}, which cannot be imported; known: {known}"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
    prefix = f"{file.architecture}."
    for key in file.fields:
        name = key.removeprefix(prefix)
        if not key.startswith(prefix) or name in READ:
            continue
        value = file.get(key)
        if name in ("rope.dimension_count", "attention.value_length"):
            if value == _head_dim(file):
                continue
        elif name in NOTHING and value == NOTHING[name]:
            continue
        message = f"states {key} {shown(value)}, which is not known here"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)


def _head_dim(file: GgufFile) -> int:
    heads = file.number("attention.head_count")
    usual = file.number("embedding_length") // heads
    if f"{file.architecture}.attention.key_length" in file.fields:
        return file.number("attention.key_length")
    return file.number("rope.dimension_count", usual) if file.architecture == "llama" else usual


def _float_type(kinds: list[str]) -> torch.dtype:
    """Type of the weights by that of the matrices; norms are always float32."""
    matrices = {*kinds} - {"F32"}
    return {(): torch.float32, ("BF16",): torch.bfloat16}.get(tuple(matrices), torch.float16)


def _config(file: GgufFile) -> PretrainedConfig:
    embeddings = file.tensors.get("token_embd.weight")
    if embeddings is None:
        raise DataError("lacks the tensor token_embd.weight", file.place, remedy=FROM_ELSEWHERE)
    rows = len(embeddings.data) if embeddings.data.ndim else 0
    layers = len({name.split(".")[1] for name in file.tensors if name.startswith("blk.")})
    for name, stated, stored in (
        ("block_count", file.number("block_count"), layers),  # before that many layers are built
        ("vocab_size", file.number("vocab_size", rows), rows),
    ):
        if stated != stored:
            message = f"states {file.architecture}.{name} {stated}, and its tensors are of {stored}"
            raise DataError(message, file.place, remedy=AGAIN_OR_OTHER)
    heads = file.number("attention.head_count")
    settings: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": file.number("embedding_length"),
        "intermediate_size": file.number("feed_forward_length"),
        "num_hidden_layers": file.number("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.number("attention.head_count_kv", heads),
        "head_dim": _head_dim(file),
        "max_position_embeddings": file.number("context_length"),
        # Stored as float32: 1e-05, not 9.99999974738e-06.
        "rms_norm_eps": float(str(np.float32(file.number("attention.layer_norm_rms_epsilon")))),
        "rope_parameters": _rope(file),
        "tie_word_embeddings": "output.weight" not in file.tensors,
    }
    if file.architecture != "qwen2":  # in qwen2, queries, keys and values always have a bias
        settings["attention_bias"] = "blk.0.attn_q.bias" in file.tensors
    for name, value in settings.items():
        if name not in ("rms_norm_eps", "rope_parameters") and not isinstance(value, int):
            message = f"states {value} for {name}, which is no whole number"
            raise DataError(message, file.place, remedy=AGAIN_OR_OTHER)
    width, keys, size = (settings[n] for n in ("hidden_size", "num_key_value_heads", "head_dim"))
    if width % heads or heads % keys or size % 2:
        message = f"has {heads} heads of {size} and {keys} of keys, for a width of {width}"
        raise DataError(message, file.place, remedy=AGAIN_OR_OTHER)
    return ARCHITECTURES[file.architecture](**settings)


def _rope(file: GgufFile) -> dict[str, Any]:
    """Config of rotary positions; Llama 3's scaling is recognised by its factors."""
    base = float(file.number("rope.freq_base", 10000.0))
    if FREQUENCIES not in file.tensors:
        return {"rope_type": "default", "rope_theta": base}
    factors = np.asarray(file.tensors[FREQUENCIES].data, np.float32).reshape(-1)
    dim = _head_dim(file)
    factor = float(factors.max(initial=1.0))
    waves = 2 * math.pi * base ** (np.arange(0, dim, 2) / dim)
    low, high, first = LLAMA3.values()
    smooth = np.clip((first / waves - low) / (high - low), 0, 1)
    if factors.shape != waves.shape or not np.allclose(
        factors, 1 / ((1 - smooth) / factor + smooth), rtol=1e-3
    ):
        message = f"{FREQUENCIES} scales frequencies in a way that is not Llama 3's"
        raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
    return {"rope_type": "llama3", "rope_theta": base, "factor": factor, **LLAMA3}


def _tensors(
    file: GgufFile, config: PretrainedConfig, dtype: torch.dtype, wanted: dict[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor, dequantised, under its name in transformers."""
    from gguf import dequantize

    left = {*wanted} - ({"lm_head.weight"} if config.tie_word_embeddings else set())
    names = [name for name in file.tensors if name != FREQUENCIES]
    for name in track(names, "tensors", len(names), "tensor"):
        target = _target(name)
        if target not in left:
            message = f"holds the tensor {name}, which a {file.architecture} has not"
            raise DataError(message, file.place, remedy=FROM_ELSEWHERE)
        left.discard(target)
        stored = file.tensors[name]
        try:
            values = dequantize(stored.data, stored.tensor_type)
        except (NotImplementedError, ValueError) as error:
            kind = stored.tensor_type.name
            message = f"{name} is stored as {kind}, which the gguf package cannot read"
            raise DataError(
                message, file.place, remedy="update gguf, or take another file"
            ) from error
        if values.shape != wanted[target].shape:
            raise DataError(
                f"{name} is of shape {list(values.shape)}, and the file states a "
                f"{file.architecture} that has {list(wanted[target].shape)} there",
                file.place,
                remedy=AGAIN_OR_OTHER,
            )
        if file.architecture == "llama" and target.endswith(("q_proj.weight", "q_proj.bias")):
            values = _unpermuted(values, config.num_attention_heads)
        elif file.architecture == "llama" and target.endswith(("k_proj.weight", "k_proj.bias")):
            values = _unpermuted(values, config.num_key_value_heads)
        yield target, cast(torch.from_numpy(np.array(values)), dtype, name, file.place)
    if left:
        message = (
            f"lacks {len(left)} tensors of a {file.architecture}: {', '.join(sorted(left)[:3])}"
        )
        raise DataError(message, file.place, remedy=AGAIN_OR_OTHER)


def _target(name: str) -> str:
    """Name of a tensor in transformers, or the name itself if it is not known."""
    stem, _, end = name.rpartition(".")
    if stem in OUTSIDE:
        return f"{OUTSIDE[stem]}.{end}"
    first, _, rest = stem.partition(".")
    number, _, module = rest.partition(".")
    if first == "blk" and module in IN_LAYER:
        return f"model.layers.{number}.{IN_LAYER[module]}.{end}"
    return name


def _unpermuted(values: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of each head: llama.cpp rotates pairs of rows, transformers two halves."""
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)
