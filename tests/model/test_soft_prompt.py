import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from speechllm.adapt.methods.soft_prompt import SoftPromptTuning
from speechllm.config import LoraConfig
from speechllm.errors import ConfigError, DataError
from speechllm.files.layout import PHASE, TENSORS
from speechllm.model.bundle import load_bundle, save_bundle, save_trained
from speechllm.model.bundle_record import SHA256
from speechllm.model.soft_prompt import SOFT_PROMPT, SoftPrompt, first_vectors
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.slot.collate import Batch, Example, collate
from speechllm.slot.pseudo_audio.contents import Projected, Soft
from tests.helpers.tiny import make_speech_llm

VECTORS = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
FRAMES = np.random.default_rng(0).normal(size=(9, 16)).astype(np.float16)


@pytest.fixture
def model(tmp_path: Path) -> SpeechLLM:
    model = make_speech_llm(tmp_path)
    model.scaffold[SOFT_PROMPT] = SoftPrompt(torch.randn(3, 16))
    return model


def batch_of(model: SpeechLLM, *examples: Example) -> Batch:
    return collate(examples, model.prompt, model.projector.output_length)


def parts(model: SpeechLLM) -> tuple:
    return model.embedding, model.tokenizer, model.prompt.bos


def method(**values: object) -> SoftPromptTuning:
    return SoftPromptTuning(method="soft_prompt", train={"steps": 1}, **values)


def test_vectors_of_known_tokens_score_like_these_tokens(model: SpeechLLM) -> None:
    tokens = [20, 21, 22]
    model.scaffold[SOFT_PROMPT] = SoftPrompt(model.embedding.weight[tokens])
    soft = model(batch_of(model, Example("u", "soft_prompt", Soft(3), [30, 31])))
    text = model(batch_of(model, Example("u", "clean_text", tokens, [30, 31])))
    torch.testing.assert_close(soft.nll, text.nll)
    given = Projected(model.embedding.weight[tokens].detach().numpy())
    own = model(batch_of(model, Example("u", "pseudo_audio", given, [30, 31])))
    torch.testing.assert_close(own.nll, text.nll)


def test_no_prompt_scores_like_plain_text(model: SpeechLLM) -> None:
    ids = torch.tensor([[model.prompt.bos, 30, 31, model.prompt.eos]])
    plain = model.llm(input_ids=ids, labels=ids).loss * 3
    bare = model(batch_of(model, Example("u", "no_prompt", None, [30, 31])))
    torch.testing.assert_close(bare.nll, plain)


def test_the_batch_does_not_change_the_score(model: SpeechLLM) -> None:
    examples = [
        Example("a", "soft_prompt", Soft(3), [30, 31]),
        Example("b", "audio", FRAMES, [32]),
        Example("c", "no_prompt", None, [33, 34, 35, 36]),
        Example("d", "soft_prompt", Soft(3), [37, 38, 39]),
        Example("e", "noisy_text", [20, 21], [22]),
        Example("f", "pseudo_audio", Projected(VECTORS), [23, 24]),
        Example("g", "pseudo_audio", Projected(VECTORS[:0]), [25]),
        Example("h", "pseudo_audio", Projected(VECTORS[1:]), [26]),
    ]
    together = model(batch_of(model, *examples))
    alone = [model(batch_of(model, example)) for example in examples]
    torch.testing.assert_close(together.nll, sum(score.nll for score in alone))


@pytest.mark.parametrize("mlp", [False, True])
def test_gradients_reach_what_a_phase_trains(model: SpeechLLM, mlp: bool) -> None:
    model.replace_lora(LoraConfig(rank=2, alpha=4))
    tuning = method(length=3, mlp=mlp)
    tuning.add_scaffold(model)
    batch = batch_of(model, Example("u", "soft_prompt", Soft(3), [30, 31]))
    trained = []
    for phase in tuning.phases({"source": 1, "target": 1}):
        names = set_trainable(model, phase.trainable)
        model.zero_grad(set_to_none=True)
        model(batch).nll.backward()
        assert {n for n, p in model.named_parameters() if p.grad is not None} == set(names)
        trained.append(names)
    assert len(trained[0]) == (7 if mlp else 1)
    assert all(name.startswith("scaffold.soft_prompt.") for name in trained[0])
    assert trained[1] and all(".lora_" in name for name in trained[1])
    vectors = model.scaffold[SOFT_PROMPT].vectors
    set_trainable(model, ("scaffold.*",))
    model(batch).nll.backward()
    assert vectors.grad.abs().sum(1).gt(0).all()  # every one of the vectors learns


