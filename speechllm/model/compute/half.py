"""Check that the parts of a model compute correctly in half precision on this device.

The kernel of a product depends on processor, shape and precision, and a wrong kernel raises no
error: with torch 2.13 on a CPU with AMX, a grouped Conv1d in bfloat16 with 8 channels a group and
an even kernel is off by as much as its output. So each part is compared with itself in float32
once, on its first input.
"""

import copy
import logging
from typing import Any

import torch
from torch import Tensor, nn

from speechllm.errors import ConfigError

log = logging.getLogger(__name__)

ROUNDING = {torch.float16: 0.02, torch.bfloat16: 0.1}
"""Least difference, as a part of the output, that rounding in one layer does not explain. Layers of
every architecture in the tests stayed below 0.001 and 0.01; a wrong kernel gives about 1."""
WITHOUT_AMX = "run with ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 in the environment"


def try_out(model: nn.Module, name: str, remedy: str) -> None:
    """Compare a model's parts with themselves in float32 when they first compute in half precision.

    Half precision comes from the dtype of their weights, or from autocast. One part of each kind
    and shape is compared, from a layer down to a single matrix; no float32 copy of the whole
    model is made. If rounding does not explain the difference, the part's forward raises
    ConfigError.

    Args:
        model: model to compare when it is run.
        name: its name in the error message.
        remedy: how to do without half precision, for the error message.
    """
    kinds = set()
    for path, part in model.named_modules():
        kind = (type(part), *(parameter.shape for parameter in part.parameters()))
        is_stack = any(type(module) is nn.ModuleList for module in part.modules())
        if is_stack or isinstance(part, nn.ModuleList | nn.Embedding) or kind in kinds:
            continue
        if any(parameter.dim() > 1 for parameter in part.parameters()):
            kinds.add(kind)
            _try_out(part, f"{name}: {type(part).__name__} {path}".rstrip(), remedy)


def _try_out(part: nn.Module, name: str, remedy: str) -> None:
    tried = False

    def compare(part: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        nonlocal tried
        half = _half_precision(part)
        if tried or half is None:
            return
        tried = True  # before the part is run again
        handle.remove()
        try:
            found = difference(*_both(part, args, kwargs, output))
        except (RuntimeError, TypeError, ValueError) as error:  # FlashAttention knows no float32
            log.debug("%s cannot be compared with float32: %s", name, error)
            return
        precision = str(half).removeprefix("torch.")
        log.debug("%s in %s differs from float32 by %.1g of its output", name, precision, found)
        if not found < ROUNDING[half]:
            on_cpu = next(part.parameters()).device.type == "cpu"
            raise ConfigError(
                f"{name} is computed wrongly in {precision} on this device: it differs from "
                f"float32 by {found:.0%} of its output",
                f"{remedy}, or {WITHOUT_AMX}" if on_cpu else remedy,
            )

    handle = part.register_forward_hook(compare, with_kwargs=True)


def difference(found: Tensor, wanted: Tensor) -> float:
    """Median distance of vectors [..., D] from those wanted, as a part of the wanted length.

    The median, since positions of padding may hold anything. NaN or Inf counts as infinitely far.
    """
    found, wanted = found.detach().float(), wanted.detach().float()
    length = wanted.norm(dim=-1)
    parts = ((found - wanted).norm(dim=-1) / length)[length.isfinite() & (length > 0)]
    return float(parts.nan_to_num(torch.inf).median()) if len(parts) else 0.0


def _half_precision(part: nn.Module) -> torch.dtype | None:
    """Half precision that the part computes in; None for float32 and for weights of 4 bits."""
    types = {parameter.dtype for parameter in part.parameters()}
    device = next(part.parameters()).device.type
    if device == "meta" or not all(dtype.is_floating_point for dtype in types):
        return None
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return next((dtype for dtype in types if dtype in ROUNDING), None)


@torch.no_grad()
def _both(part: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> tuple[Tensor, Tensor]:
    """Outputs of the part in half precision and in float32, without dropout and without hooks."""
    device = next(part.parameters()).device.type
    training = [module for module in part.modules() if module.training]
    part.eval()
    try:
        if training:
            output = part.forward(*_uncached(args), **_uncached(kwargs))
        with torch.autocast(device, enabled=False):
            twin = copy.deepcopy(part).float()
            wanted = twin.forward(*_uncached(args, full=True), **_uncached(kwargs, full=True))
    finally:
        for module in training:
            module.training = True
    return _first(output), _first(wanted)


def _uncached(value: Any, full: bool = False) -> Any:
    """Arguments of a part without the cache of keys and values; in float32 if `full`."""
    from transformers import Cache

    if isinstance(value, dict):
        return {key: _uncached(inner, full) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_uncached(inner, full) for inner in value)
    if isinstance(value, Tensor) and full and value.is_floating_point():
        return value.float()
    return None if isinstance(value, Cache) else value


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]
