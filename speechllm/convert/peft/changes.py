"""Changes that a bundle and its parents made to pretrained weights, without loading a model."""

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from speechllm.config import ModelConfig
from speechllm.convert.peft.lora import Lora
from speechllm.convert.peft.names import plain
from speechllm.convert.peft.read import read_adapter
from speechllm.model.bundle import generations, read_bundle
from speechllm.model.bundle_record import check_bundle
from speechllm.pretrained import resolve_folder

DOWN, UP = ".lora_A.default.weight", ".lora_B.default.weight"


@dataclass
class Changes:
    """Changes of a model, against its pretrained weights.

    Attributes:
        config: settings of the last generation.
        layers: LoRAs of all generations, by layers of the causal LM; they add up.
        weights: whole weights of the causal LM, by name; LoRA is added to these.
        projector: weights of the projector.
    """

    config: ModelConfig
    layers: dict[str, list[Lora]] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    projector: dict[str, Tensor] = field(default_factory=dict)


def changes_of(bundle: Path) -> Changes:
    """Gather the changes of a bundle's generations, the oldest first.

    A generation's LoRA is added to the weights as the one before left them, so LoRAs add up. A
    weight that it trained itself replaces what came before, LoRA included.

    Raises:
        SpeechLLMError: the bundle, or a model that it stands on, is missing, damaged or changed.
    """
    folders = generations(bundle)
    check_bundle(bundle)
    base = read_bundle(folders[0])[0]
    changes = Changes(base, layers=_own_adapter(base))
    for folder in folders:
        changes.config, tensors = read_bundle(folder)
        named = {
            plain(name.removeprefix("llm.")): tensor
            for name, tensor in tensors.items()
            if name.startswith("llm.")
        }
        for name, tensor in tensors.items():
            if name.startswith("projector."):
                changes.projector[name.removeprefix("projector.")] = tensor
        for name, tensor in named.items():
            if ".lora_" not in name:
                changes.weights[name] = tensor
                changes.layers.pop(name.removesuffix(".weight"), None)
        lora = changes.config.lora
        for name, tensor in named.items():
            if lora and name.endswith(DOWN):
                layer = name.removesuffix(DOWN)
                piece = Lora(tensor, named[layer + UP], lora.alpha / lora.rank)
                changes.layers.setdefault(layer, []).append(piece)
    return changes


def _own_adapter(config: ModelConfig) -> dict[str, list[Lora]]:
    """LoRA that a whole Speech LLM brings along, as Granite Speech does; often there is none."""
    if config.speech_llm is None:
        return {}
    folder = resolve_folder(config.speech_llm, "model.speech_llm")
    if not (folder / "adapter_config.json").is_file():
        return {}
    return {layer: [lora] for layer, lora in read_adapter(folder, config).layers.items()}
