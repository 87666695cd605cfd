"""An exp folder of tiny models that say varied things, to be packed and to transcribe with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.helpers.tiny import make_encoder, make_llm

WHOLE = ("projector.*", "llm.*")

TRAINED = {"run": "base", "method": "base", "chosen": "the base of all", "sha256": "a"}
GOOD: dict[str, Any] = {
    "format": 1,
    "speechllm": "0.1.0",
    "pretrained": {
        "encoder": {
            "name": "encoder",
            "place": "carried",
            "path": "pretrained/encoder",
            "sha256": "b",
        },
        "llm": {"name": "Qwen/Qwen2.5-1.5B", "place": "hub", "revision": "0" * 40, "sha256": "c"},
    },
    "domains": {"base": TRAINED, "farm": TRAINED},
    "decode": {"beam": 2},
}
"""A pack.json without fault."""


def make_exp(work: Path, base_lora: bool = False) -> Path:
    """A base below `work`/exp, and models of it for the domains farm and music.

    Args:
        work: gets encoder/, llm/ and exp/.
        base_lora: the base learns LoRA over a frozen LLM, instead of the LLM whole.

    Returns:
        The base's folder.
    """
    import torch

    from speechllm.config import LoraConfig, ModelConfig, ProjectorConfig
    from speechllm.model.speech_llm import SpeechLLM

    base = work / "exp/base"
    config = ModelConfig(
        encoder=str(make_encoder(work / "encoder")),
        llm=str(make_llm(work / "llm")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
        lora=LoraConfig(rank=2, alpha=4) if base_lora else None,
    )
    torch.manual_seed(0)
    trained = ("projector.*", "llm.*.lora_*") if base_lora else WHOLE
    _save(base, SpeechLLM(config), trained, spread=0.3)
    adapt(base, "denoise", "farm", LoraConfig(rank=4, alpha=8))
    adapt(base, "audio", "farm", LoraConfig(rank=3, alpha=3, targets=("k_proj", "up_proj")), 0.5)
    adapt(base, "denoise", "music", None)
    return base


def adapt(
    base: Path,
    method: str,
    target: str,
    lora: Any = None,
    hours: float = 0.0,
    dev: Mapping[str, float] | None = None,
    **monitor: object,
) -> Path:
    """A model that stands on `base`: its LoRA was shaken or, without one, its whole LLM.

    `dev` are the signals of the target's dev set at the kept step; another step is better.
    """
    import torch

    from speechllm.model.bundle import load_bundle

    folder = base / f"{method}_{target}"
    torch.manual_seed(sum(map(ord, folder.name)))
    model = load_bundle(base / "model")
    model.replace_lora(lora)
    trained = ("llm.*.lora_*",) if lora else ("llm.*",)
    _save(folder, model, trained, spread=0.3, parent=base / "model")
    config = {"train": {"seed": 42}, "monitor": {"utterances": 64, **monitor}}
    run = {
        "kind": "adapted",
        "method": method,
        "target": target,
        "kept_step": 20,
        "audio_hours_target": hours,
        "trained_parameters": 1000,
        "config": config,
        "phases": [{"name": ""}],
        "environment": {"command": "secret"},
    }
    (folder / "run.json").write_text(json.dumps(run))
    signals = {"loss": 1.0} if dev is None else dev
    lines = [
        {"step": 10, "dev": {"source": {"wer": 0.0, "loss": 0.0}, "target": {"loss": 0.0}}},
        {"step": 20, "train": {"loss": 2.0}},
        {"step": 20, "dev": {"source": {"wer": 90.0}, **({"target": signals} if signals else {})}},
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _save(
    folder: Path, model: Any, trained: tuple[str, ...], spread: float, parent: Path | None = None
) -> None:
    import torch

    from speechllm.model.bundle import save_bundle
    from speechllm.model.speech_llm import set_trainable

    set_trainable(model, trained)
    for parameter in model.parameters():
        if parameter.requires_grad:
            # Sharp weights, so that hypotheses are long and differ.
            parameter.data = 3 * parameter.data + spread * torch.randn_like(parameter)
    save_bundle(folder / "model", model, parent)
    run = {"kind": "base", "method": "base", "target": None, "config": {"model": {}, "train": {}}}
    (folder / "run.json").write_text(json.dumps(run))
