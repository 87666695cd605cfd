"""FLOPs of a LoRA training step: of what it must multiply, so neither pads nor what is repeated."""

from collections.abc import Sequence
from typing import Any

from torch import nn


def step_flops(llm: Any, lengths: Sequence[int], labels: int) -> float:
    """FLOPs of a forward and a backward pass through the LLM; the projector's are left out.

    A matrix of n numbers takes 2 n for each position forward, 2 n for the gradient of its input,
    and 2 n more for its own where it is trained. Attention looks back, so at half of its square;
    its backward pass takes twice as much. The head sees label positions alone.

    Args:
        llm: a causal LM of transformers, or its PEFT model.
        lengths: of each sequence, without pads.
        labels: label positions of them all.
    """
    text, head = llm.config.get_text_config(), llm.get_output_embeddings()
    passes = 0
    for module in llm.modules():
        if isinstance(module, nn.Linear) and module is not head:
            passes += module.weight.numel() * (3 if module.weight.requires_grad else 2)
    width = text.num_attention_heads * text.head_dim
    attention = 3 * 4 * width * text.num_hidden_layers * sum(n * n for n in lengths) / 2
    return 2 * passes * sum(lengths) + attention + 4 * head.weight.numel() * labels
