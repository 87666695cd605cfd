"""RMSNorm with its own backward pass, which goes over memory half as often as autograd's.

In a training step of a small LLM on a CPU, its layers spend as much time in RMSNorm as in
attention.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def with_quick_norms(model: nn.Module) -> nn.Module:
    """Replace the RMSNorms of a model by quick ones, in place; a trial run finds these modules."""
    for module in model.modules():
        if not isinstance(module, _Quick) and _is_rms_norm(module):
            module.__class__ = _quick(type(module))
    return model


def _is_rms_norm(module: nn.Module) -> bool:
    """Whether a module computes the same as `_Normalised`.

    Architectures have classes of their own, and some add one to the weight.
    """
    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", None)
    if not (isinstance(weight, Tensor) and isinstance(epsilon, float) and weight.dim() == 1):
        return False
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return False
    x = torch.linspace(-1, 2, len(weight))[None]
    with torch.no_grad():
        return torch.allclose(module.forward(x), _Normalised.apply(x, weight, epsilon), rtol=1e-4)


class _Quick:
    """Mix-in for an RMSNorm class: computes float32 on a CPU; the class computes all else."""

    weight: Tensor
    variance_epsilon: float

    def forward(self, x: Tensor) -> Tensor:
        kinds = {(t.device.type, t.dtype) for t in (x, self.weight)}
        if kinds != {("cpu", torch.float32)}:
            return super().forward(x)
        return _Normalised.apply(x, self.weight, self.variance_epsilon)


@cache
def _quick(cls: type[nn.Module]) -> type[nn.Module]:
    return type(cls.__name__, (_Quick, cls), {})


class _Normalised(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        scale = squares.div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, scale = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = (gradient * x).mul_(scale).view(-1, x.shape[-1]).sum(0)
        if ctx.needs_input_grad[0]:
            of_x = gradient * weight
            along = (of_x * x).sum(-1, keepdim=True)
            of_x.mul_(scale).addcmul_(x, along * scale.pow(3) / -x.shape[-1])
        return of_x, of_weight, None
