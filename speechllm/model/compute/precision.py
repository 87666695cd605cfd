"""Precision of the forward pass: float32, or bfloat16 by autocast."""

import torch
from torch import nn

from speechllm.model.compute.cpu import abilities


def multiplies_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 natively.

    Where it does not, torch computes in it all the same: on a CPU some fifty times slower than in
    float32 (docs/architecture.md).

    Args:
        device: a torch device, such as "cpu" or "cuda:0".
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":
        return False
    known = abilities()
    has_it = any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return has_it and _onednn_uses_it()


def _onednn_uses_it() -> bool:
    """Whether oneDNN, which multiplies for torch, may use it; ONEDNN_MAX_CPU_ISA can forbid it."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def resolve(precision: str, device: str) -> str:
    """Precision to compute in, "fp32" or "bf16"; "auto" takes the faster one on the device."""
    if precision == "auto":
        return "bf16" if multiplies_bfloat16(device) else "fp32"
    return precision


def resolve_dtype(dtype: str, device: str) -> str:
    """Dtype to keep weights in; "auto" takes bfloat16 if the device multiplies it natively."""
    if dtype == "auto":
        return "bfloat16" if multiplies_bfloat16(device) else "float32"
    return dtype


def autocast(precision: str, device: str) -> torch.autocast:
    """Context in which the forward pass computes in a precision: "fp32", "bf16" or "auto"."""
    enabled = resolve(precision, device) == "bf16"
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled)


def round_weights(model: nn.Module) -> None:
    """Keep the weights of linear layers in bfloat16, as autocast rounds them in each product.

    Results under autocast stay the same. A head that shares its weights with the embeddings gets
    a copy of its own.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight.dtype == torch.float32:
            weight = module.weight.detach().to(torch.bfloat16)
            module.weight = nn.Parameter(weight, requires_grad=False)
