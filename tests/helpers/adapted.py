"""Runs of tiny models with LoRA that matters, over any pretrained folder."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechllm.config import LoraConfig, ModelConfig
from speechllm.model.bundle import load_bundle, save_bundle
from speechllm.model.speech_llm import SpeechLLM, set_trainable


def make_base(folder: Path, config: ModelConfig, trained: tuple[str, ...] = ()) -> Path:
    """Run of a base whose parameters that match `trained`, and LoRA, were shaken."""
    torch.manual_seed(1)
    return _save(folder, SpeechLLM(config), None, trained)


def make_domain(
    base: Path, domain: str, lora: LoraConfig | None, trained: tuple[str, ...] = ()
) -> Path:
    """Run of a domain below a base, likewise."""
    model = load_bundle(base / "model")
    torch.manual_seed(2)
    model.replace_lora(lora)
    return _save(base / f"audio_{domain}", model, base, trained, domain)


def _save(
    folder: Path,
    model: SpeechLLM,
    base: Path | None,
    trained: tuple[str, ...],
    target: str | None = None,
) -> Path:
    lora = ("llm.*.lora_*",) if model.config.lora else ()
    set_trainable(model, (*trained, *lora))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data + 0.3 * torch.randn_like(parameter)
    save_bundle(folder / "model", model, base and base / "model")
    run: dict[str, Any] = {"kind": "adapted" if base else "base", "target": target}
    run |= {"method": "audio" if base else "base", "config": {"model": {}}}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def embeddings() -> Tensor:
    """[2, 7, 16] inputs of a tiny LLM."""
    return torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def logits(llm: Any) -> Tensor:
    """[2, 7, V] of an LLM, or of a whole Speech LLM's class, for `embeddings`."""
    found = llm.eval()(inputs_embeds=embeddings(), attention_mask=torch.ones(2, 7).long()).logits
    # transformers 5.23 applies Granite's scaling of logits in GraniteForCausalLM alone.
    scales = llm.config.model_type == "granite_speech"
    return found / llm.config.get_text_config().logits_scaling if scales else found


def logits_of(run: Path) -> Tensor:
    """[2, 7, V] of the model of a run."""
    return logits(load_bundle(run / "model").llm)
