"""Optimisers, their learning rates, and the clip of gradients."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from speechllm.config import TrainConfig
from speechllm.errors import ConfigError


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW over the trained parameters; Muon over the matrices of layers, if it has a rate.

    Muon (Jordan et al. 2024) is for matrices that multiply: not for embeddings, not for LoRA.

    Raises:
        ConfigError: Muon, which needs whole matrices, is asked for where they are sharded.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    muon = [
        p
        for name, p in trained
        if config.muon_lr and p.ndim == 2 and ".layers." in name and "embed" not in name
    ]
    if any(isinstance(p, DTensor) for p in muon):
        raise ConfigError(
            "train.muon_lr: Muon needs whole matrices, and train.shard shards them",
            "set train.muon_lr: 0, or leave out train.shard",
        )
    chosen = {id(p) for p in muon}
    adam = [p for _, p in trained if id(p) not in chosen]
    decay = config.weight_decay
    optimizers: list[torch.optim.Optimizer] = []
    if adam:
        # On a CPU torch does not choose its fused step by itself.
        fused = all(p.device.type == "cpu" for p in adam) or None
        # torch updates a group at once, in which all weights are sharded or none.
        kinds = [[p for p in adam if isinstance(p, DTensor) == kind] for kind in (False, True)]
        groups = [{"params": group} for group in kinds if group]
        optimizers.append(torch.optim.AdamW(groups, config.lr, weight_decay=decay, fused=fused))
    if muon:
        optimizers.append(torch.optim.Muon(muon, lr=config.muon_lr, weight_decay=decay))
    return optimizers


def clip_gradients(parameters: Sequence[nn.Parameter], most: float) -> float:
    """Scale the gradients down to a norm of at most `most`; return the norm before."""
    sharded = [p for p in parameters if isinstance(p, DTensor)]
    if not sharded:
        return float(nn.utils.clip_grad_norm_(parameters, most))
    whole = [p for p in parameters if not isinstance(p, DTensor)]
    gradients = [[p.grad for p in part if p.grad is not None] for part in (sharded, whole)]
    norms = [nn.utils.get_total_norm(part) for part in gradients if part]
    norm = math.hypot(*(float(n.full_tensor() if isinstance(n, DTensor) else n) for n in norms))
    if norm > most:
        for gradient in (g for part in gradients for g in part):
            gradient *= most / norm
    return norm


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
