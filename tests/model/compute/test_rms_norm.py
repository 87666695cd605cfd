"""Quick RMSNorms give what their architectures' own give, and leave all others alone."""

import copy

import pytest
import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from speechllm.model.compute.rms_norm import with_quick_norms


class Centred(LlamaRMSNorm):
    """Has an RMSNorm's attributes, and computes something else."""

    def forward(self, x):
        return super().forward(x - x.mean(-1, keepdim=True))


def random(norm: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    nn.init.normal_(norm.weight)
    return norm


@pytest.mark.parametrize("cls", [LlamaRMSNorm, Qwen3RMSNorm])
@pytest.mark.parametrize("size", [0.0, 1e-4, 1.0, 1e4])
def test_values_and_gradients_are_the_same(cls, size) -> None:
    plain = random(cls(24))
    quick = with_quick_norms(copy.deepcopy(plain))
    assert type(quick) is not cls and isinstance(quick, cls)
    start, weights = torch.randn(3, 5, 24) * size, torch.randn(3, 5, 24)
    found = []
    for norm in (plain, quick):
        x = start.clone().requires_grad_()
        output = norm(x)
        (output * weights).sum().backward()
        found.append((output, x.grad, norm.weight.grad))
    for wanted, other in zip(*found, strict=True):
        torch.testing.assert_close(other, wanted, rtol=1e-4, atol=1e-5)


def test_values_do_not_depend_on_what_learns() -> None:
    quick, x = with_quick_norms(random(LlamaRMSNorm(24))), torch.randn(3, 24)
    assert torch.equal(quick(x), quick.requires_grad_(False)(x))
    quick(x.requires_grad_()).sum().backward()
    assert x.grad is not None and quick.weight.grad is None


def test_other_norms_stay() -> None:
    norms = nn.Sequential(GemmaRMSNorm(8), nn.LayerNorm(8), nn.RMSNorm(8), Centred(8))
    kinds = [type(norm) for norm in norms]
    assert [type(norm) for norm in with_quick_norms(norms)] == kinds


def test_bfloat16_is_left_to_the_class() -> None:
    quick, x = with_quick_norms(random(LlamaRMSNorm(8))), torch.randn(2, 8, dtype=torch.bfloat16)
    assert torch.equal(quick(x), LlamaRMSNorm.forward(quick, x))
    once = type(quick)
    assert type(with_quick_norms(quick)) is once


def test_trying_out_draws_nothing_at_random() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    with_quick_norms(LlamaRMSNorm(8))
    assert torch.equal(torch.rand(1), wanted)
