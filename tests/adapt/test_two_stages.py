from pathlib import Path

import pytest

from speechllm.adapt.two_stages import log_only
from speechllm.config import MonitorConfig, StopAction
from speechllm.errors import ConfigError
from tests.adapt.test_methods import SIZES, method, shares

TEXT_FIRST = ["curriculum", "pre_finetune"]


def test_curriculum_is_text_then_a_share_of_speech(tmp_path: Path) -> None:
    text, speech = method(tmp_path, method="curriculum", p=0.2).phases(SIZES)
    assert [(c.view, c.domain, c.share, c.fraction) for c in text.components] == [
        ("clean_text", "target", 1.0, 1.0)
    ]
    assert [(c.view, c.domain, c.share, c.fraction) for c in speech.components] == [
        ("audio", "target", 1.0, 0.2)
    ]
    assert (text.name, speech.name) == ("text", "speech")
    assert text.trainable == speech.trainable == ("llm.*.lora_*",)


def test_pre_finetuning_is_text_then_source_speech(tmp_path: Path) -> None:
    text, speech = method(tmp_path, method="pre_finetune").phases(SIZES)
    assert [(c.view, c.domain) for c in text.components] == [("no_prompt", "target")]
    assert [(c.view, c.domain) for c in speech.components] == [("audio", "source")]


def test_direct_mixing_has_natural_proportions(tmp_path: Path) -> None:
    """100 items of text and 25 of speech in one pool: 0.8 and 0.2."""
    assert shares(tmp_path, method="direct_mixing", p=0.25) == pytest.approx(
        {("clean_text", "target"): 0.8, ("audio", "target"): 0.2}
    )
    parts = method(tmp_path, method="direct_mixing", p=0.25).components(SIZES)
    assert [part.fraction for part in parts] == [1.0, 0.25]
    only_text = shares(tmp_path, method="direct_mixing", p=0.0)
    assert only_text == {("clean_text", "target"): 1.0, ("audio", "target"): 0.0}


def test_source_speech_may_stand_beside_both(tmp_path: Path) -> None:
    """Half of all items; the other half keeps its proportions."""
    assert shares(tmp_path, method="direct_mixing", p=0.25, source_audio=0.5) == pytest.approx(
        {("clean_text", "target"): 0.4, ("audio", "target"): 0.1, ("audio", "source"): 0.5}
    )
    text, speech = method(tmp_path, method="curriculum", source_audio=0.75).phases(SIZES)
    assert [(c.view, c.domain) for c in text.components] == [("clean_text", "target")]
    assert [(c.domain, c.share) for c in speech.components] == [("target", 0.25), ("source", 0.75)]


def test_a_curriculum_without_speech_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'p'"):
        method(tmp_path, method="curriculum", p=0)


@pytest.mark.parametrize("name", TEXT_FIRST)
def test_the_first_stage_takes_what_it_does_not_say_from_train(tmp_path: Path, name: str) -> None:
    train = {"steps": 8, "seed": 3, "lr": 0.5}
    given = method(tmp_path, method=name, train=train, text_train={"lr": 0.1})
    assert (given.text_train.steps, given.text_train.seed, given.text_train.lr) == (8, 3, 0.1)
    epochs = method(tmp_path, method=name, train=train, text_train={"epochs": 2})
    assert (epochs.text_train.steps, epochs.text_train.epochs) == (None, 2)
    again = method(tmp_path, **given.model_dump(mode="json"))
    assert again == given


def test_a_wrong_key_of_the_first_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"text_train\.stepps.*did you mean 'steps'"):
        method(tmp_path, method="curriculum", text_train={"stepps": 1})
    with pytest.raises(ConfigError, match="text_train"):
        method(tmp_path, method="curriculum", text_train="long")


def test_the_first_stage_is_watched_without_action() -> None:
    watched = log_only(MonitorConfig(every=7, stop=StopAction()))
    assert (watched.every, watched.keep_best, watched.stop) == (7, False, None)


def test_soft_prompt_learns_vectors_then_lora(tmp_path: Path) -> None:
    knobs = {"train": {"steps": 8, "seed": 3}, "prompt_train": {"lr": 0.1, "steps": 5}}
    prompt, tuning = method(tmp_path, method="soft_prompt", **knobs).phases(SIZES)
    assert (prompt.name, prompt.trainable) == ("prompt", ("scaffold.soft_prompt.*",))
    assert (prompt.train.steps, prompt.train.seed, prompt.monitor) == (5, 3, None)
    assert (tuning.name, tuning.train.steps) == ("tuning", 8)
    for phase in (prompt, tuning):
        assert [(c.view, c.domain) for c in phase.components] == [("soft_prompt", "target")]


def test_a_given_prompt_is_not_learnt_again(tmp_path: Path) -> None:
    given = method(tmp_path, method="soft_prompt", prompt_file="p.safetensors")
    assert given.prompt_train is None and len(given.phases(SIZES)) == 1
    assert method(tmp_path, **given.model_dump(mode="json")) == given
    with pytest.raises(ConfigError, match="leave out prompt_train"):
        method(tmp_path, method="soft_prompt", prompt_file="p", prompt_train={"lr": 0.1})


def test_text_only_knows_the_baselines_of_soft_prompts(tmp_path: Path) -> None:
    for slot in ("no_prompt", "upsample_mask"):
        assert shares(tmp_path, method="text_only", slot=slot) == {(slot, "target"): 1.0}
    with pytest.raises(ConfigError, match="'slot'"):
        method(tmp_path, method="text_only", slot="audio")
