"""Tuning of weights on a dev set, which is decoded once and then only scored anew.

Imports no torch.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from speechllm.config import changed_keys
from speechllm.decode.config import DecodeConfig
from speechllm.errors import DataError, SpeechLLMError, shell_word
from speechllm.files.own import read_mapping
from speechllm.files.whole import write_json
from speechllm.task import Task

log = logging.getLogger(__name__)

TUNING = "tuning.json"
T = TypeVar("T")


@dataclass(frozen=True)
class Tuning:
    """Result of tuning weights: all points tried, and the best.

    Attributes:
        dev: name of the set.
        chosen: weight by key ("fusion.weight").
        figure: key of the metric of all errors here: the task's main one.
        error: error of the chosen weights in percent, with the `plain` normaliser.
        error_without: error of the choice among the same hypotheses without language models.
        error_oracle: error of the hypotheses with the fewest errors.
        grid: every point, with its error.
        made_from: all that it depends on (`tuning_settings`).
        seconds: time of decoding and scoring.
    """

    dev: str
    chosen: dict[str, float]
    figure: str
    error: float
    error_without: float
    error_oracle: float
    grid: list[dict[str, float]]
    made_from: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def apply(self, config: DecodeConfig) -> DecodeConfig:
        """Config with the chosen weights."""
        for key, weight in self.chosen.items():
            section, name = key.split(".")
            part = getattr(config, section).model_copy(update={name: weight})
            config = config.model_copy(update={section: part})
        return config

    def summary(self) -> dict[str, Any]:
        """Fields for decode.json."""
        return {k: v for k, v in asdict(self).items() if k not in ("grid", "made_from")}


@dataclass(frozen=True)
class BoostTuning:
    """Result of tuning the boost: all values tried, and the best.

    Attributes:
        dev: name of the set.
        utterances: number of utterances decoded for each value.
        chosen: the boost.
        figure: key of the metric of all errors here: the task's main one.
        error: error with the chosen boost in percent, with the `plain` normaliser.
        grid: every boost with its error.
        made_from: all that it depends on (`tuning_settings`).
        seconds: time that tuning took.
    """

    dev: str
    utterances: int
    chosen: float
    figure: str
    error: float
    grid: list[dict[str, float]]
    made_from: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def apply(self, config: DecodeConfig) -> DecodeConfig:
        """Config with the chosen boost."""
        return with_boost(config, self.chosen)

    def summary(self) -> dict[str, Any]:
        """Fields for decode.json."""
        return {k: v for k, v in asdict(self).items() if k not in ("grid", "made_from")}


def with_boost(config: DecodeConfig, boost: float) -> DecodeConfig:
    """Config with another boost; it must have a trie."""
    assert config.biasing and config.biasing.trie
    trie = config.biasing.trie.model_copy(update={"boost": boost})
    biasing = config.biasing.model_copy(update={"trie": trie})
    return config.model_copy(update={"biasing": biasing})


def read_boost(folder: Path) -> BoostTuning | None:
    """Read tuning.json; None where nothing has been tuned yet."""
    return _read(BoostTuning, folder)


def save_tuning(tuning: Tuning, folder: Path) -> None:
    """Write tuning.json."""
    write_json(folder / TUNING, asdict(tuning))


def read_tuning(folder: Path) -> Tuning | None:
    """Read tuning.json; None where nothing has been tuned yet."""
    return _read(Tuning, folder)


def check_tuning(before: Mapping[str, Any], made_from: Mapping[str, Any], folder: Path) -> None:
    """Raise SpeechLLMError, naming what changed, if weights were tuned on something else.

    Args:
        before: what the weights were tuned on (`Tuning.made_from`).
        made_from: what they should be tuned on (`tuning_settings`).
        folder: of tuning.json, for the message.
    """
    if changed := changed_keys(dict(before), dict(made_from)):
        raise SpeechLLMError(
            f"{folder} was tuned with another {', '.join(changed)}",
            f"rm -r {shell_word(folder)}, then decode again",
        )


def _read(kind: type[T], folder: Path) -> T | None:
    path = folder / TUNING
    found = read_mapping(path) if path.is_file() else {}
    # A file of an older version has other keys; it is tuned again.
    return kind(**found) if found.keys() == {f.name for f in fields(kind)} else None


def tune(
    lists: Mapping[str, Sequence[Mapping[str, Any]]],
    references: Mapping[str, str],
    config: DecodeConfig,
    dev: str,
    task: Task,
) -> Tuning:
    """Choose the weights that are null in the config, by the lowest error.

    Args:
        lists: n-best lists by utterance id, as in nbest.jsonl; `scores` has every scorer's.
        references: right answers by the same ids.
        config: says which weights are tuned, and over which grids.
        dev: name of the set.
        task: its main error is minimised.

    Raises:
        DataError: the references hold nothing to count errors on, such as words.
    """
    ids = sorted(lists)
    metric = task.main
    errors = _Errors([lists[i] for i in ids], [references[i] for i in ids], task)
    if errors.is_empty:
        what = metric.unit or "answers"
        raise DataError(f"the dev set {dev} has no {what}, so no weight can be tuned on it")
    scores = _Scores([lists[i] for i in ids], config.length_penalty)

    grids = _grids(config)
    points = []
    for values in itertools.product(*grids.values()):
        weights = dict(zip(grids, values, strict=True))
        chosen = scores.choose(_parts(config, weights))
        points.append({**weights, "error": errors.percent(chosen)})
    # Of equal errors, the one with the smallest weights.
    best = min(points, key=lambda p: (p["error"], sum(p[key] for key in grids)))
    for key, grid in grids.items():
        if len(grid) > 1 and best[key] == max(grid):
            log.warning("%s: the best value, %g, is the end of its grid", key, best[key])
    return Tuning(
        dev,
        {key: best[key] for key in grids},
        metric.key,
        best["error"],
        error_without=errors.percent(scores.choose(_without_lm(config))),
        error_oracle=errors.percent(errors.fewest),
        grid=points,
    )


def _grids(config: DecodeConfig) -> dict[str, tuple[float, ...]]:
    grids: dict[str, tuple[float, ...]] = {}
    for key in config.untuned:
        section, name = key.split(".")
        grids[key] = getattr(getattr(config, section), name.replace("weight", "grid"))
    return grids


def _without_lm(config: DecodeConfig) -> dict[str, float]:
    """Factors of the score parts that come from no language model."""
    return {"llm": 1.0} | ({"ctc": config.joint_ctc.weight} if config.joint_ctc else {})


def _parts(config: DecodeConfig, weights: Mapping[str, float]) -> dict[str, float]:
    """Factor of each part of a score, by its name in n-best lists."""

    def weight(section: str, name: str) -> float:
        fixed = getattr(getattr(config, section), name)
        return weights[f"{section}.{name}"] if fixed is None else fixed

    parts = _without_lm(config)
    if config.fusion:
        parts["lm"] = weight("fusion", "weight")
        if config.fusion.has_prior:
            parts["prior"] = -weight("fusion", "prior_weight")
    if config.rescore:
        parts["rescore"] = weight("rescore", "weight")
    return parts


class _Scores:
    """Parts of all scores as arrays [utterances, most hypotheses]."""

    def __init__(self, lists: Sequence[Sequence[Mapping[str, Any]]], length_penalty: float):
        shape = (len(lists), max(map(len, lists)))
        self.parts: dict[str, np.ndarray] = {}
        self.is_there = np.zeros(shape, dtype=bool)
        self.divisor = np.ones(shape)
        for row, nbest in enumerate(lists):
            for place, entry in enumerate(nbest):
                self.is_there[row, place] = True
                self.divisor[row, place] = (entry["tokens"] + 1) ** length_penalty
                for name, score in entry["scores"].items():
                    self.parts.setdefault(name, np.zeros(shape))[row, place] = score

    def choose(self, factors: Mapping[str, float]) -> np.ndarray:
        """[utterances] index of the best hypothesis."""
        total = sum(factor * self.parts[name] for name, factor in factors.items())
        return np.where(self.is_there, total / self.divisor, -np.inf).argmax(1)


class _Errors:
    """Errors of every hypothesis, and what they are a share of: [utterances, most hypotheses]."""

    def __init__(
        self, lists: Sequence[Sequence[Mapping[str, Any]]], references: Sequence[str], task: Task
    ):
        shape = (len(lists), max(map(len, lists)))
        self.errors = np.full(shape, np.inf)
        self.reference = np.zeros(shape)
        names = [f"{number:08d}" for number in range(len(lists))]  # counted in this order
        for place in range(shape[1]):
            there = [i for i, nbest in enumerate(lists) if place < len(nbest)]
            rate = task.count(
                {names[i]: references[i] for i in there},
                {names[i]: lists[i][place]["text"] for i in there},
            ).rates[task.main.key]
            self.errors[there, place], self.reference[there, place] = rate.errors, rate.reference

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to count errors on."""
        return not self.reference.any()

    @property
    def fewest(self) -> np.ndarray:
        """[utterances] index of the hypothesis with the fewest errors."""
        return self.errors.argmin(1)

    def percent(self, chosen: np.ndarray) -> float:
        """Error rate in percent of one chosen hypothesis of each utterance."""
        rows = np.arange(len(chosen))
        reference = self.reference[rows, chosen].sum()
        errors = self.errors[rows, chosen].sum()
        return round(100 * float(errors / reference), 4) if reference else 0.0
