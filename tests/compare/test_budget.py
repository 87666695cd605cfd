"""Equal budgets: steps, passes, items of the target, seconds; over all of a method's phases."""

from pathlib import Path

import pytest
import yaml

from speechllm.adapt import method as register
from speechllm.adapt.method import Method, Phase, load_method
from speechllm.compare.budget import budget_words
from speechllm.config import PositiveInt, TrainConfig
from speechllm.errors import ConfigError
from speechllm.slot.mixture import Component


class TwoPhases(Method):
    """Text alone for some steps, then a tenth of the audio, and text made into speech."""

    first: PositiveInt | None = 20

    def phases(self, sizes):
        first = TrainConfig(steps=self.first) if self.first else self.train
        text = [Component("empty", "target", 1.0)]
        speech = [
            Component("audio", "target", 0.2, fraction=0.1),
            Component("audio", "spoken", 0.6),
            Component("audio", "source", 0.2),
        ]
        return [
            Phase("text", text, self.trainable, first, self.monitor),
            Phase("speech", speech, self.trainable, self.train, self.monitor),
        ]


@pytest.fixture
def train_of(tmp_path: Path, monkeypatch):
    """The `train` of a method that is given a budget."""
    monkeypatch.setitem(register.METHODS, "two_phases", f"{__name__}:TwoPhases")

    def train_of(match: str, budget: float, **values: object) -> TrainConfig:
        path = tmp_path / "method.yaml"
        path.write_text(yaml.safe_dump({"train": {"steps": 100}, **values}))
        return load_method(path, budget_words(path, [], match, budget)).train

    return train_of


def lengths(train: TrainConfig) -> tuple:
    return train.steps, train.epochs, train.seconds


def test_steps_epochs_and_seconds_are_what_they_say(train_of) -> None:
    assert lengths(train_of("steps", 30, method="audio", fraction=0.1)) == (30, None, None)
    assert lengths(train_of("epochs", 2.5, method="audio", fraction=0.1)) == (None, 2.5, None)
    assert lengths(train_of("time", 60, method="audio", fraction=0.1)) == (None, None, 60)


def test_a_part_of_the_target_is_passed_more_often(train_of) -> None:
    """An epoch of a tenth of the target shows a tenth of its items."""
    assert train_of("text", 2, method="audio", fraction=0.1).epochs == pytest.approx(20)
    assert train_of("text", 2, method="mixed_batching", p=0.1).epochs == pytest.approx(2)
    assert train_of("text", 2, method="denoise").epochs == pytest.approx(2)


def test_phases_share_the_budget(train_of) -> None:
    assert train_of("steps", 50, method="two_phases").steps == 30
    assert train_of("steps", 50, method="two_phases", first=None).steps == 25


def test_prepared_data_counts_as_the_text_that_it_is_made_of(train_of) -> None:
    """An epoch: 1 of text; then 0.1 of audio, and of synthetic speech thrice as much."""
    train = train_of("text", 2.8, method="two_phases", first=None)
    assert train.epochs == pytest.approx(2.8 / (1 + 0.1 + 0.3))


def test_phases_that_cannot_be_matched_are_refused(train_of) -> None:
    with pytest.raises(ConfigError, match="phase 'text' is not given in epochs"):
        train_of("text", 2, method="two_phases")
    with pytest.raises(ConfigError, match="cannot be made to take 15"):
        train_of("steps", 15, method="two_phases")
    with pytest.raises(ConfigError, match="cannot be made to take 15"):
        train_of("steps", 15, method="two_phases", first=None)  # 7.5 steps each
