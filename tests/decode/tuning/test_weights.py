"""Weights from N-best lists of a dev set."""

import json
import logging
import re

import pytest

from speechllm.decode.config import DecodeConfig
from speechllm.decode.tuning.weights import Tuning, read_boost, read_tuning, save_tuning, tune
from speechllm.errors import ConfigError, DataError
from speechllm.task import load_task

ASR = load_task("asr")


def entry(text: str, llm: float, lm: float, prior: float = 0.0) -> dict:
    return {
        "text": text,
        "score": llm,
        "tokens": len(text.split()),
        "scores": {"llm": llm, "lm": lm, "prior": prior},
    }


LISTS = {
    "a": [entry("the cow sits", -3.0, -9.0), entry("the cow eats", -3.4, -7.0)],
    "b": [entry("green grass", -2.0, -5.0), entry("green glass", -2.2, -4.4)],
    "c": [entry("rain", -1.0, -1.0)],
}
REFERENCES = {"a": "the cow eats", "b": "green grass", "c": "rain"}


def config(**fusion: object) -> DecodeConfig:
    values = {"kind": "shallow", "lm": "x", "grid": [0.0, 0.1, 0.25, 0.4, 2.0], **fusion}
    return DecodeConfig(beam=4, fusion=values)


def test_the_weight_with_the_fewest_errors_is_chosen() -> None:
    """By hand: "eats" wins from a weight of 0.2 on, "glass" from 1/3 on; six words."""
    found = tune(LISTS, REFERENCES, config(), "x_dev", ASR)
    errors = {point["fusion.weight"]: point["error"] for point in found.grid}
    sixth = pytest.approx(100 / 6, abs=1e-3)
    assert errors == {0.0: sixth, 0.1: sixth, 0.25: 0.0, 0.4: sixth, 2.0: sixth}
    assert found.chosen == {"fusion.weight": 0.25} and found.error == 0.0
    assert found.error_without == sixth and found.error_oracle == 0.0


def test_of_equal_weights_the_smallest_is_chosen() -> None:
    found = tune(LISTS, REFERENCES, config(grid=[0.3, 0.22, 0.25]), "x_dev", ASR)
    assert found.chosen == {"fusion.weight": 0.22}


def test_the_length_penalty_of_the_search_holds_here_too() -> None:
    lists = {"a": [entry("a b c d", -3.0, 0.0), entry("a b", -2.5, 0.0)]}
    for penalty, best in ((0.0, 50.0), (1.0, 0.0)):
        plain = config(grid=[0.0]).model_copy(update={"length_penalty": penalty})
        found = tune(lists, {"a": "a b c d"}, plain, "x_dev", ASR)
        assert found.error == best


def test_a_grid_of_two_weights_and_one_that_is_given() -> None:
    lists = {"a": [entry("sits", -3.0, -6.0, -1.0), entry("eats", -3.3, -6.0, -9.0)]}
    two = config(kind="density_ratio", source_lm="y", grid=[0.0, 0.5], prior_grid=[0.0, 0.1])
    found = tune(lists, {"a": "eats"}, two, "x_dev", ASR)
    assert len(found.grid) == 4
    assert found.chosen == {"fusion.weight": 0.0, "fusion.prior_weight": 0.1}
    applied = found.apply(two)
    assert not applied.untuned and applied.fusion.prior_weight == 0.1
    given = config(kind="density_ratio", source_lm="y", weight=0.5, prior_grid=[0.0, 0.1])
    assert tune(lists, {"a": "eats"}, given, "x_dev", ASR).chosen == {"fusion.prior_weight": 0.1}


def test_the_end_of_a_grid_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tune(LISTS, REFERENCES, config(grid=[0.0, 0.25]), "x_dev", ASR)
    assert "fusion.weight: the best value, 0.25, is the end of its grid" in caplog.text


def test_a_dev_set_without_words_is_refused() -> None:
    with pytest.raises(DataError, match="x_dev has no words"):
        tune({"c": LISTS["c"]}, {"c": ""}, config(), "x_dev", ASR)


def orders(*places: str) -> str:
    entities = [{"type": "place", "filler": place} for place in places]
    return json.dumps({"scenario": "shop", "action": "order", "entities": entities})


def test_other_tasks_are_tuned_by_their_own_error() -> None:
    """By hand: 100 - F1 is (FP + FN) of (2 TP + FP + FN), so what it is a share of varies."""
    lists = {
        "a": [entry(orders("rome", "oslo"), -3.0, -20.0), entry(orders("rome"), -3.4, -4.0)],
        "b": [entry(orders(), -1.0, -1.0)],
    }
    references = {"a": orders("rome"), "b": orders("york")}
    found = tune(lists, references, config(grid=[0.0, 0.25]), "x_dev", load_task("slots"))
    assert [point["error"] for point in found.grid] == [50.0, pytest.approx(100 / 3, abs=1e-3)]
    assert found.figure == "slu_f1" and found.error == found.error_oracle == found.grid[1]["error"]
    with pytest.raises(DataError, match="x_dev has no answers"):
        tune({"b": lists["b"]}, {"b": orders()}, config(), "x_dev", load_task("slots"))


def test_a_tuning_is_kept(tmp_path) -> None:
    found: Tuning = tune(LISTS, REFERENCES, config(), "x_dev", ASR)
    assert read_tuning(tmp_path) is None
    save_tuning(found, tmp_path)
    assert read_tuning(tmp_path) == found


def test_what_an_older_version_tuned_is_tuned_anew(tmp_path) -> None:
    (tmp_path / "tuning.json").write_text('{"dev": "x_dev", "chosen": {}, "wer": 9.5}')
    assert read_tuning(tmp_path) is None and read_boost(tmp_path) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nbest": 5}, "nbest (5) is more than the beam (4) holds"),
        ({"rescore": {"kind": "lm", "lm": "x"}}, "set nbest to 2 or more"),
        ({"nbest": 2, "rescore": {"kind": "lm", "prompt": "x"}}, "give lm"),
        ({"fusion": {"kind": "shallow", "lm": "x", "source_lm": "y"}}, "source_lm"),
        ({"fusion": {"kind": "density_ratio", "lm": "x"}}, "needs a source_lm"),
        ({"fusion": {"kind": "shallow", "lm": "x", "prior_weight": 0.1}}, "has no prior"),
        ({"fusion": {"kind": "shalow", "lm": "x"}}, "fusion.kind"),
        ({"fusion": {"kind": "shallow", "lm": "x", "weight": -1}}, "fusion.weight"),
        ({"fusion": {"kind": "shallow", "lm": "x", "grid": []}}, "fusion.grid"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_key(values: dict, said: str) -> None:
    from speechllm.config import parse

    with pytest.raises(ConfigError, match=re.escape(said)):
        parse(DecodeConfig, values, "decode.yaml")
