"""Layers that compute the same as torch's own, with kernels that are faster on some CPUs.

In float32 torch leaves matrix products to MKL, which uses AVX-512 on Intel's processors only;
oneDNN, which comes with torch too, uses it on all. And on processors that are not Intel's, torch
draws dropout masks number by number.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from speechllm.model.compute.cpu import abilities
from speechllm.model.compute.rms_norm import with_quick_norms

ROWS = 16  # input rows that weights are laid out for; measured from 1 to 400: 1 gains nothing


def with_cpu_layers(model: nn.Module) -> nn.Module:
    """Replace plain linear layers, dropouts and RMSNorms of a model by fast ones, in place.

    Weights stay as they are.
    """
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear
        elif type(module) is nn.Dropout:
            module.__class__ = Dropout
    return with_quick_norms(model)


class Linear(nn.Linear):
    """Linear layer that multiplies with `product`."""

    def forward(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)


def pack(model: nn.Module) -> None:
    """Lay out the weights of a model's linear layers for oneDNN, where `product` uses oneDNN.

    Products of few rows, which wait for weights, are 1.4 to 1.7 times as fast. The layers can no
    longer be trained, saved or moved. A head that shares its weights with the embeddings gets a
    copy of its own.
    """
    if not onednn_is_faster():
        return
    for module in model.modules():
        weight = module.weight if type(module) is Linear else torch.empty(0)
        is_plain = weight.layout == torch.strided and weight.device.type == "cpu"
        if len(weight) and is_plain and weight.dtype == torch.float32:
            packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
            module.weight = nn.Parameter(packed, requires_grad=False)


class Dropout(nn.Dropout):
    """Dropout that takes 16 random bits for each number of a mask on a CPU, not a draw for each."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu" or not 0 < self.p < 1:
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = bits >= round(self.p * 2**16) - 2**15
        return x * kept.to(x.dtype).div_(1 - self.p)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Product of a linear layer, as in `functional.linear`; float32 uses oneDNN if it is faster.

    Autocast to another precision is obeyed.

    Args:
        x: [..., K] input.
        weight: [N, K].
        bias: [N], or None.

    Returns:
        [..., N] x @ weight.T + bias.
    """
    if (
        not onednn_is_faster()
        or not x.device.type == weight.device.type == "cpu"
        or not x.dtype == weight.dtype == torch.float32
        or torch.is_autocast_enabled("cpu")
        or not x.numel()
    ):
        return functional.linear(x, weight, bias)
    if not torch.is_grad_enabled():
        return _multiplied(x, weight, bias)
    return _Product.apply(x, weight, bias)


@cache
def onednn_is_faster() -> bool:
    """Whether this processor has AVX-512 and MKL does not use it.

    Decided by flags and name of the processor, not by timing: a resumed run must round as before.
    """
    known = abilities()
    is_other = known.get("avx512_f") and "Intel" not in known.get("cpu_name", "Intel")
    return bool(is_other) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _multiplied(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a @ b.T (+ bias)."""
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return _multiplied(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = gradient.flatten(0, -2) if gradient.dim() > 1 else gradient[None]
        of_x = _multiplied(gradient, weight.T) if ctx.needs_input_grad[0] else None
        of_weight = of_bias = None
        if ctx.needs_input_grad[1]:
            of_weight = _multiplied(rows.T, x.reshape(-1, x.shape[-1]).T)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_x, of_weight, of_bias
