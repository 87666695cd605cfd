"""KL to the base, on a tiny model: what it is of, whom it holds back, and where."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from speechllm.adapt.losses.auxiliary import WithAuxiliaries, contrast
from speechllm.adapt.losses.kl import WithKl, check_kl, with_kl
from speechllm.adapt.losses.losses import Temperature
from speechllm.adapt.method import Kl, Phase
from speechllm.config import LoraConfig, TrainConfig, parse
from speechllm.errors import ConfigError
from speechllm.model.llm import without_lora
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.slot.collate import Batch, Example, collate
from speechllm.slot.mixture import Component
from speechllm.slot.pseudo_audio.contents import Projected
from tests.helpers.tiny import make_speech_llm

RNG = np.random.default_rng(0)
LORA = ("llm.*.lora_*",)


def speech(name: str, frames: int, target: list[int], view: str = "audio") -> Example:
    return Example(name, view, RNG.normal(size=(frames, 16)).astype(np.float16), target, target)


SPEECH = [speech("s0", 9, [20, 21, 22]), speech("s1", 14, [23]), speech("s2", 6, [24, 25])]
TEXT = [
    Example("t0", "empty", [], [30, 31], [30, 31]),
    Example("t1", "noisy_text", [32, 33], [34, 35, 36], [34, 35, 36]),
    speech("t2", 8, [37, 38], "pseudo_audio"),
    Example("t3", "pseudo_audio", Projected(RNG.normal(size=(3, 16)).astype(np.float32)), [39]),
]


@pytest.fixture
def model(tmp_path: Path) -> SpeechLLM:
    """A base with LoRA of its own, about to be adapted."""
    model = make_speech_llm(tmp_path, lora=LoraConfig(rank=2))
    shake(model)
    model.replace_lora(LoraConfig(rank=2, dropout=0.5))
    set_trainable(model, LORA)
    return model.eval()


def shake(model: SpeechLLM) -> None:
    """What training does to LoRA."""
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.5)


def batch_of(model: SpeechLLM, *examples: Example) -> Batch:
    return collate(examples, model.prompt, model.projector.output_length)


def kl_of(model: SpeechLLM, *examples: Example, rows: str = "all") -> torch.Tensor:
    return WithKl(model, model, Kl(weight=0.3, rows=rows))(batch_of(model, *examples)).parts["kl"]


def by_hand(model: SpeechLLM, *examples: Example) -> torch.Tensor:
    """The definition of KL(base || adapted), position by position."""
    adapted = model.label_logits(batch_of(model, *examples))[0].softmax(-1)
    with without_lora(model.llm):
        base = model.label_logits(batch_of(model, *examples))[0].softmax(-1)
    return (base * (base / adapted).log()).sum()


def test_a_fresh_adaptation_is_the_base(model: SpeechLLM) -> None:
    batch = batch_of(model, *SPEECH, *TEXT)
    score, own = WithKl(model, model, Kl(weight=5.0))(batch), model(batch)
    assert score.parts["kl"] == 0 and score.nll == own.nll
    assert (score.tokens, score.correct) == (own.tokens, own.correct)


def test_it_is_added_with_its_weight(model: SpeechLLM) -> None:
    shake(model)
    batch = batch_of(model, *SPEECH, *TEXT)
    own, kl = model(batch).nll, by_hand(model, *SPEECH, *TEXT)
    assert kl > 0.01
    for weight in (1e-12, 0.3, 2.0):
        score = WithKl(model, model, Kl(weight=weight))(batch)
        torch.testing.assert_close(score.parts["kl"], kl)
        torch.testing.assert_close(score.parts["lm"], own)
        torch.testing.assert_close(score.nll, own + weight * kl)


def test_rows_are_chosen_by_what_is_in_their_slot(model: SpeechLLM) -> None:
    shake(model)
    mixed = [SPEECH[0], TEXT[2], SPEECH[1], TEXT[0], TEXT[1], SPEECH[2], TEXT[3]]
    torch.testing.assert_close(kl_of(model, *mixed, rows="speech"), by_hand(model, *SPEECH))
    torch.testing.assert_close(kl_of(model, *mixed, rows="text"), by_hand(model, *TEXT))
    assert kl_of(model, *TEXT, rows="speech") == 0
    source = [replace(example, domain="source") for example in mixed[2:5]]
    shown = [*mixed[:2], *source, *mixed[5:]]
    torch.testing.assert_close(kl_of(model, *shown, rows="source"), by_hand(model, *mixed[2:5]))


def test_who_shares_a_batch_does_not_change_the_sum(model: SpeechLLM) -> None:
    shake(model)
    examples = [*SPEECH, *TEXT]
    alone = sum(kl_of(model, example) for example in examples)
    torch.testing.assert_close(kl_of(model, *examples), alone, rtol=1e-4, atol=1e-5)


def test_its_gradient_pulls_back_to_the_base(model: SpeechLLM) -> None:
    shake(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.02)
    seen = []
    for _ in range(15):
        kl = kl_of(model, *SPEECH, *TEXT)
        seen.append(float(kl.detach()))
        optimizer.zero_grad()
        kl.backward()
        optimizer.step()
    assert seen[-1] < 0.2 * seen[0]


@pytest.mark.parametrize("on", ["all", "speech"])
def test_the_base_has_no_dropout_and_leaves_the_model_as_it_was(model: SpeechLLM, on: str) -> None:
    shake(model)
    batch = batch_of(model, *SPEECH, *TEXT)
    set_trainable(model, ("llm.*.lora_B.*", "projector.*"))
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    with without_lora(model.llm):
        base = model.label_logits(batch)[0].log_softmax(-1)
    model.train()
    torch.manual_seed(1)
    score = WithKl(model, model, Kl(weight=1.0, rows=on))(batch)
    torch.manual_seed(1)
    adapted = model.label_logits(batch)[0].log_softmax(-1)  # the same masks of LoRA's dropout
    rows = slice(sum(len(e.target) + 1 for e in SPEECH)) if on == "speech" else slice(None)
    expected = functional.kl_div(adapted[rows], base[rows], reduction="sum", log_target=True)
    torch.testing.assert_close(score.parts["kl"], expected)
    assert all(module.training for module in model.modules())
    assert {name: p.requires_grad for name, p in model.named_parameters()} == before


def test_the_gradient_reaches_what_is_trained_in_bfloat16_too(model: SpeechLLM) -> None:
    shake(model)
    set_trainable(model, (*LORA, "projector.*"))
    batch = batch_of(model, *SPEECH)
    with torch.autocast("cpu", torch.bfloat16):
        WithKl(model, model, Kl(weight=1.0))(batch).parts["kl"].backward()
    lacking = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not lacking


def with_auxiliary(model: SpeechLLM, weight: float) -> Callable[[Batch], object]:
    model.scaffold["temperature"] = Temperature(0.5)
    losses = {"contrastive": contrast(0.1, 1, model.scaffold["temperature"])}
    return WithKl(model, WithAuxiliaries(model, losses), Kl(weight=weight, rows="speech"))


def test_it_stands_beside_auxiliary_losses(model: SpeechLLM) -> None:
    shake(model)
    batch = batch_of(model, *SPEECH, *TEXT[:2])
    objective = with_auxiliary(model, 0.5)
    score, without = objective(batch), objective.objective(batch)
    assert list(score.parts) == ["lm", "contrastive", "kl"]
    torch.testing.assert_close(score.parts["kl"], by_hand(model, *SPEECH))
    torch.testing.assert_close(score.nll, without.nll + 0.5 * score.parts["kl"])
    assert score.tokens == without.tokens == 3 + 4
    alone = objective(batch_of(model, *SPEECH))  # no label token: nothing would divide the sum
    assert alone.tokens == 0 and alone.nll == 0 and list(alone.parts) == list(score.parts)


def test_what_cannot_be_is_refused(model: SpeechLLM) -> None:
    with pytest.raises(ConfigError, match=r"kl\.rows: text_only has no rows with speech"):
        check_kl(Kl(rows="speech"), "text_only", [Component("empty", "target")])
    with pytest.raises(ConfigError, match=r"kl\.rows: audio has no rows of the source"):
        check_kl(Kl(rows="source"), "audio", [Component("audio", "target")])
    shown = [Component("audio", "source"), Component("pseudo_audio", "simulated")]
    for rows in ("all", "speech", "text", "source"):
        check_kl(Kl(rows=rows), "posterior", shown)
    train = TrainConfig(steps=1)
    whole = [Phase("", [], (*LORA, "llm.*norm*"), train, None)]
    with pytest.raises(ConfigError, match=r"'llm\.\*norm\*' trains weights of the LLM") as error:
        with_kl(Kl(), model, model, whole)
    assert "leave kl out" in str(error.value)
    own = [Phase("", [], (*LORA, "projector.*"), train, None)]
    assert isinstance(with_kl(Kl(), model, model, own), WithKl)
    assert with_kl(None, model, model, whole) is model


def test_it_needs_lora() -> None:
    from speechllm.adapt.methods.audio import FullAudio

    values = {"method": "audio", "train": {"steps": 1}, "kl": {"weight": 0.1}, "lora": None}
    with pytest.raises(ConfigError, match="lora is null"):
        parse(FullAudio, values, "test")
    with pytest.raises(ConfigError, match=r"'kl\.wait', did you mean 'weight'"):
        parse(FullAudio, {**values, "lora": {}, "kl": {"wait": 1}}, "test")
