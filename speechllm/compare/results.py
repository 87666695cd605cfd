"""What each arm of a comparison reached on each target: the errors of its runs, by utterance.

Everything is counted from hypotheses and references, so that two runs can be compared word by word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.compare.grid import BASE, Cell
from speechllm.data.kaldi import DataDir, read_table
from speechllm.report.tree import SOURCE_SET, target_set
from speechllm.score.entities import EntityScore, score_entities
from speechllm.score.seeds import mean_rate, seed_interval
from speechllm.score.wer import Score, score_texts


@dataclass(frozen=True, eq=False)
class Runs:
    """One test set as the S runs of an arm, a seed each, recognised its N utterances.

    Attributes:
        scores: by seed.
        entities: by seed.
    """

    scores: tuple[Score, ...]
    entities: tuple[EntityScore, ...]

    @cached_property
    def errors(self) -> NDArray[np.int64]:
        """[S, N] word errors."""
        return np.array([[u.words.errors for u in score.utterances] for score in self.scores])

    @cached_property
    def reference(self) -> NDArray[np.int64]:
        """[N] reference words."""
        return np.array([u.words.reference for u in self.scores[0].utterances])

    @cached_property
    def wer(self) -> float | None:
        """Mean over seeds, in percent."""
        return mean_rate(self.errors, self.reference)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of `wer`, over seeds and utterances."""
        return seed_interval(self.errors, self.reference)

    @cached_property
    def heard(self) -> frozenset[tuple[Any, ...]]:
        """What its runs recognised; equal for arms that cannot be told apart."""
        return frozenset(tuple(u.pairs for u in score.utterances) for score in self.scores)


@dataclass(frozen=True, eq=False)
class Result:
    """An arm on one target.

    Attributes:
        cells: its finished cells, by seed.
        planned: how many were planned.
        target: runs on the target's test set.
        source: the same runs on the source's.
    """

    cells: tuple[Cell, ...]
    planned: int
    target: Runs
    source: Runs

    @property
    def arm(self) -> str:
        return self.cells[0].arm

    @property
    def domain(self) -> str:
        return self.cells[0].target

    @property
    def is_base(self) -> bool:
        return self.cells[0].label == BASE

    @property
    def is_control(self) -> bool:
        return self.cells[0].control_of is not None

    @property
    def method(self) -> str:
        return BASE if self.is_base else self.cells[0].run["method"]

    @property
    def audio_hours(self) -> float:
        """Of the target's own audio trained on, mean over seeds."""
        return self.mean("audio_hours_target") or 0.0

    def mean(self, key: str) -> float | None:
        """Mean over seeds of a figure in run.json; None if a run lacks it."""
        values = [cell.run.get(key) for cell in self.cells]
        return None if None in values else fmean(values)


class Results(list[Result]):
    """The results of a comparison, in the grid's order of targets and arms.

    Args:
        results: of arms with a finished cell.
        without: a cell of each arm and target that has none.
    """

    def __init__(self, results: Sequence[Result] = (), without: Sequence[Cell] = ()):
        super().__init__(results)
        self.without = without

    @property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(result.domain for result in self))

    def of(self, target: str) -> list[Result]:
        """All arms on `target`."""
        return [result for result in self if result.domain == target]

    def find(self, target: str, arm: str | None) -> Result | None:
        """The named arm on `target`, unless none of its cells is finished."""
        return next((result for result in self.of(target) if result.arm == arm), None)

    def full_audio(self, target: str) -> Result | None:
        """The arm fine-tuned on the most audio of `target`, which ends the audio gap.

        None while its method still lacks an arm with more: the gap would be another one then.
        """
        arms = [r for r in self.of(target) if r.method == "audio" and not r.is_control]
        most = max(arms, key=lambda r: r.audio_hours, default=None)
        if most and any(_has_more_audio(cell, most.cells[0]) for cell in self.without):
            return None
        return most


def read_results(cells: Sequence[Cell], data: Path, normalizer: str = "plain") -> Results:
    """Score all finished cells.

    Args:
        cells: of a comparison, finished or not; arms of which no cell is finished have no result.
        data: root of the data dirs, which hold `<target>_test` and `source_test`.
        normalizer: applied to references and hypotheses.

    Raises:
        DataError: a test set or a file of hypotheses is not there or malformed.
        SpeechLLMError: hypotheses of utterances that the test set lacks.
    """
    dirs: dict[str, DataDir] = {}
    known: dict[Path, tuple[Score, EntityScore]] = {}  # the base is a cell of every target

    def runs(finished: Sequence[Cell], name: str) -> Runs:
        if name not in dirs:
            dirs[name] = DataDir.load(data / name)
        data_dir = dirs[name]
        for folder in (cell.decodings[name] for cell in finished):
            if folder not in known:
                score = score_texts(data_dir.text, read_table(folder / "text"), normalizer)
                known[folder] = score, score_entities(score, data_dir.entities)
        pairs = [known[cell.decodings[name]] for cell in finished]
        scores, entities = zip(*pairs, strict=True)
        return Runs(scores, entities)

    results: list[Result] = []
    without: list[Cell] = []
    planned: dict[tuple[str, str], list[Cell]] = {}
    for target in dict.fromkeys(cell.target for cell in cells):
        for cell in cells:
            if cell.target == target:
                planned.setdefault((target, cell.arm), []).append(cell)
    for (target, _), group in planned.items():
        finished = sorted((cell for cell in group if cell.is_finished), key=lambda c: c.seed)
        if finished:
            on_target, on_source = runs(finished, target_set(target)), runs(finished, SOURCE_SET)
            results.append(Result(tuple(finished), len(group), on_target, on_source))
        else:
            without.append(group[0])
    return Results(results, without)


def _has_more_audio(cell: Cell, than: Cell) -> bool:
    same = (cell.label, cell.target) == (than.label, than.target)
    return same and (cell.fraction or 1.0) > (than.fraction or 1.0)
