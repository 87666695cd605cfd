"""Model cards of adapters and merged models."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from speechllm.config import ModelConfig
from speechllm.convert.peft.lora import Adapter
from speechllm.convert.peft.names import Format
from speechllm.errors import shell_word
from speechllm.pack.pretrained import licence_of
from speechllm.pretrained import resolve_folder
from speechllm.report.markdown import fenced, text

LOAD = """\
from transformers import {auto}
from peft import PeftModel

model = {auto}.from_pretrained({base!r}, dtype="{dtype}"){before}
model = PeftModel.from_pretrained(model, "<this folder>")"""
OWN = """
model.delete_adapter("default")  # its own is part of this one"""
BESIDE = """
trained = safetensors.torch.load_file("<this folder>/weights.safetensors")
model.load_state_dict(trained, strict=False)  # before the adapter"""
SERVE = """\
vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {domain}=<this folder>"""
LOAD_MERGED = """\
from transformers import {auto}

model = {auto}.from_pretrained("<this folder>", dtype="{dtype}")"""


def adapter_card(
    domain: str, config: ModelConfig, adapter: Adapter, files: Sequence[str], format: Format
) -> str:
    """README.md of an adapter.

    Args:
        domain: the domain that it adapts to.
        config: settings of the model.
        adapter: the LoRA.
        files: names of the files in its folder.
        format: whose names its weights have.
    """
    base = config.text_model
    if format == "vllm":
        rank = max(8, 1 << (adapter.rank - 1).bit_length())  # vLLM knows powers of two
        use = fenced(SERVE.format(base=shell_word(base), rank=rank, domain=domain), "sh")
    else:
        use = fenced(_load(config, "weights.safetensors" in files), "python")
    parts = [
        _front(config, {"library_name": "peft", "base_model": base}, ["lora"]),
        f"# LoRA for speech recognition: {text(domain)}",
        f"An adapter of rank {adapter.rank} for {text(base)}, written by speechllm.",
        use,
        *_beside(config, files),
    ]
    return "\n\n".join(parts) + "\n"


def _load(config: ModelConfig, beside: bool) -> str:
    """Lines that load an adapter, after the weights beside it if there are any."""
    has_own = (_folder(config) / "adapter_config.json").is_file()
    load = LOAD.format(
        auto=_auto(config),
        base=config.text_model,
        dtype=config.llm_dtype,
        before=(OWN if has_own else "") + (BESIDE if beside else ""),
    )
    return f"import safetensors.torch\n{load}" if beside else load


def merged_card(domain: str, config: ModelConfig, files: Sequence[str]) -> str:
    """README.md of a merged model.

    Args:
        domain: the domain that it was adapted to.
        config: settings of the model.
        files: names of the files in its folder.
    """
    load = LOAD_MERGED.format(auto=_auto(config), dtype=config.llm_dtype)
    parts = [
        _front(config, {"library_name": "transformers", "base_model": config.text_model}, []),
        f"# Speech recognition: {text(domain)}",
        f"{text(config.text_model)} with its adapter folded in, written by speechllm.",
        fenced(load, "python"),
        *_beside(config, files),
    ]
    return "\n\n".join(parts) + "\n"


def _auto(config: ModelConfig) -> str:
    return "AutoModelForMultimodalLM" if config.speech_llm else "AutoModelForCausalLM"


def _folder(config: ModelConfig) -> Path:
    key = "model.speech_llm" if config.speech_llm else "model.llm"
    return resolve_folder(config.text_model, key, weights=False)


def _front(config: ModelConfig, values: dict[str, Any], tags: Sequence[str]) -> str:
    if Path(config.text_model).is_dir():  # a folder of this machine is no id of the hub
        values = {key: value for key, value in values.items() if key != "base_model"}
    licence = licence_of(_folder(config))
    told = {"license": "other", "license_name": licence} if licence else {}
    if licence and re.fullmatch(r"[a-z0-9.-]+", licence):  # as the hub writes them
        told = {"license": licence}
    values = values | {"tags": [*tags, "speechllm"]} | told
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _beside(config: ModelConfig, files: Sequence[str]) -> list[str]:
    parts = []
    if "projector.safetensors" in files:
        parts.append(
            f"The projector from {text(config.encoder or '')} to the LLM's embeddings is in "
            "`projector.safetensors`; its sizes and the prompt are in `speechllm.json`."
        )
    if "weights.safetensors" in files and "adapter_config.json" in files:
        parts.append("Weights that were trained whole are in `weights.safetensors`.")
    if config.load_in_4bit:
        parts.append("It was trained on an LLM in 4 bits, and is exact only there.")
    return parts
