"""Optimisers and their learning rates."""

import math

import torch
from torch import nn

from speechllm.config import TrainConfig


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW over the trained parameters; Muon over the matrices of layers, if it has a rate.

    Muon (Jordan et al. 2024) is for matrices that multiply: not for embeddings, not for LoRA.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    muon = [
        p
        for name, p in trained
        if config.muon_lr and p.ndim == 2 and ".layers." in name and "embed" not in name
    ]
    chosen = {id(p) for p in muon}
    adam = [p for _, p in trained if id(p) not in chosen]
    decay = config.weight_decay
    optimizers: list[torch.optim.Optimizer] = []
    if adam:
        # On a CPU torch does not choose its fused step by itself.
        fused = all(p.device.type == "cpu" for p in adam) or None
        optimizers.append(torch.optim.AdamW(adam, config.lr, weight_decay=decay, fused=fused))
    if muon:
        optimizers.append(torch.optim.Muon(muon, lr=config.muon_lr, weight_decay=decay))
    return optimizers


def rate_scale(step: int, config: TrainConfig, seconds: float = 0.0) -> float:
    """Factor of the learning rate at a step: linear warm-up, then linear, cosine or constant.

    Args:
        step: 0-based.
        config: warm-up, schedule, and length in steps or seconds.
        seconds: training time so far; the decay follows it if the length is in seconds and
            `decay_steps` is not given.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    if config.seconds and not config.decay_steps:
        progress = min(1.0, seconds / config.seconds)
    else:
        end = config.decay_steps or config.steps
        progress = min(1.0, (step - config.warmup_steps) / max(1, end - config.warmup_steps))
    if config.schedule == "linear":
        return 1 - progress
    return 0.5 * (1 + math.cos(math.pi * progress))


def up_and_down(
    optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Schedule of a small separate network: linear up for a tenth of the steps, then down to 0."""
    warmup = max(1, steps // 10)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / warmup, (steps - n) / max(1, steps - warmup))
    )
