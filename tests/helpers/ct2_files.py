"""Writes a model.bin as CTranslate2 lays it out, of a tiny random Whisper."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
Variables = dict[str, tuple[str, np.ndarray]]


def write_ct2(
    path: Path,
    variables: Variables,
    aliases: dict[str, str],
    spec: str = "WhisperSpec",
    revision: int = 3,
    version: int = 6,
) -> list[int]:
    """Write the file; return where each of its sections ends."""
    ends, blocks = [], []

    def put(*parts: bytes) -> None:
        blocks.extend(parts)
        ends.append(sum(map(len, blocks)))

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    put(struct.pack("<I", version))
    put(string(spec))
    put(struct.pack("<I", revision))
    put(struct.pack("<I", len(variables)))
    for name, (kind, values) in sorted(variables.items()):
        put(string(name))
        put(struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape))
        put(struct.pack("<BI", TYPES.index(kind), values.nbytes))
        put(values.tobytes())
    put(struct.pack("<I", len(aliases)))
    for alias, name in aliases.items():
        put(string(alias) + string(name))
    path.write_bytes(b"".join(blocks))
    return ends


def tokenizer_json() -> dict[str, Any]:
    """Byte-level BPE with the special tokens of an English Whisper, and no timestamps."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    vocabulary["th"], vocabulary["Ġa"] = len(vocabulary), len(vocabulary) + 1
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[("t", "h"), ("Ġ", "a")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    names = ("endoftext", "startoftranscript", "en", "transcribe", "startofprev", "notimestamps")
    backend.add_special_tokens([AddedToken(f"<|{n}|>", special=True) for n in names])
    return json.loads(backend.to_str())


def tiny_whisper(timestamps: int = 6) -> Any:
    """A random Whisper of width 16, whose vocabulary goes on for some timestamps."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(1)
    config = WhisperConfig(
        vocab_size=264 + timestamps,
        num_mel_bins=8,
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=24,
        max_source_positions=100,
        max_target_positions=32,
        bos_token_id=258,
        eos_token_id=258,
        pad_token_id=258,
        decoder_start_token_id=259,
    )
    model = WhisperForConditionalGeneration(config).eval()
    for name, parameter in model.named_parameters():  # biases and norms that say something
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def variables_of(model: Any, quantization: str = "float32") -> Variables:
    """The variables that CTranslate2's converter makes of a Whisper, written down independently."""
    state = {k.removeprefix("model."): v.detach().numpy() for k, v in model.state_dict().items()}
    floats = {"int8": "float32", "int16": "float32"}.get(quantization, quantization)
    floats = floats.removeprefix("int8_")
    width = state["encoder.layer_norm.weight"].shape[0]
    found: Variables = {}

    def put(name: str, values: np.ndarray) -> None:
        if name.endswith("weight") and quantization.startswith("int"):
            rows = values.reshape(len(values), -1)
            if quantization == "int16":
                scale = np.float32(2**10 / np.abs(values).max())
                found[name] = ("int16", np.rint(values * scale).astype("<i2"))
            else:
                most = np.abs(rows).max(1)
                scale = (127 / np.where(most, most, 127)).astype("<f4")
                quantised = np.rint(rows * scale[:, None]).astype("<i1")
                found[name] = ("int8", quantised.reshape(values.shape))
            found[f"{name}_scale"] = ("float32", np.asarray(scale))
        elif floats == "bfloat16":
            found[name] = ("bfloat16", (values.astype("<f4").view("<u4") >> 16).astype("<u2"))
        else:
            found[name] = (floats, values.astype({"float32": "<f4", "float16": "<f2"}[floats]))

    def linear(name: str, *modules: str) -> None:
        zero = np.zeros(width, np.float32)
        put(f"{name}/weight", np.concatenate([state[f"{m}.weight"] for m in modules]))
        put(f"{name}/bias", np.concatenate([state.get(f"{m}.bias", zero) for m in modules]))

    def norm(name: str, module: str) -> None:
        put(f"{name}/gamma", state[f"{module}.weight"])
        put(f"{name}/beta", state[f"{module}.bias"])

    for side in ("encoder", "decoder"):
        heads = getattr(model.config, f"{side}_attention_heads")
        found[f"{side}/num_heads"] = ("int16", np.array(heads, "<i2"))
        put(f"{side}/position_encodings/encodings", state[f"{side}.embed_positions.weight"])
        norm(f"{side}/layer_norm", f"{side}.layer_norm")
        for n in range(getattr(model.config, f"{side}_layers")):
            ours, theirs = f"{side}/layer_{n}", f"{side}.layers.{n}"
            norm(f"{ours}/self_attention/layer_norm", f"{theirs}.self_attn_layer_norm")
            heads = [f"{theirs}.self_attn.{x}_proj" for x in ("q", "k", "v", "out")]
            linear(f"{ours}/self_attention/linear_0", *heads[:3])
            linear(f"{ours}/self_attention/linear_1", heads[3])
            if side == "decoder":
                norm(f"{ours}/attention/layer_norm", f"{theirs}.encoder_attn_layer_norm")
                heads = [f"{theirs}.encoder_attn.{x}_proj" for x in ("q", "k", "v", "out")]
                linear(f"{ours}/attention/linear_0", heads[0])
                linear(f"{ours}/attention/linear_1", *heads[1:3])
                linear(f"{ours}/attention/linear_2", heads[3])
            norm(f"{ours}/ffn/layer_norm", f"{theirs}.final_layer_norm")
            linear(f"{ours}/ffn/linear_0", f"{theirs}.fc1")
            linear(f"{ours}/ffn/linear_1", f"{theirs}.fc2")
    linear("encoder/conv1", "encoder.conv1")
    linear("encoder/conv2", "encoder.conv2")
    put("decoder/embeddings/weight", state["decoder.embed_tokens.weight"])
    for name, value in {"activation": 3, "pre_norm": 1, "alibi": 0, "scale_embeddings": 0}.items():
        found[f"decoder/{name}"] = ("int8", np.array(value, "<i1"))
    return found


ALIASES = {"decoder/projection/weight": "decoder/embeddings/weight"}


def write_whisper(folder: Path, model: Any, quantization: str = "float32") -> Path:
    """A whole folder of CTranslate2's: model.bin, config, tokenizer, vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    write_ct2(folder / "model.bin", variables_of(model, quantization), ALIASES)
    settings = {"suppress_ids": [1, 2], "suppress_ids_begin": [], "alignment_heads": [[0, 3]]}
    (folder / "config.json").write_text(json.dumps(settings))
    tokenizer = tokenizer_json()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    names = [*tokenizer["model"]["vocab"], *(t["content"] for t in tokenizer["added_tokens"])]
    names += [f"<|{0.02 * n:.2f}|>" for n in range(model.config.vocab_size - len(names))]
    (folder / "vocabulary.txt").write_text("\n".join(names) + "\n")
    return folder
