"""Reader of PEFT adapter folders: LoRA in safetensors; whatever cannot be expressed is refused."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from speechllm.config import ModelConfig
from speechllm.convert.peft.lora import Lora
from speechllm.convert.peft.names import PREFIX, Names, plain
from speechllm.errors import ConfigError, DataError, shown
from speechllm.files.guarded import guarded
from speechllm.files.own import read_mapping, read_tensors

CONFIG, TENSORS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
AGAIN = "fetch the adapter's folder again"

READ = {
    *("peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "rank_pattern"),
    *("alpha_pattern", "use_dora", "init_lora_weights"),
}
"""Settings that are looked at one by one."""
HARMLESS = {
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "megatron_core", "megatron_config", "runtime_config", "loftq_config"),
    *("eva_config", "corda_config", "lora_ga_config", "qalora_group_size"),
    # These say which weights there are, and the tensors' names say it too.
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("modules_to_save", "bias", "ensure_weight_tying"),
    "fan_in_fan_out",  # PEFT sets it by the layer
}
"""Settings that change nothing in what a saved LoRA computes."""
STARTS = (True, False, "gaussian", "eva", "orthogonal", "lora_ga")
"""Initial values that leave the model's own weights as they are, unlike those of PiSSA."""


@dataclass(frozen=True)
class PeftAdapter:
    """A PEFT adapter, in the names of the causal LM.

    Attributes:
        layers: LoRA by layer.
        weights: whole weights (modules_to_save, biases), by name.
        dropout: dropout in its training.
        base: model that it says it was trained on; None if it does not say.
    """

    layers: dict[str, Lora]
    weights: dict[str, Tensor]
    dropout: float
    base: str | None


def read_adapter(folder: Path, config: ModelConfig) -> PeftAdapter:
    """Read an adapter for the LLM of a model.

    Args:
        folder: adapter_config.json with adapter_model.safetensors.
        config: settings of the model.

    Raises:
        ConfigError: there is no adapter, it is a pickle, or it has what cannot be expressed here.
        DataError: a file is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder} holds no PEFT adapter: no {CONFIG}", "name its folder")
    if not (folder / TENSORS).is_file() and (folder / PICKLE).is_file():
        raise ConfigError(
            f"{folder / PICKLE} is a pickle, which may run code, and is never read",
            "load it where you trust it, and save it with PEFT's save_pretrained: it writes "
            f"{TENSORS}",
        )
    settings = read_mapping(folder / CONFIG, AGAIN)
    _check(settings, folder)
    tensors = read_tensors(folder / TENSORS, AGAIN)
    names = Names(config)
    halves: dict[str, dict[str, tuple[str, Tensor]]] = {}
    weights = {}
    for key, tensor in tensors.items():
        name = key.removeprefix(PREFIX).replace(".default.", ".").replace(".modules_to_save.", ".")
        layer, half, _ = name.partition(".lora_")
        ours = names.to_ours(plain(layer if half else name))
        if ours is None:
            raise ConfigError(
                f"{folder}: it changes {layer if half else name}, which is no part of the LLM",
                "train it again with target_modules and modules_to_save of the LLM alone",
            )
        if not half:
            weights[ours] = tensor
            continue
        kind = name.removeprefix(f"{layer}.lora_").removesuffix(".weight")
        if kind not in ("A", "B") or tensor.ndim != 2:
            raise ConfigError(
                f"{folder}: {key}: only LoRA of linear layers can be taken",
                "train it again without embeddings or convolutions in target_modules",
            )
        halves.setdefault(ours, {})[kind] = (layer, tensor)
    with guarded(folder / CONFIG, "a pattern in it is damaged", remedy=AGAIN):
        layers = {name: _lora(name, pair, settings, folder) for name, pair in halves.items()}
    if not layers:
        raise DataError("holds no LoRA", folder / TENSORS, remedy=AGAIN)
    return PeftAdapter(
        layers,
        weights,
        float(settings.get("lora_dropout") or 0.0),
        settings.get("base_model_name_or_path"),
    )


def _lora(
    name: str, pair: Mapping[str, tuple[str, Tensor]], settings: Mapping[str, Any], folder: Path
) -> Lora:
    from peft.utils.other import get_pattern_key

    if set(pair) != {"A", "B"} or len(pair["A"][1]) != pair["B"][1].shape[1]:
        raise DataError(f"lora_A and lora_B of {name} do not fit", folder / TENSORS, remedy=AGAIN)
    layer, down = pair["A"]
    rank = len(down)
    wanted = _by_layer(settings.get("rank_pattern"), layer, settings["r"], get_pattern_key)
    if rank != wanted:
        message = f"{name} has the rank {rank}, and not {shown(wanted)} as {CONFIG} says"
        raise DataError(message, folder / TENSORS, remedy=AGAIN)
    alphas = settings.get("alpha_pattern")
    alpha = float(_by_layer(alphas, layer, settings["lora_alpha"], get_pattern_key))
    scale = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    return Lora(down, pair["B"][1], scale)


def _by_layer(pattern: Mapping[str, Any] | None, layer: str, usual: Any, find: Any) -> Any:
    """Value of a layer in rank_pattern or alpha_pattern."""
    return (pattern or {}).get(find(list(pattern or {}), layer), usual)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def _check(settings: Mapping[str, Any], folder: Path) -> None:
    """Raise an error that names a setting which cannot be taken."""
    from peft import LoraConfig

    if settings.get("peft_type") != "LORA":
        raise ConfigError(
            f"{folder}: an adapter of the kind {shown(settings.get('peft_type'))} cannot be taken",
            "train a LORA, or merge it with PEFT and name the merged folder in the base's config",
        )
    for key in ("r", "lora_alpha"):
        if not _is_size(settings.get(key)):
            message = f"{key} is {shown(settings.get(key))}, no positive number"
            raise DataError(message, folder / CONFIG, remedy=AGAIN)
    dropout = settings.get("lora_dropout") or 0.0
    if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        message = f"lora_dropout is {shown(dropout)}, no share"
        raise DataError(message, folder / CONFIG, remedy=AGAIN)
    for key in ("rank_pattern", "alpha_pattern"):
        pattern = settings.get(key) or {}
        if not isinstance(pattern, dict) or not all(_is_size(v) for v in pattern.values()):
            message = f"{key} is {shown(pattern)}, no mapping of layers to positive numbers"
            raise DataError(message, folder / CONFIG, remedy=AGAIN)
    usual = LoraConfig().to_dict()
    odd = [key for key in settings if key not in READ | HARMLESS and settings[key]]
    odd = [key for key in odd if settings[key] != usual.get(key)]
    if settings.get("use_dora"):
        odd.append("use_dora")
    start = settings.get("init_lora_weights", True)
    if start not in STARTS:
        odd.append(f"init_lora_weights {shown(start)}")
    if odd:
        raise ConfigError(
            f"{folder}: an adapter with {', '.join(sorted(odd))} cannot be taken as LoRA",
            "merge it with PEFT's merge_and_unload, save the model, and name its folder in the "
            "base's config",
        )