def test_vectors_learn_to_make_a_frozen_model_say_a_text(model: SpeechLLM) -> None:
    for name, parameter in model.llm.named_parameters():
        parameter.data *= 10 if "layernorm" not in name else 1  # a fresh LLM hardly listens
    model.scaffold[SOFT_PROMPT] = SoftPrompt(first_vectors("normal", 8, *parts(model)))
    batch = batch_of(model, Example("u", "soft_prompt", Soft(8), [30, 31, 32]))
    names = set_trainable(model, ("scaffold.*",))
    frozen = {n: p.clone() for n, p in model.named_parameters() if n not in names}
    optimizer = torch.optim.Adam(model.scaffold.parameters(), lr=0.3)
    losses = []
    for _ in range(100):
        score = model(batch)
        score.nll.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(score.nll))
    assert losses[-1] < 0.8 * losses[0]
    parameters = dict(model.named_parameters())
    assert all(torch.equal(parameters[name], tensor) for name, tensor in frozen.items())


def test_the_prompt_is_in_no_bundle(model: SpeechLLM, tmp_path: Path) -> None:
    speech = batch_of(model, Example("u", "audio", FRAMES, [30, 31]))
    set_trainable(model, ("projector.*", "scaffold.*"))
    save_bundle(tmp_path / "bundle", model)
    loaded = load_bundle(tmp_path / "bundle")
    assert len(loaded.scaffold) == 0
    assert not any("scaffold" in name for name, _ in loaded.named_parameters())
    assert b"soft_prompt" not in (tmp_path / "bundle" / TENSORS).read_bytes()
    torch.testing.assert_close(loaded(speech).nll, model(speech).nll)


def test_where_vectors_start(model: SpeechLLM) -> None:
    torch.manual_seed(1)
    table = model.embedding.weight.detach()
    normal = first_vectors("normal", 2000, *parts(model))
    assert float(normal.std()) == pytest.approx(float(table.std()), rel=0.05)
    assert torch.equal(first_vectors("bos", 4, *parts(model)), table[[model.prompt.bos] * 4])
    words = first_vectors("random_words", 30, *parts(model))
    ids = [(table == word).all(1).nonzero().item() for word in words]
    assert len(set(ids)) == 30 and not set(ids) & set(model.tokenizer.all_special_ids)
    assert len(first_vectors("random_words", 1000, *parts(model))) == 1000


def test_what_one_run_learnt_another_can_take(model: SpeechLLM, tmp_path: Path) -> None:
    path = tmp_path / "prompt" / TENSORS
    set_trainable(model, ("scaffold.*",))
    save_trained(path, model)
    learnt = model.scaffold[SOFT_PROMPT]().detach().clone()
    assert path.stat().st_size < 1000
    tuning = method(length=3, prompt_file=path)
    tuning.add_scaffold(model)
    assert torch.equal(model.scaffold[SOFT_PROMPT](), learnt)
    assert [phase.name for phase in tuning.phases({})] == ["tuning"]
    path.with_name(PHASE).write_text(json.dumps({SHA256: "of others"}))
    with pytest.raises(DataError, match="is not what was written"):
        tuning.add_scaffold(model)


def test_a_prompt_that_does_not_fit_is_refused(model: SpeechLLM, tmp_path: Path) -> None:
    path = tmp_path / "prompt.safetensors"
    save_file({"scaffold.soft_prompt.vectors": torch.zeros(5, 16)}, path)
    for values in ({"length": 3}, {"length": 5, "mlp": True}):
        with pytest.raises(ConfigError, match=r"\[5, 16\]") as caught:
            method(prompt_file=path, **values).add_scaffold(model)
        assert "length and mlp" in str(caught.value.remedy)
    with pytest.raises(ConfigError, match="there is no soft prompt"):
        method(prompt_file=tmp_path / "none").add_scaffold(model)


def test_the_mlp_has_three_linear_layers() -> None:
    prompt = SoftPrompt(torch.ones(2, 4), mlp=True)
    assert [type(layer) for layer in prompt.mlp] == [
        *(nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear)
    ]
    assert prompt().shape == (2, 4)
