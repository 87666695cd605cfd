"""How fast the device multiplies square matrices, which is what the other figures are held to."""

import os
from statistics import median

import torch
import transformers
from gpu_common import DEVICE, Settings, fact, figure, now

from speechllm.model.compute.cpu import abilities

SIZE = 8192 if DEVICE == "cuda" else 256  # rows and columns
KINDS = {
    "bf16": (torch.bfloat16, "highest"),
    "fp32": (torch.float32, "highest"),
    "tf32": (torch.float32, "high"),
}
"""dtype, and torch's precision of products in float32. On a CPU tf32 is fp32 or bf16."""


def measure(settings: Settings) -> None:
    """FLOPs in a second by kind of number, and what machine this is."""
    is_gpu = DEVICE == "cuda"
    fact("device", torch.cuda.get_device_name() if is_gpu else "cpu")
    fact("memory_gib", torch.cuda.mem_get_info()[1] / 2**30 if is_gpu else None)
    fact("machine", abilities().get("cpu_name", os.uname().machine))
    fact("cores", os.cpu_count())
    fact("torch", torch.__version__)
    fact("cuda", torch.version.cuda)
    fact("transformers", transformers.__version__)
    for kind, (dtype, precision) in KINDS.items():
        torch.set_float32_matmul_precision(precision)
        figure(f"matmul {kind}", _rate(dtype, settings.seconds / 20), "FLOP/s")


def _rate(dtype: torch.dtype, seconds: float) -> float:
    """The median of five rates of so many seconds each, on random numbers."""
    a, b = torch.randn(2, SIZE, SIZE, device=DEVICE).to(dtype)
    for _ in range(3):
        a @ b
    rates = []
    for _ in range(5):
        started, count = now(), 0
        while (took := now() - started) < seconds or not count:
            for _ in range(10):  # between two waits
                a @ b
            count += 10
        rates.append(2 * SIZE**3 * count / took)
    return median(rates)
