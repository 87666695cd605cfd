"""Model cards of adapters and merged models."""

from collections.abc import Sequence
from pathlib import Path

from speechllm.config import ModelConfig
from speechllm.convert.peft.lora import Adapter
from speechllm.convert.peft.names import Format
from speechllm.errors import shell_word
from speechllm.pack.card_header import CardFacts, card_text, licence_keys, told_name
from speechllm.pack.hub import is_model_id
from speechllm.pack.pretrained import licence_of
from speechllm.pretrained import resolve_folder
from speechllm.report.markdown import fenced, text

LOAD = """\
from transformers import {auto}
from peft import PeftModel

model = {auto}.from_pretrained({base!r}, dtype="{dtype}"){before}
model = PeftModel.from_pretrained(model, {name!r})"""
OWN = """
model.delete_adapter("default")  # its own is part of this one"""
BESIDE = """
trained = safetensors.torch.load_file({weights})
model.load_state_dict(trained, strict=False)  # before the adapter"""
SERVE = """\
vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {domain}={name}"""
LOAD_MERGED = """\
from transformers import {auto}

model = {auto}.from_pretrained({name!r}, dtype="{dtype}")"""


def adapter_card(
    domain: str,
    config: ModelConfig,
    adapter: Adapter,
    files: Sequence[str],
    format: Format,
    facts: CardFacts,
) -> str:
    """README.md of an adapter.

    Args:
        domain: the domain that it adapts to.
        config: settings of the model.
        adapter: the LoRA.
        files: names of the files in its folder.
        format: whose names its weights have.
        facts: what the author says.
    """
    base = hub_name(config, facts) or f"<folder of {told_name(config.text_model)}>"
    if format == "vllm":
        rank = max(8, 1 << (adapter.rank - 1).bit_length())  # vLLM knows powers of two
        serve = SERVE.format(base=shell_word(base), rank=rank, domain=domain, name=facts.name)
        use = fenced(serve, "sh")
    else:
        load = _load(config, base, facts.name, "weights.safetensors" in files)
        use = fenced(load, "python")
    parts = [
        f"# LoRA for speech recognition: {text(domain)}",
        f"An adapter of rank {adapter.rank} for {text(told_name(config.text_model))}, written by "
        "speechllm.",
        use,
        *_beside(config, files),
    ]
    return card_text(_header(config, facts, "peft", ["lora"]), parts)


def _load(config: ModelConfig, base: str, name: str, beside: bool) -> str:
    """Lines that load an adapter, after the weights beside it if there are any."""
    before = OWN if (_folder(config) / "adapter_config.json").is_file() else ""
    imports = ""
    if beside:
        imports, weights = "import safetensors.torch\n", repr(f"{name}/weights.safetensors")
        if is_model_id(name):
            imports += "from huggingface_hub import hf_hub_download\n"
            weights = f'hf_hub_download({name!r}, "weights.safetensors")'
        before += BESIDE.format(weights=weights)
    dtype = config.llm_dtype
    return imports + LOAD.format(
        auto=_auto(config), base=base, dtype=dtype, before=before, name=name
    )


def merged_card(domain: str, config: ModelConfig, files: Sequence[str], facts: CardFacts) -> str:
    """README.md of a merged model.

    Args:
        domain: the domain that it was adapted to.
        config: settings of the model.
        files: names of the files in its folder.
        facts: what the author says.
    """
    load = LOAD_MERGED.format(auto=_auto(config), name=facts.name, dtype=config.llm_dtype)
    parts = [
        f"# Speech recognition: {text(domain)}",
        f"{text(told_name(config.text_model))} with its adapter folded in, written by speechllm.",
        fenced(load, "python"),
        *_beside(config, files),
    ]
    return card_text(_header(config, facts, "transformers", []), parts)


def hub_name(config: ModelConfig, facts: CardFacts) -> str | None:
    """Id on the hub of the model that an adapter stands on; None for a folder without one."""
    if not Path(config.text_model).is_dir():
        return config.text_model
    return next(iter(facts.base_models), None)


def _auto(config: ModelConfig) -> str:
    return "AutoModelForMultimodalLM" if config.speech_llm else "AutoModelForCausalLM"


def _folder(config: ModelConfig) -> Path:
    key = "model.speech_llm" if config.speech_llm else "model.llm"
    return resolve_folder(config.text_model, key, weights=False)


def _header(
    config: ModelConfig, facts: CardFacts, library: str, tags: Sequence[str]
) -> dict[str, object]:
    return {
        "library_name": library,
        "base_model": hub_name(config, facts),
        "language": list(facts.languages),
        **licence_keys(facts.licence or licence_of(_folder(config))),
        "tags": [*tags, "speechllm"],
    }


def _beside(config: ModelConfig, files: Sequence[str]) -> list[str]:
    parts = []
    if "projector.safetensors" in files:
        parts.append(
            f"The projector from {text(told_name(config.encoder or ''))} to the LLM's embeddings "
            "is in `projector.safetensors`; its sizes and the prompt are in `speechllm.json`."
        )
    if "weights.safetensors" in files and "adapter_config.json" in files:
        parts.append("Weights that were trained whole are in `weights.safetensors`.")
    if config.load_in_4bit:
        parts.append("It was trained on an LLM in 4 bits, and is exact only there.")
    return parts
