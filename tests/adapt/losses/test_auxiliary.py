"""Auxiliary losses on a tiny model: what is compared, and whom the gradient reaches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.adapt.losses.auxiliary import WithAuxiliaries, contrast, distance
from speechllm.adapt.losses.losses import Temperature, coral, info_nce
from speechllm.adapt.losses.slot_states import layer_number, slot_states
from speechllm.config import LoraConfig
from speechllm.errors import ConfigError
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.slot.collate import Example, collate
from tests.helpers.tiny import make_speech_llm

RNG = np.random.default_rng(0)
PAIRS = [
    Example(
        *(f"s{n}", "audio", RNG.normal(size=(n, 16)).astype(np.float16)),
        target=[20 + n, 21, 22],
        transcript=[40 + n, 41],  # another task than recognition: speech and text are compared
    )
    for n in (9, 14, 6)
]
TEXT = [
    Example("t0", "empty", [], [30, 31], [60, 61]),
    Example("t1", "empty", [], [32, 33, 34, 35], [62, 63, 64]),
]


@pytest.fixture
def model(tmp_path: Path) -> SpeechLLM:
    model = make_speech_llm(tmp_path)
    model.replace_lora(LoraConfig(rank=2))
    model.scaffold["temperature"] = Temperature(0.5)
    set_trainable(model, ("llm.*.lora_*", "scaffold.*"))
    return model.eval()


def batch_of(model: SpeechLLM, *examples: Example):
    return collate(examples, model.prompt, model.projector.output_length)


def objective(model: SpeechLLM, **options: bool) -> WithAuxiliaries:
    losses = {
        "contrastive": contrast(0.1, 1, model.scaffold["temperature"]),
        "alignment": distance(10.0, 2, "coral"),
    }
    return WithAuxiliaries(model, losses, **options)


def in_slot(examples: list[Example]) -> list[Example]:
    return [Example(e.utt_id, "clean_text", e.transcript) for e in examples]


def test_the_slot_is_cut_out_of_its_surroundings(model: SpeechLLM) -> None:
    """The LLM's input at the slot is projected speech or embedded text, and nothing else."""
    states = slot_states(model, [PAIRS[0], *in_slot(TEXT)], [0])[0]
    frames = torch.tensor(PAIRS[0].slot)[None].float()
    torch.testing.assert_close(states[0], model.projector(frames, torch.tensor([9])))
    for state, example in zip(states[1:], TEXT, strict=True):
        torch.testing.assert_close(state, model.embedding(torch.tensor(example.transcript)))


def test_states_do_not_depend_on_the_batch_or_on_what_follows(model: SpeechLLM) -> None:
    together = slot_states(model, PAIRS, [1, 2])
    batch = batch_of(model, PAIRS[2])  # with its transcript
    full = model.llm(
        inputs_embeds=model.fill(batch).embeddings,
        attention_mask=batch.attention_mask,
        output_hidden_states=True,
    ).hidden_states
    for layer in (1, 2):
        torch.testing.assert_close(together[layer][2], full[layer][batch.speech_mask])


def test_the_lm_loss_is_on_target_text_alone(model: SpeechLLM) -> None:
    score = objective(model)(batch_of(model, PAIRS[0], TEXT[0], PAIRS[1], TEXT[1]))
    alone = model(batch_of(model, *TEXT))
    torch.testing.assert_close(score.parts["lm"], alone.nll)
    assert (score.tokens, score.correct) == (alone.tokens, alone.correct)


def test_a_knob_lets_it_learn_from_pairs_too(model: SpeechLLM) -> None:
    batch = batch_of(model, *PAIRS, *TEXT)
    score = objective(model, lm_on_pairs=True)(batch)
    torch.testing.assert_close(score.parts["lm"], model(batch).nll)


def test_an_auxiliary_loss_counts_once_for_each_label_token(model: SpeechLLM) -> None:
    score = objective(model)(batch_of(model, *PAIRS, *TEXT))
    heard, read = slot_states(model, PAIRS, [1, 2]), slot_states(model, in_slot(PAIRS), [1])
    text = slot_states(model, in_slot(TEXT), [2])
    contrastive = info_nce(
        torch.stack([s.mean(0) for s in heard[1]]), torch.stack([s.mean(0) for s in read[1]]), 0.5
    )
    alignment = coral(torch.cat(heard[2]), torch.cat(text[2]))
    assert score.tokens == 3 + 5
    torch.testing.assert_close(score.parts["contrastive"], 8 * contrastive)
    torch.testing.assert_close(score.parts["alignment"], 8 * alignment)
    torch.testing.assert_close(
        score.nll, score.parts["lm"] + 8 * (0.1 * contrastive + 10 * alignment)
    )


def test_pairs_of_one_transcript_are_no_wrong_answers_of_each_other(model: SpeechLLM) -> None:
    double = Example("s1b", "audio", PAIRS[1].slot[:8], [5, 6], PAIRS[1].transcript)
    once = objective(model)(batch_of(model, PAIRS[0], double, *TEXT))
    twice = objective(model)(batch_of(model, PAIRS[0], PAIRS[1], double, *TEXT))
    torch.testing.assert_close(once.parts["contrastive"], twice.parts["contrastive"])


@pytest.mark.parametrize("examples", [TEXT, [PAIRS[0], *TEXT], [PAIRS[0]], PAIRS])
def test_a_batch_that_lacks_a_side_adds_nothing(model: SpeechLLM, examples: list[Example]) -> None:
    score = objective(model)(batch_of(model, *examples))
    assert score.parts["contrastive"] == score.parts["alignment"] == 0
    assert (score.tokens == 0) == all(e.has_speech for e in examples)


@pytest.mark.parametrize("name", ["contrastive", "alignment"])
def test_the_gradient_reaches_lora_below_the_layer_and_no_more(model: SpeechLLM, name: str) -> None:
    for parameter in model.parameters():  # B is zero at first: A would get no gradient
        if parameter.requires_grad and parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.1)
    objective(model)(batch_of(model, *PAIRS, *TEXT)).parts[name].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    layers = (0,) if name == "contrastive" else (0, 1)
    expected = {n for n, _ in model.named_parameters() if ".lora_" in n}
    expected = {n for n in expected if any(f".layers.{layer}." in n for layer in layers)}
    if name == "contrastive":
        expected.add("scaffold.temperature.theta")
    assert reached == expected


def test_layers_are_counted_from_both_ends(model: SpeechLLM) -> None:
    assert [layer_number(model, n, "k") for n in (-1, -3, 0, 2)] == [2, 0, 0, 2]
    for layer in (3, -4):
        with pytest.raises(ConfigError, match=r"alignment\.layer: there is no layer"):
            layer_number(model, layer, "alignment.layer")
