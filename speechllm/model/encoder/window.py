"""Encoders that were trained on windows of one length, such as Whisper's 30 seconds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def window_samples(extractor: Any, model: nn.Module) -> int | None:
    """Length in samples of the one window that a model takes; None if it takes any length."""
    if not hasattr(model.config, "max_source_positions"):
        return None
    return getattr(extractor, "n_samples", None)


def can_be_cut(model: nn.Module) -> bool:
    """Whether a model of one window length can be given a shorter window."""
    return all(hasattr(model, part) for part in ("embed_positions", "conv1", "conv2", "layers"))


def stride(model: Any) -> int:
    """Filter-bank frames that become one position of the model's layers."""
    return model.conv1.stride[0] * model.conv2.stride[0]


def pieces(wave: np.ndarray, size: int | None) -> list[np.ndarray]:
    """Windows of `size` samples of a wave, the last one shorter; the whole wave if no size."""
    if not size:
        return [wave]
    return [wave[start : start + size] for start in range(0, max(len(wave), 1), size)]


@contextmanager
def shortened(model: Any, positions: Sequence[int]) -> Iterator[None]:
    """Inside the block, the model takes a batch of shorter windows, with so many positions each.

    Their input is padded with zeros to the longest, as convolutions pad at their borders; the
    layers do not attend beyond the end of each window.
    """
    table, most = model.embed_positions, model.config.max_source_positions
    longest = max(positions)
    model.config.max_source_positions = longest
    model.embed_positions = nn.Embedding.from_pretrained(table.weight[:longest])
    hooks = []
    if min(positions) < longest:
        ends = torch.tensor(positions, device=table.weight.device)
        heard = torch.arange(longest, device=ends.device) < ends[:, None]
        mask = attention_mask(model, heard)

        def masked(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return (args[0], mask, *args[2:])

        hooks = [layer.register_forward_pre_hook(masked) for layer in model.layers]
    try:
        yield
    finally:
        model.config.max_source_positions, model.embed_positions = most, table
        for hook in hooks:
            hook.remove()


def hide_padding(model: Any, features: Tensor, mask: Tensor) -> Tensor | None:
    """Attention mask that shows the layers the utterance in a window, and not its padding.

    Args:
        model: model whose layers take such a mask, such as Qwen2-Audio's tower.
        features: [B, mels, F].
        mask: [B, F], 1 on frames of the utterance.

    Returns:
        Mask in the form that the model's attention takes; None if nothing is hidden.
    """
    positions = features.shape[-1] // stride(model)
    valid = -(-mask.sum(-1, keepdim=True) // stride(model))
    return attention_mask(model, torch.arange(positions, device=mask.device) < valid)


def attention_mask(model: Any, heard: Tensor) -> Tensor | None:
    """Attention mask of the model's layers that shows only the positions in `heard` ([B, T])."""
    from transformers.masking_utils import create_bidirectional_mask

    return create_bidirectional_mask(
        config=model.config,
        inputs_embeds=model.conv1.weight.new_empty(*heard.shape, 1),
        attention_mask=heard.long(),
    )
