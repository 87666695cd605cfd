import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from speechllm.config import LoraConfig
from speechllm.errors import ConfigError, DataError, SpeechLLMError
from speechllm.files.layout import TENSORS
from speechllm.model.bundle import load_bundle, read_bundle, save_bundle
from speechllm.model.fill_slot import fill_slot
from speechllm.model.speech_llm import SpeechLLM, parameter_table, set_trainable
from speechllm.slot.collate import IGNORED, Example, collate
from tests.helpers.tiny import make_speech_llm


@pytest.fixture
def model(tmp_path: Path) -> SpeechLLM:
    return make_speech_llm(tmp_path)


def batch_of(model: SpeechLLM, *frames: int):
    rng = np.random.default_rng(0)
    examples = [
        Example(f"u{n}", "audio", rng.normal(size=(n, 16)).astype(np.float16), [20 + n, 21, 22])
        for n in frames
    ]
    return collate(examples, model.prompt, model.projector.output_length)


def test_fill_slot_by_hand() -> None:
    embeddings = torch.zeros(2, 4, 3)
    slot = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    speech = torch.arange(1.0, 10.0).view(3, 3)
    filled = fill_slot(embeddings, slot, speech)
    assert torch.equal(filled[0, 1:3], speech[:2]) and torch.equal(filled[1, 3], speech[2])
    assert filled[0, 0].sum() == filled[1, :3].sum() == 0 and embeddings.sum() == 0
    with pytest.raises(ValueError, match="2 speech embeddings for 3 positions"):
        fill_slot(embeddings, slot, speech[:2])


def test_loss_equals_the_loss_over_all_logits(model: SpeechLLM) -> None:
    batch = batch_of(model, 9, 14)
    score = model(batch)
    logits = model.llm(
        inputs_embeds=model.fill(batch).embeddings, attention_mask=batch.attention_mask
    ).logits
    expected = functional.cross_entropy(
        logits[:, :-1].flatten(0, 1),
        batch.labels[:, 1:].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )
    torch.testing.assert_close(score.nll, expected)
    assert score.tokens == 8


def test_the_head_sees_label_positions_only(model: SpeechLLM) -> None:
    seen = []
    head = model.llm.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, args, output: seen.append(output.shape[:-1]))
    model(batch_of(model, 9, 14))
    hook.remove()
    assert seen == [(8,)]


def test_padding_does_not_change_the_loss(model: SpeechLLM) -> None:
    together = model(batch_of(model, 9, 40)).nll
    rng = np.random.default_rng(0)
    alone = sum(
        model(
            collate(
                [
                    Example(
                        "u", "audio", rng.normal(size=(n, 16)).astype(np.float16), [20 + n, 21, 22]
                    )
                ],
                model.prompt,
                model.projector.output_length,
            )
        ).nll
        for n in (9, 40)
    )
    torch.testing.assert_close(together, alone)


def test_gradients_reach_what_is_trained(model: SpeechLLM) -> None:
    names = set_trainable(model, ("projector.*",))
    model(batch_of(model, 9)).nll.backward()
    touched = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched == set(names) == {n for n, _ in model.named_parameters() if "projector" in n}


def test_a_pattern_that_matches_nothing_is_an_error(model: SpeechLLM) -> None:
    with pytest.raises(ConfigError, match="proyector"):
        set_trainable(model, ("projector.*", "proyector.*"))


def test_parameter_table_counts(model: SpeechLLM) -> None:
    set_trainable(model, ("projector.*",))
    trained = sum(p.numel() for p in model.projector.parameters())
    total = sum(p.numel() for p in model.parameters())
    lines = parameter_table(model).splitlines()
    assert lines[-1].split()[:3] == ["all", f"{trained:,}", f"{total:,}"]


def test_a_lora_target_that_does_not_exist_names_the_key(model: SpeechLLM) -> None:
    with pytest.raises(ConfigError, match=r"lora\.targets"):
        model.replace_lora(LoraConfig(targets=("no_proj",)))


def test_bundles_stack_and_give_the_same_output(model: SpeechLLM, tmp_path: Path) -> None:
    """base with LoRA -> child with another LoRA: loss before saving = loss after loading."""
    batch = batch_of(model, 9, 14)
    model.replace_lora(LoraConfig(rank=2, alpha=4))
    set_trainable(model, ("projector.*", "llm.*.lora_*"))
    _shake(model)
    save_bundle(tmp_path / "base", model)
    torch.testing.assert_close(load_bundle(tmp_path / "base")(batch).nll, model(batch).nll)
    model.replace_lora(LoraConfig(rank=4, alpha=8, targets=("k_proj",)))
    set_trainable(model, ("llm.*.lora_*",))
    _shake(model)
    save_bundle(tmp_path / "child", model, parent=tmp_path / "base")
    loaded = load_bundle(tmp_path / "child")
    torch.testing.assert_close(loaded(batch).nll, model(batch).nll)
    assert (tmp_path / "child" / TENSORS).stat().st_size < 20_000


def test_a_changed_parent_is_refused(model: SpeechLLM, tmp_path: Path) -> None:
    set_trainable(model, ("projector.*",))
    save_bundle(tmp_path / "base", model)
    save_bundle(tmp_path / "child", model, parent=tmp_path / "base")
    _shake(model)
    save_bundle(tmp_path / "base", model)
    with pytest.raises(SpeechLLMError, match="changed since"):
        load_bundle(tmp_path / "child")


@pytest.mark.parametrize(
    ("part", "key", "claim"),
    [
        ("projector", "hidden", 10**9),
        ("projector", "downsampling", 10**9),
        ("lora", "rank", 10**9),
    ],
)
def test_claims_beyond_what_was_trained_are_refused_before_they_are_built(
    model: SpeechLLM, tmp_path: Path, part: str, key: str, claim: int
) -> None:
    model.replace_lora(LoraConfig(rank=2, alpha=4))
    set_trainable(model, ("projector.*", "llm.*.lora_*"))
    save_bundle(tmp_path, model)
    described = json.loads((tmp_path / "model.json").read_text())
    described["model"][part][key] = claim
    (tmp_path / "model.json").write_text(json.dumps(described))
    with pytest.raises(DataError, match=rf"(?i)trained {part} .* that model\.json claims"):
        read_bundle(tmp_path)


def test_a_folder_without_model_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(SpeechLLMError, match="stage 4"):
        load_bundle(tmp_path)


def test_snap_returns_the_nearest_vocabulary_entry(model: SpeechLLM) -> None:
    """A projector that gives the embeddings of known tokens must be read back as these."""
    ids = model.tokenizer("the old cow", add_special_tokens=False).input_ids
    wanted = model.embedding.weight[ids].detach() * 7  # nearest by angle, not by size
    model.projector.forward = lambda frames, lengths: wanted  # type: ignore[method-assign]
    batch = batch_of(model, 2 * len(ids))
    assert model.snap(batch) == ["the old cow"]


def _shake(model: SpeechLLM) -> None:
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data + 0.1 * torch.randn_like(parameter)
