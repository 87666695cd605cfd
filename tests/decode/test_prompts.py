"""Prompts that are read once for all beams give what transformers gives without that."""

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from speechllm.config import LoraConfig
from speechllm.decode import search as searching
from speechllm.decode.prompts import BeamLayer, read_prompts
from speechllm.model.llm import add_lora
from tests.architectures import LLMS
from tests.decode.conftest import sharpened
from tests.decode.test_search import decode, examples
from tests.tiny import make_encoder


@pytest.fixture(scope="module", params=["qwen3", "smollm2", "smollm3", "smollm2 with LoRA"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    name, _, lora = request.param.partition(" with ")
    work = tmp_path_factory.mktemp(name)
    LLMS[name](work / "llm")
    model = sharpened(make_encoder(work / "encoder"), work / "llm")
    if lora:
        model.llm = add_lora(model.llm, LoraConfig(rank=2, targets=["q_proj", "v_proj"]))
        with torch.no_grad():
            for part, weight in model.llm.named_parameters():
                if "lora_B" in part:
                    weight.normal_(generator=torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize("beam", [1, 4])
def test_every_llm_hears_the_same(model, beam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    caches = []

    def watched(*args):
        caches.append(read_prompts(*args))
        return caches[-1]

    monkeypatch.setattr(searching, "read_prompts", watched)
    quick = decode(model, examples(), beam)
    assert all(isinstance(layer, BeamLayer) for cache in caches for layer in cache.layers)
    assert caches and caches[0].get_seq_length() > 10, "the prompt was read before"
    monkeypatch.setattr(searching, "read_prompts", lambda *args: None)
    plain = decode(model, examples(), beam)
    assert quick == plain
    for one, other in zip(quick, plain, strict=True):
        assert one.score == pytest.approx(other.score, abs=2e-3)


def test_a_sliding_window_is_left_to_transformers() -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 9}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    llm = MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=4))
    assert read_prompts(llm, None, beam=2, room=8) is None


def test_beams_change_places_behind_the_prompt() -> None:
    layer = BeamLayer(room=2)
    prompt = torch.arange(6.0).view(2, 1, 3, 1)  # two utterances of three positions
    layer.update(prompt, -prompt)
    layer.batch_repeat_interleave(2)
    token = torch.arange(10.0, 14.0).view(4, 1, 1, 1)
    layer.update(token, -token)
    layer.reorder_cache(torch.tensor([1, 1, 3, 2]))
    keys, values = layer.update(token + 10, -token - 10)
    assert keys.squeeze().tolist() == [
        [0, 1, 2, 11, 20],
        [0, 1, 2, 11, 21],
        [3, 4, 5, 13, 22],
        [3, 4, 5, 12, 23],
    ]
    assert torch.equal(values, -keys)
    assert layer.get_seq_length() == 5
    with pytest.raises(AssertionError, match="no room"):
        layer.update(token, token)
