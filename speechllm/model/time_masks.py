"""SpecAugment's time masks (1904.08779), on encoder frames.

Where speech is scarce, a projector learns its few utterances by heart; with frames missing it
cannot.
"""

import torch
from torch import Tensor

from speechllm.config import TimeMasksConfig


def masked(frames: Tensor, lengths: Tensor, config: TimeMasksConfig) -> Tensor:
    """Frames with spans of zeros, drawn from torch's generator.

    Args:
        frames: [A, T, D] encoder output.
        lengths: [A] valid frames of each utterance.
        config: how many spans, and how long.
    """
    hidden = torch.zeros(frames.shape[:2], dtype=torch.bool)
    for row, length in enumerate(lengths.tolist()):
        for _ in range(max(1, length // config.every)):
            width = min(int(torch.randint(config.frames + 1, ())), length)
            start = int(torch.randint(length - width + 1, ()))
            hidden[row, start : start + width] = True
    return frames.masked_fill(hidden[..., None].to(frames.device), 0)
