"""LoRA of several generations as one: what is added up in the weights is concatenated here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Lora:
    """One LoRA of one layer, which adds `scale` * up @ down to the layer's weights.

    Attributes:
        down: [rank, inputs], lora_A of PEFT.
        up: [outputs, rank], lora_B of PEFT.
        scale: alpha / rank, or another scaling.
    """

    down: Tensor
    up: Tensor
    scale: float

    @property
    def rank(self) -> int:
        return len(self.down)

    @property
    def alpha(self) -> float:
        return self.scale * self.rank

    def negative(self) -> "Lora":
        """LoRA that takes away what this one adds."""
        return Lora(self.down, -self.up, self.scale)


@dataclass(frozen=True)
class Adapter:
    """LoRA of one rank and alpha, by the name of the layer.

    Attributes:
        rank, alpha: of every layer.
        down: [rank, inputs] of each layer.
        up: [outputs, rank] of each layer.
    """

    rank: int
    alpha: int
    down: dict[str, Tensor]
    up: dict[str, Tensor]


def as_one(layers: Mapping[str, Sequence[Lora]]) -> Adapter:
    """One adapter that adds what all LoRAs of each layer add together.

    LoRAs that agree on rank and scaling, one for each layer, are kept as they are. Otherwise
    ranks are concatenated, filled up with zeros to one rank, and the scalings multiplied in:
    tools differ in whether they read rank_pattern, but all read one rank.

    Args:
        layers: LoRAs by the name of the layer; at least one layer, and one LoRA of each.
    """
    kinds = {(lora.rank, lora.scale) for loras in layers.values() for lora in loras}
    first = next(iter(layers.values()))[0]
    if len(kinds) == 1 and all(len(loras) == 1 for loras in layers.values()):
        alpha = round(first.alpha)
        if alpha > 0 and alpha / first.rank == first.scale:
            loras = {name: found[0] for name, found in layers.items()}
            return Adapter(
                first.rank,
                alpha,
                {name: lora.down for name, lora in loras.items()},
                {name: lora.up for name, lora in loras.items()},
            )
    rank = max(sum(lora.rank for lora in loras) for loras in layers.values())
    down, up = {}, {}
    for name, loras in layers.items():
        missing = rank - sum(lora.rank for lora in loras)
        downs = torch.cat([lora.down.float() for lora in loras])
        ups = torch.cat([lora.up.float() * lora.scale for lora in loras], dim=1)
        down[name] = functional.pad(downs, (0, 0, 0, missing))
        up[name] = functional.pad(ups, (0, missing))
    return Adapter(rank, rank, down, up)
