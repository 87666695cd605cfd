from pathlib import Path

import pytest
import yaml

from speechllm.adapt.method import METHODS, load_method
from speechllm.config import as_of_today
from speechllm.errors import ConfigError
from speechllm.slot.mixture import resolve_shares
from tests.helpers.paths import ROOT

SIZES = {"source": 300, "target": 100}
EGS = ROOT / "egs"
CONFIGS = sorted([*EGS.glob("*/conf/**/adapt/*.yaml"), *EGS.glob("*/conf/**/methods/*.yaml")])


def method(tmp_path: Path, **values: object):
    path = tmp_path / "method.yaml"
    path.write_text(yaml.safe_dump({"train": {"steps": 1}, **values}))
    return load_method(path)


def shares(tmp_path: Path, **values: object) -> dict[tuple[str, str], float]:
    parts = method(tmp_path, **values).components(SIZES)
    filled = resolve_shares([part.share for part in parts])
    return {(p.view, p.domain): share for p, share in zip(parts, filled, strict=True)}


def test_audio_is_target_speech_alone(tmp_path: Path) -> None:
    assert shares(tmp_path, method="audio", fraction=0.2) == {("audio", "target"): 1.0}
    assert method(tmp_path, method="audio", fraction=0.2).components(SIZES)[0].fraction == 0.2


def test_text_only_has_an_empty_slot(tmp_path: Path) -> None:
    assert shares(tmp_path, method="text_only") == {("empty", "target"): 1.0}


def test_denoise_shares_the_rest_equally(tmp_path: Path) -> None:
    assert shares(tmp_path, method="denoise", tau=0.4) == pytest.approx(
        {
            ("noisy_text", "target"): 0.4,
            ("audio", "source"): 0.2,
            ("projected_text", "source"): 0.2,
            ("noisy_text", "source"): 0.2,
        }
    )


def test_denoise_without_tau_takes_natural_proportions(tmp_path: Path) -> None:
    assert shares(tmp_path, method="denoise")["noisy_text", "target"] == 0.25


def test_mixed_batching_is_the_published_split(tmp_path: Path) -> None:
    """tau .5: tau_a = p / 2, tau_t = (1 - p) / 2, the source half in equal thirds."""
    assert shares(tmp_path, method="mixed_batching", p=0.2) == pytest.approx(
        {
            ("audio", "target"): 0.1,
            ("noisy_text", "target"): 0.4,
            ("audio", "source"): 1 / 6,
            ("projected_text", "source"): 1 / 6,
            ("noisy_text", "source"): 1 / 6,
        }
    )


def test_mixed_batching_shows_each_target_utterance_through_one_view(tmp_path: Path) -> None:
    audio, text, *_ = method(tmp_path, method="mixed_batching", p=0.2).components(SIZES)
    assert (audio.fraction, audio.complement) == (0.2, False)
    assert (text.fraction, text.complement) == (0.2, True)


@pytest.mark.parametrize("name", ["audio", "mixed_batching", "adaptive", "curriculum"])
def test_a_warm_start_hears_the_part_that_the_method_hears(tmp_path: Path, name: str) -> None:
    """Seeds choose it; another one would hear another tenth besides."""
    warm = {"train": {"steps": 5}}
    path = tmp_path / "method.yaml"
    more = {"text_train": {"steps": 3}} if name == "curriculum" else {}
    values = {"method": name, "train": {"steps": 9, "seed": 42}, "warm_start": warm, **more}
    path.write_text(yaml.safe_dump(values))
    for seed in (42, 43):
        made = load_method(path, [f"train.seed={seed}"])
        assert made.train.seed == made.warm_start.train.seed == seed
    said = load_method(path, ["train.seed=43", "warm_start.train.seed=7"])
    assert said.warm_start.train.seed == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "denoize"}, "did you mean 'denoise'"),
        ({"method": "denoise", "taw": 0.5}, "unknown key 'taw', did you mean 'tau'"),
        ({"method": "denoise", "tau": 1.5}, "'tau'"),
        ({"method": "audio", "fraction": -0.1}, "'fraction'"),
        ({"method": "text_only", "train": {"steps": "many"}}, r"'train\.steps'"),
        ({"method": "text_only", "lora": {"rank": 0}}, r"'lora\.rank'"),
    ],
)
def test_wrong_settings_name_the_key(tmp_path: Path, values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        method(tmp_path, **values)


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_every_config_of_the_recipes_can_be_read(path: Path) -> None:
    assert load_method(path).method in METHODS


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_where_it_comes_from(name: str) -> None:
    import importlib

    module, cls = METHODS[name].split(":")
    assert getattr(importlib.import_module(module), cls).__doc__


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "/".join(path.parts[-4:]))
def test_every_config_of_the_recipes_is_valid(path: Path) -> None:
    assert load_method(path).phases(SIZES)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(EGS)))
def test_a_record_of_before_a_key_was_there_is_that_of_its_default(path: Path) -> None:
    """So that what an older version trained is not refused as made with other settings."""
    config = load_method(path)
    recorded = config.model_dump(mode="json")
    old = {key: value for key, value in recorded.items() if key not in ("kl", "renditions")}
    assert old != recorded and as_of_today(type(config), old) == recorded
