"""A part that computes wrongly in half precision is found, wherever it computes."""

import copy
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from speechllm.errors import ConfigError
from speechllm.lm.network import CausalNetwork
from speechllm.model.compute import half
from speechllm.model.compute.half import ROUNDING, difference, try_out
from speechllm.model.compute.precision import autocast
from tests.helpers.architectures import LLMS
from tests.helpers.tiny import make_llm

RIGHT = torch.nn.functional.linear


def linear_is_wrong(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Of matrices with so many rows, in bfloat16."""

    def wrong(x, weight, bias=None):
        out = RIGHT(x, weight, bias)
        return -out if len(weight) == width and out.dtype == torch.bfloat16 else out

    monkeypatch.setattr(torch.nn.functional, "linear", wrong)


def inputs(llm: nn.Module) -> dict[str, torch.Tensor]:
    """A batch with padding on the left."""
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, :9] = 0
    embeddings = llm.get_input_embeddings()(torch.arange(24).view(2, 12))
    return {"inputs_embeds": embeddings, "attention_mask": mask}


@pytest.fixture
def llm(tmp_path: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(make_llm(tmp_path / "llm")).eval()


@pytest.mark.parametrize("name", LLMS)
@pytest.mark.parametrize("kept", [True, False])
def test_every_llm_s_layers_pass(name: str, kept: bool, tmp_path: Path, caplog) -> None:
    folder = LLMS[name](tmp_path / name)
    dtype = torch.bfloat16 if kept else torch.float32
    llm = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    try_out(llm, "model.llm", "")
    caplog.set_level(logging.DEBUG, logger="speechllm.model.compute.half")
    with torch.inference_mode(), autocast("fp32" if kept else "bf16", "cpu"):
        llm.generate(**inputs(llm), max_new_tokens=3, num_beams=2, do_sample=False)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) > 4 and all("differs from float32 by" in line for line in said)


def test_what_is_wrong_is_named_with_a_remedy(llm, monkeypatch) -> None:
    try_out(llm, "model.llm", "set model.llm_dtype: float32")
    linear_is_wrong(monkeypatch, llm.config.intermediate_size)
    llm(**inputs(llm))  # float32 is right
    llm.to(torch.bfloat16)
    with pytest.raises(ConfigError) as caught:
        llm(**inputs(llm))
    assert "model.llm: Linear model.layers.0.mlp." in caught.value.message
    assert "in bfloat16 on this device: it differs from float32 by 200%" in caught.value.message
    assert caught.value.remedy.startswith("set model.llm_dtype: float32, or run with ONEDNN_")


def test_a_language_model_s_fusion_is_tried_out_too(llm, monkeypatch) -> None:
    linear_is_wrong(monkeypatch, llm.config.intermediate_size)
    network = CausalNetwork(llm)
    ids = torch.arange(6).view(1, 6)
    network.advance(ids)
    wanted = r"language model: .* wrongly in bfloat16"
    with pytest.raises(ConfigError, match=wanted), autocast("bf16", "cpu"):
        network.advance(ids)


@pytest.mark.parametrize("tries", [True, False])
def test_training_learns_the_same_whether_it_is_tried_out(llm, tries: bool) -> None:
    """Neither dropout nor gradients nor autocast's cache of weights notice."""
    llm.config.attention_dropout = 0.1
    expected = gradients(llm)
    if tries:
        try_out(llm, "model.llm", "")
    found = gradients(llm)
    assert expected.keys() == found.keys() and len(found) > 10
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert all(module.training for module in llm.modules())


def gradients(llm: nn.Module) -> dict[str, torch.Tensor]:
    llm.train().zero_grad()
    torch.manual_seed(0)
    with autocast("bf16", "cpu"):
        llm(**inputs(llm), labels=torch.arange(24).view(2, 12)).loss.backward()
    return {n: p.grad.clone() for n, p in llm.named_parameters() if p.grad is not None}


def test_a_large_llm_is_never_copied_whole(llm, monkeypatch) -> None:
    copied, real = [], copy.deepcopy

    def spy(part):
        copied.append(numbers(part))
        return real(part)

    llm.to(torch.bfloat16)
    try_out(llm, "model.llm", "")
    monkeypatch.setattr(half, "copy", SimpleNamespace(deepcopy=spy))
    llm(**inputs(llm))
    largest = max(llm.model.layers[0], llm.lm_head, key=numbers)
    assert len(copied) < 10 and max(copied) == numbers(largest) < numbers(llm)


def numbers(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def test_difference_is_a_part_of_the_length() -> None:
    wanted = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
    found = wanted + torch.tensor([[0.0, 0.5], [0.0, 0.0], [9.0, 9.0]])
    assert difference(found, wanted) == pytest.approx(0.1)
    assert difference(wanted * torch.nan, wanted) == torch.inf
    assert not difference(wanted * torch.nan, wanted) < ROUNDING[torch.bfloat16]
    assert difference(wanted, wanted * torch.nan) == 0  # nothing to compare with
