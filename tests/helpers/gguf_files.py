"""Writes GGUF files of tiny random LLMs, as llama.cpp's converter names and turns their tensors."""

from pathlib import Path
from typing import Any

import numpy as np

from speechllm.standin.llm import train_tokenizer
from tests.helpers.tiny import SENTENCES

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


def tiny_llm(architecture: str = "llama", **settings: Any) -> Any:
    """A random causal LM of width 32 for the vocabulary of `vocabulary()`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(2)
    config = AutoConfig.for_model(
        architecture,
        **{
            "vocab_size": len(vocabulary()["tokens"]),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 128,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
            **settings,
        },
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.3)
    return model


def vocabulary() -> dict[str, Any]:
    """A byte-level tokenizer as GGUF has it: tokens, merges, types, special ids."""
    import json

    tokenizer = train_tokenizer(SENTENCES, 300)
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = sorted(described["model"]["vocab"], key=described["model"]["vocab"].get)
    special = [token["content"] for token in described["added_tokens"]]
    return {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": tokens,
        "merges": [" ".join(pair) for pair in described["model"]["merges"]],
        "types": [3 if token in special else 1 for token in tokens],
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
    }


def write_gguf(
    path: Path,
    model: Any,
    words: dict[str, Any] | None = None,
    kind: str = "F32",
    architecture: str | None = None,
    left_out: tuple[str, ...] = (),
    fields: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write a model; matrices are of the type `kind`, all else is float32."""
    import gguf

    config, words = model.config, words or vocabulary()
    arch = architecture or config.model_type
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name("tiny")
    writer.add_license("mit")
    stated = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
    }
    for name, value in {**{f"{arch}.{k}": v for k, v in stated.items()}, **(fields or {})}.items():
        if value is None:
            continue
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add.get(type(value), writer.add_array)(name, value)
    writer.add_tokenizer_model(words["model"])
    if words.get("pre"):
        writer.add_tokenizer_pre(words["pre"])
    writer.add_token_list(words["tokens"])
    writer.add_token_types(words["types"])
    if "merges" in words:
        writer.add_token_merges(words["merges"])
    if "scores" in words:
        writer.add_token_scores(words["scores"])
    for name in ("bos", "eos", "unk"):
        if words.get(name) is not None:
            getattr(writer, f"add_{name}_token_id")(words[name])
    writer.add_chat_template(TEMPLATE)
    given = {n: t for n, t in gguf_tensors(model).items() if n not in left_out} | (tensors or {})
    for name, values in given.items():
        stored = getattr(gguf.GGMLQuantizationType, kind if values.ndim == 2 else "F32")
        writer.add_tensor(name, gguf.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_tensors(model: Any) -> dict[str, np.ndarray]:
    """The parameters under llama.cpp's names; a Llama's queries and keys in pairs."""
    config, found = model.config, {}
    for name, parameter in model.named_parameters():
        stem, _, end = name.rpartition(".")
        values = parameter.detach().float().numpy()
        if config.model_type == "llama" and stem.endswith(("q_proj", "k_proj")):
            halves = values.reshape(-1, 2, config.head_dim // 2, *values.shape[1:])
            values = halves.swapaxes(1, 2).reshape(values.shape)
        if stem.startswith("model.layers."):
            _, _, number, module = stem.split(".", 3)
            found[f"blk.{number}.{NAMES[module]}.{end}"] = values
        else:
            found[f"{NAMES[stem]}.{end}"] = values
    return found
