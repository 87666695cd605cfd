"""A model frozen for the search writes what it wrote before."""

import copy

import pytest
import torch

from speechllm.decode.config import DecodeConfig
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.search.search import search
from speechllm.model.compute import cpu_layers
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import collate
from tests.decode.conftest import tune
from tests.decode.search.test_search import examples


def with_lora(model: SpeechLLM) -> SpeechLLM:
    model = copy.deepcopy(model)
    tune(model, "q_proj")
    return model


def decoded(model: SpeechLLM, beam: int, precision: str) -> list[Hypothesis]:
    rows = examples()
    batch = collate(rows, model.prompt, model.projector.output_length, with_target=False)
    config = DecodeConfig(beam=beam, precision=precision, max_tokens_per_second=8)
    return [best for best, *_ in search(model, batch, [len(e.slot) / 25 for e in rows], config)]


@pytest.mark.parametrize("beam", [1, 4])
def test_float32(model: SpeechLLM, beam: int) -> None:
    tuned = with_lora(model)
    before = decoded(tuned, beam, "fp32")
    assert before != decoded(model, beam, "fp32"), "LoRA changes something"
    embedding = tuned.embedding.weight.clone()
    for _ in range(2):  # twice is not too often
        tuned.freeze_for_search("fp32")
    assert not any("lora" in name for name, _ in tuned.llm.named_modules())
    after = decoded(tuned, beam, "fp32")
    assert after == before
    for one, other in zip(before, after, strict=True):
        assert one.score == pytest.approx(other.score, abs=2e-3)
    assert torch.equal(tuned.embedding.weight, embedding)


def test_weights_are_laid_out_anew_where_onednn_multiplies(
    model: SpeechLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def layouts() -> set[torch.layout]:
        frozen = with_lora(model)
        frozen.freeze_for_search("fp32")
        return {p.layout for p in frozen.llm.parameters() if p.dim() == 2}

    monkeypatch.setattr(cpu_layers, "onednn_is_faster", lambda: False)
    assert layouts() == {torch.strided}
    if hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        monkeypatch.setattr(cpu_layers, "onednn_is_faster", lambda: True)
        assert layouts() == {torch.strided, torch._mkldnn}  # the embeddings stay


@pytest.mark.parametrize("beam", [1, 4])
def test_bfloat16_is_bit_equal(model: SpeechLLM, beam: int) -> None:
    tuned = with_lora(model)
    before = decoded(tuned, beam, "bf16")
    tuned.freeze_for_search("bf16")
    after = decoded(tuned, beam, "bf16")
    assert after == before and [h.score for h in after] == [h.score for h in before]
