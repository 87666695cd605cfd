"""Augmentation of encoder frames, so that they are not learnt by heart."""

import torch
from torch import Tensor

from speechllm.config import AugmentConfig


def augment(frames: Tensor, lengths: Tensor, config: AugmentConfig) -> tuple[Tensor, Tensor]:
    """Augment a padded batch of frames: tempo, noise, feature dropout; drawn by torch's generator.

    Args:
        frames: [A, T, D] encoder output, zero beyond each length.
        lengths: [A] valid frames.
        config: strength of each augmentation.

    Returns:
        Augmented frames [A, T', D] and their lengths [A].
    """
    if config.stretch:
        frames, lengths = _stretch(frames, lengths, config.stretch)
    if config.noise:
        inside = torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]
        loud = config.noise * frames[inside].std()
        frames = frames + inside[..., None] * loud * torch.randn_like(frames)
    if config.feature_dropout:
        kept = torch.rand(len(frames), 1, frames.shape[2], device=frames.device)
        frames = frames * (kept >= config.feature_dropout) / (1 - config.feature_dropout)
    return frames, lengths


def _stretch(frames: Tensor, lengths: Tensor, most: float) -> tuple[Tensor, Tensor]:
    """Change each utterance's tempo by linear interpolation between neighbouring frames."""
    change = torch.rand(len(lengths), device=frames.device) * 2 - 1  # [A]
    longer = (lengths * (1 + most * change)).round().long().clamp(min=1)
    steps = torch.arange(int(longer.max()), device=frames.device)
    last = (lengths - 1)[:, None]
    where = (steps + 0.5) * (lengths / longer)[:, None] - 0.5  # [A, T'], in old frames
    where = where.clamp(min=0).minimum(last)
    before = where.floor().long()
    rows = torch.arange(len(lengths), device=frames.device)[:, None]
    after = frames[rows, (before + 1).minimum(last)]
    share = (where - before).to(frames.dtype)[..., None]
    stretched = torch.lerp(frames[rows, before], after, share)
    return stretched * (steps < longer[:, None])[..., None], longer
