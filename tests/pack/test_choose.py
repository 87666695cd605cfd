"""Which run stands for a domain. Only dev figures count."""

import json
from pathlib import Path

import pytest

from speechllm.errors import ConfigError
from speechllm.pack.choose import choose


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "exp/base"
    write(base / "run.json", {"kind": "base", "method": "base", "target": None})
    return base


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make_run(
    base: Path,
    name: str,
    target: str = "farm",
    dev: dict[str, float] | None = None,
    phases: tuple[str, ...] = ("",),
    hours: float = 0.0,
    seed: int = 42,
    parent: str | None = None,
) -> None:
    """A run whose dev signals at the kept step 20 are `dev`; at other steps all is better."""
    folder = base / name
    config = {"monitor": {"utterances": 64}, "train": {"seed": seed}}
    run = {"kind": "adapted", "method": name, "target": target, "kept_step": 20, "config": config}
    run |= {"audio_hours_target": hours, "phases": [{"name": phase} for phase in phases]}
    write(folder / "run.json", run)
    up = "../" * len(Path(name, "model").parts)
    write(folder / "model/model.json", {"parent": parent or f"{up}model"})
    lines = [{"step": step, "dev": {"target": {"wer": 0.0, "loss": 0.0}}} for step in (10, 30)]
    lines.append({"step": 20, "dev": {"source": {"wer": 0.0}, "target": dev or {}}})
    log = folder / phases[-1] / "train.jsonl"
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write(folder / "decode_beam/farm_test/score/wer.json", {"never": "read"})


def chosen(base: Path, *patterns: str) -> dict[str, str]:
    return {
        domain: str(choice.model.folder.relative_to(base))
        for domain, choice in choose(base, patterns).items()
    }


def test_the_lowest_wer_at_the_kept_step_wins(base: Path) -> None:
    make_run(base, "denoise_farm", dev={"wer": 30.0, "loss": 1.0})
    make_run(base, "text_only_farm", dev={"wer": 25.0, "loss": 2.0})
    make_run(base, "audio_music", "music")
    assert chosen(base) == {"farm": "text_only_farm", "music": "audio_music"}
    assert choose(base)["farm"].reason == "lowest wer on farm dev of 2 runs: 25"
    assert choose(base)["music"].reason == "the only one"


def test_the_loss_decides_where_one_run_has_no_wer(base: Path) -> None:
    make_run(base, "denoise_farm", dev={"wer": 30.0, "loss": 1.0})
    make_run(base, "text_only_farm", dev={"loss": 2.0})
    assert chosen(base) == {"farm": "denoise_farm"}


def test_of_equals_the_one_with_less_audio_is_taken(base: Path) -> None:
    make_run(base, "audio_farm", dev={"wer": 30.0}, hours=2.0)
    make_run(base, "denoise_farm", dev={"wer": 30.0})
    assert chosen(base) == {"farm": "denoise_farm"}


def test_a_run_of_two_phases_is_judged_by_its_last(base: Path) -> None:
    make_run(base, "soft_prompt_farm", dev={"wer": 10.0}, phases=("prompt", "tuning"))
    make_run(base, "denoise_farm", dev={"wer": 30.0})
    assert chosen(base) == {"farm": "soft_prompt_farm"}


def test_patterns_narrow_the_choice_and_reach_into_grids(base: Path) -> None:
    make_run(base, "denoise_farm", dev={"wer": 30.0})
    make_run(base, "audio_farm", dev={"wer": 20.0})
    make_run(base, "audio_music", "music")
    make_run(base, "grid/audio_s42_music", "music")
    assert chosen(base, "denoise_*") == {"farm": "denoise_farm"}
    assert chosen(base, "denoise_*", "audio_music") == {
        "farm": "denoise_farm",
        "music": "audio_music",
    }
    assert chosen(base, "grid/*_s42_*") == {"music": "grid/audio_s42_music"}
    assert "grid/audio_s42_music" not in chosen(base).values()


def test_the_cells_of_a_comparison_must_be_named(base: Path) -> None:
    make_run(base, "grid/audio_s42_music", "music")
    with pytest.raises(ConfigError, match="--models 'grid/audio_s42_music'"):
        choose(base)


def test_a_pattern_that_matches_nothing_names_the_nearest_run(base: Path) -> None:
    make_run(base, "denoise_farm")
    with pytest.raises(ConfigError, match=r"matches 'denois_farm', did you mean 'denoise_farm'"):
        choose(base, ["denois_farm"])
    with pytest.raises(ConfigError, match="no finished run"):
        choose(base, ["../*"])


def test_without_dev_speech_the_user_must_choose(base: Path) -> None:
    make_run(base, "denoise_farm", dev={"wer": 30.0, "loss": 1.0})
    make_run(base, "text_only_farm")
    with pytest.raises(ConfigError, match=r"farm dev speech: text_only_farm\n  -> .*--models"):
        choose(base)


def test_runs_watched_on_different_utterances_are_said_to_be_so(base: Path) -> None:
    make_run(base, "denoise_farm", dev={"wer": 30.0})
    make_run(base, "other_farm", dev={"wer": 20.0}, seed=43)
    choice = choose(base)["farm"]
    assert choice.model.folder.name == "other_farm"
    assert choice.reason.endswith("20, though not all were watched on the same utterances")


def test_a_run_of_another_base_is_refused(base: Path) -> None:
    make_run(base, "denoise_farm", parent="../../../other/model")
    with pytest.raises(ConfigError, match="was not adapted from"):
        choose(base)


@pytest.mark.parametrize("target", ["base", "../etc", ".x", "a b"])
def test_a_target_that_cannot_be_a_domain_is_refused(base: Path, target: str) -> None:
    make_run(base, "denoise_x", target)
    with pytest.raises(ConfigError, match="cannot be packed as the domain"):
        choose(base)


def test_a_run_that_gained_nothing_is_said_to_be_so(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_run(base, "denoise_farm")
    make_run(base, "denoise_music", "music")
    run = json.loads((base / "denoise_farm/run.json").read_text())
    write(base / "denoise_farm/run.json", {**run, "kept_step": 0})
    choose(base)
    assert "farm: its run kept the base's weights" in caplog.text and "music" not in caplog.text


def test_a_base_alone_has_nothing_to_choose(base: Path) -> None:
    assert choose(base) == {}
