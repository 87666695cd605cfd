"""Encoders that were trained on windows of one length, such as Whisper's 30 seconds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def window_samples(extractor: Any, model: nn.Module) -> int | None:
    """Samples of the one window length that a model takes; None where it takes any."""
    if not hasattr(model.config, "max_source_positions"):
        return None
    return getattr(extractor, "n_samples", None)


def can_be_cut(model: nn.Module) -> bool:
    """Whether a model of one window length can be shown a shorter one."""
    return all(hasattr(model, part) for part in ("embed_positions", "conv1", "conv2", "layers"))


def stride(model: Any) -> int:
    """Filter-bank frames that become one position of the model's layers."""
    return model.conv1.stride[0] * model.conv2.stride[0]


def pieces(wave: np.ndarray, size: int | None) -> list[np.ndarray]:
    """A wave in windows of `size` samples, the last one shorter; whole where there is no size."""
    if not size:
        return [wave]
    return [wave[start : start + size] for start in range(0, max(len(wave), 1), size)]


@contextmanager
def shortened(model: Any, positions: Sequence[int]) -> Iterator[None]:
    """Inside the block, the model takes a batch of windows of so many positions, the first ones.

    It is given them padded with zeros to the longest, as its convolutions pad at their borders;
    its layers do not attend to what is beyond the end of each.
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
    """The mask with which a window's layers attend to the utterance and not to its padding.

    Args:
        model: that takes such a mask, as Qwen2-Audio's tower does.
        features: [B, mels, F].
        mask: [B, F], 1 on frames of the utterance.

    Returns:
        What the model's attention takes; None where nothing is hidden.
    """
    positions = features.shape[-1] // stride(model)
    valid = -(-mask.sum(-1, keepdim=True) // stride(model))
    return attention_mask(model, torch.arange(positions, device=mask.device) < valid)


def attention_mask(model: Any, heard: Tensor) -> Tensor | None:
    """What the layers' attention takes to look at positions that are `heard` ([B, T]) alone."""
    from transformers.masking_utils import create_bidirectional_mask

    return create_bidirectional_mask(
        config=model.config,
        inputs_embeds=model.conv1.weight.new_empty(*heard.shape, 1),
        attention_mask=heard.long(),
    )
