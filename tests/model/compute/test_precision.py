"""Training computes in bfloat16 where that is fast, and only there."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from speechllm.config import TrainConfig
from speechllm.model.compute import precision
from speechllm.model.compute.cpu import abilities


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"avx512_bf16": True}, "bf16"),
        ({"bf16": True}, "bf16"),
        ({"avx2": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_is_what_the_cpu_multiplies_natively(monkeypatch, told, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)
    monkeypatch.setattr(precision, "_onednn_uses_it", lambda: True)
    assert precision.resolve("auto", "cpu") == expected


def test_a_torch_that_does_not_tell_computes_in_float32(monkeypatch):
    """get_capabilities is younger than the oldest torch that setup.py allows."""
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert abilities() == {} and precision.resolve("auto", "cpu") == "fp32"


def test_auto_is_not_what_onednn_is_forbidden():
    """Where it may not use them, torch emulates bfloat16, abilities or not."""
    asked = "from speechllm.model.compute.precision import resolve; print(resolve('auto', 'cpu'))"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", asked]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert platform.machine() != "x86_64" or done.stdout == "fp32\n"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_does_not_emulate_on_an_old_gpu(monkeypatch, native, expected):
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert precision.resolve("auto", "cuda:1") == expected


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_done_wherever_it_runs(monkeypatch, asked):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: asked == "fp32")
    assert precision.resolve(asked, "cpu") == asked
    with precision.autocast(asked, "cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[asked]


def test_training_decides_by_the_device_unless_told():
    assert TrainConfig(steps=1, batch_positions=1).precision == "auto"
