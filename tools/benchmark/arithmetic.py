"""The arithmetic that a training step cannot do without: matrix products of valid positions.

A multiplication and an addition are two operations. Frozen weights take part in the forward pass
and in the gradient of activations, trained ones in their own gradient too.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn


def llm_flops(llm: Any, lengths: Sequence[int], labels: int) -> dict[str, float]:
    """Operations of a forward and a backward pass, by part.

    Args:
        llm: a causal LM with LoRA, whose head is frozen.
        lengths: of each sequence, without pads.
        labels: positions that have one, which alone the head sees.
    """
    config, head = llm.config.get_text_config(), llm.get_output_embeddings()
    matrices = [(n, m) for n, m in llm.named_modules() if isinstance(m, nn.Linear)]
    lora = sum(m.weight.numel() for n, m in matrices if "lora_" in n)
    frozen = sum(m.weight.numel() for n, m in matrices if "lora_" not in n and m is not head)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width *= config.num_attention_heads
    return {
        "layers": 4 * frozen * sum(lengths),
        "lora": 6 * lora * sum(lengths),
        # A position attends to itself and to what lies before it.
        "attention": 12 * width * config.num_hidden_layers * sum(n * (n + 1) / 2 for n in lengths),
        "head": 4 * head.weight.numel() * labels,
    }


def projector_flops(projector: nn.Module, positions: int) -> float:
    """Of a trained projector of linear layers, whose input needs no gradient."""
    first, *others = [m.weight.numel() for m in projector.modules() if isinstance(m, nn.Linear)]
    return (4 * first + 6 * sum(others)) * positions
