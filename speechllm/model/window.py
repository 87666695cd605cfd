"""Encoders that were trained on windows of one length, such as Whisper's 30 seconds."""

from collections.abc import Iterator
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
    return all(hasattr(model, part) for part in ("embed_positions", "conv1", "conv2"))


def stride(model: Any) -> int:
    """Filter-bank frames that become one position of the model's layers."""
    return model.conv1.stride[0] * model.conv2.stride[0]


def pieces(wave: np.ndarray, size: int | None) -> list[np.ndarray]:
    """A wave in windows of `size` samples, the last one shorter; whole where there is no size."""
    if not size:
        return [wave]
    return [wave[start : start + size] for start in range(0, max(len(wave), 1), size)]


@contextmanager
def shortened(model: Any, positions: int) -> Iterator[None]:
    """Inside the block, the model takes windows of so many positions, the first ones."""
    table, most = model.embed_positions, model.config.max_source_positions
    model.config.max_source_positions = positions
    model.embed_positions = nn.Embedding.from_pretrained(table.weight[:positions])
    try:
        yield
    finally:
        model.config.max_source_positions, model.embed_positions = most, table


def hide_padding(model: Any, features: Tensor, mask: Tensor) -> Tensor | None:
    """The mask with which a window's layers attend to the utterance and not to its padding.

    Args:
        model: that takes such a mask, as Qwen2-Audio's tower does.
        features: [B, mels, F].
        mask: [B, F], 1 on frames of the utterance.

    Returns:
        What the model's attention takes; None where nothing is hidden.
    """
    from transformers.masking_utils import create_bidirectional_mask

    positions = features.shape[-1] // stride(model)
    valid = -(-mask.sum(-1, keepdim=True) // stride(model))
    heard = torch.arange(positions, device=mask.device) < valid
    return create_bidirectional_mask(
        config=model.config,
        inputs_embeds=features.new_empty(len(features), positions, 1),
        attention_mask=heard.long(),
    )
