"""What every way of adapting shares, and the register of all of them."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechllm.config import (
    LoraConfig,
    MonitorConfig,
    Section,
    TrainConfig,
    parse,
    read_yaml,
)
from speechllm.data.mixture import Component
from speechllm.data.noise import NoiseConfig
from speechllm.errors import ConfigError, did_you_mean

METHODS = {
    "audio": "speechllm.adapt.audio:Audio",
    "text_only": "speechllm.adapt.text_only:TextOnly",
    "denoise": "speechllm.adapt.denoise:Denoise",
    "mixed_batching": "speechllm.adapt.mixed_batching:MixedBatching",
}


class Method(Section):
    """A way of adapting: which views of which domain, in which proportions, train what.

    A subclass adds its own knobs and implements `components`; the engine does the rest.
    """

    method: str
    lora: LoraConfig | None = LoraConfig()
    trainable: tuple[str, ...] = ("llm.*.lora_*",)
    """Patterns of parameter names that are trained; all else is frozen."""
    noise: NoiseConfig = NoiseConfig()
    train: TrainConfig
    monitor: MonitorConfig = MonitorConfig()

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        """The mixture, given the number of utterances of each domain."""
        raise NotImplementedError


def load_method(path: Path, overrides: Sequence[str] = ()) -> Method:
    """Read a config whose key `method` says which class the rest belongs to.

    Raises:
        ConfigError: no such method, or a key that the method does not have.
    """
    values: dict[str, Any] = read_yaml(path, overrides)
    name = str(values.get("method"))
    if name not in METHODS:
        raise ConfigError(f"{path}: method: there is no '{name}'{did_you_mean(name, METHODS)}")
    module, cls = METHODS[name].split(":")
    return parse(getattr(importlib.import_module(module), cls), values, path)
