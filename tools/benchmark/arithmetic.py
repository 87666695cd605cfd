"""The arithmetic that a training step cannot do without: matrix products of valid positions."""

from typing import Any

from torch import nn


def training_flops(
    llm: nn.Module, projector: nn.Module, utterances: list[dict[str, int]]
) -> dict[str, float]:
    """Operations of one epoch, forward and backward, by part.

    A multiplication and an addition are two. Frozen weights take part in the forward pass and in
    the gradient of activations, trained ones in their own gradient too. The head sees positions
    that have a label, attention what lies before a position.

    Args:
        llm: a causal LM with LoRA.
        projector: trained, in front of it; its input needs no gradient.
        utterances: of each the `positions` in the LLM, those of `speech`, and those with `labels`.
    """
    positions, speech, labels = (
        sum(u[kind] for u in utterances) for kind in ("positions", "speech", "labels")
    )
    before = sum(u["positions"] * (u["positions"] + 1) / 2 for u in utterances)
    head = llm.get_output_embeddings()
    matrices = [(n, m) for n, m in llm.named_modules() if isinstance(m, nn.Linear)]
    lora = sum(m.weight.numel() for n, m in matrices if "lora_" in n)
    frozen = sum(m.weight.numel() for n, m in matrices if "lora_" not in n and m is not head)
    first, *others = [m.weight.numel() for m in projector.modules() if isinstance(m, nn.Linear)]
    config: Any = llm.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width *= config.num_attention_heads
    return {
        "projector": (4 * first + 6 * sum(others)) * speech,
        "layers": 4 * frozen * positions,
        "lora": 6 * lora * positions,
        "attention": 12 * width * config.num_hidden_layers * before,
        "head": 4 * head.weight.numel() * labels,
    }
