"""The machine that figures were measured on, and how fast it multiplies."""

import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from turns import seconds

from speechllm.model.compute.cpu_layers import product

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZE = 768  # rows and columns: the matrices and their product fit into a core's cache and L3


def describe(threads: int) -> dict[str, Any]:
    """Kind of machine, threads, torch, and GFLOPS of matrix products by dtype.

    `gflops` is torch's own product, `own_gflops` that of this build's layers.
    """
    torch.set_num_threads(threads)
    abilities = torch.cpu.get_capabilities()
    kinds = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
    return {
        "machine": abilities.get("cpu_name", abilities.get("architecture", "unknown")),
        "abilities": [kind for kind in kinds if abilities.get(kind)],
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": torch.__version__,
        "gflops": {name: gflops(dtype, torch.matmul) for name, dtype in DTYPES.items()},
        "own_gflops": {name: gflops(dtype, product) for name, dtype in DTYPES.items()},
    }


@torch.no_grad()
def gflops(dtype: torch.dtype, multiply: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The best rate of a square product in half a second."""
    a, b = torch.randn(2, SIZE, SIZE).to(dtype)
    best, end = 0.0, time.perf_counter() + 0.5
    while time.perf_counter() < end:
        started = seconds()
        multiply(a, b)
        best = max(best, 2 * SIZE**3 / (seconds() - started) / 1e9)
    return best
