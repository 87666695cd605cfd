"""Results of each arm of a comparison on each target: the errors of its runs, by utterance.

The models' task counts all errors anew, from hypotheses and references. So two runs can be compared
utterance by utterance and, where answers are words, word by word.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.compare.grid import BASE, Cell
from speechllm.data.dirs.answers import read_targets
from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.experiment import target_set
from speechllm.model.description import labels_of, task_of
from speechllm.score.chance.seeds import mean_rate, seed_interval
from speechllm.score.counts import Counted
from speechllm.task import Task, load_task


@dataclass(frozen=True, eq=False)
class Runs:
    """Results of an arm's S runs, one for each seed, on the N utterances of a test set.

    Attributes:
        counted: counts of each run.
        key: key of the metric that is looked at.
    """

    counted: tuple[Counted, ...]
    key: str

    def of(self, key: str) -> "Runs":
        """Return these runs under another metric."""
        return Runs(self.counted, key)

    @cached_property
    def errors(self) -> NDArray[Any]:
        """[S, N] errors."""
        return np.array([counted.rates[self.key].errors for counted in self.counted])

    @cached_property
    def reference(self) -> NDArray[Any]:
        """Denominators of the errors: [N] if they are the same for all systems, else [S, N]."""
        found = np.array([counted.rates[self.key].reference for counted in self.counted])
        return found[0] if self.counted[0].rates[self.key].is_common else found

    @property
    def runs(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Pairs ([N] errors, [N] reference), one for each seed."""
        shares = np.broadcast_to(self.reference, self.errors.shape)
        return list(zip(self.errors, shares, strict=True))

    @cached_property
    def error(self) -> float | None:
        """Error rate, the mean over seeds, in percent."""
        return mean_rate(self.errors, self.reference)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of `error`, over seeds and utterances."""
        return seed_interval(self.errors, self.reference)

    @cached_property
    def answers_key(self) -> frozenset[Hashable]:
        """Answers of its runs as a key: equal for arms that cannot be told apart."""
        return frozenset(counted.answers_key for counted in self.counted)


@dataclass(frozen=True, eq=False)
class Result:
    """Results of an arm on one target.

    Attributes:
        cells: its finished cells, in the order of seeds.
        planned: number of planned cells.
        target: results on the target's test set.
        source: results on the source test set.
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
    def is_redecoded(self) -> bool:
        """Whether its models are those of another arm, decoded with other settings."""
        return self.cells[0].decoding_of is not None

    @property
    def method(self) -> str:
        return BASE if self.is_base else self.cells[0].run["method"]

    @property
    def audio_hours(self) -> float:
        """Hours of the target's own audio trained on, mean over seeds."""
        return self.mean("audio_hours_target") or 0.0

    def mean(self, key: str) -> float | None:
        """Mean over seeds of a number in run.json; None if a run lacks it."""
        values = [cell.run.get(key) for cell in self.cells]
        return None if None in values else fmean(values)


class ArmResults(list[Result]):
    """Results of a comparison, in the grid's order of targets and arms.

    Args:
        results: results of arms with a finished cell.
        without: one cell for each arm and target without a finished cell.
        task: the models' task; asr if not given.
    """

    def __init__(
        self,
        results: Sequence[Result] = (),
        without: Sequence[Cell] = (),
        task: Task | None = None,
    ):
        super().__init__(results)
        self.without = without
        self.task = task or load_task("asr")

    @property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(result.domain for result in self))

    def of(self, target: str) -> list[Result]:
        """Results of all arms on `target`."""
        return [result for result in self if result.domain == target]

    def find(self, target: str, arm: str | None) -> Result | None:
        """Result of an arm on `target`; None if none of its cells is finished."""
        return next((result for result in self.of(target) if result.arm == arm), None)

    def full_audio(self, target: str) -> Result | None:
        """Result of the arm fine-tuned on the most audio of `target`: the end of the audio gap.

        None while an arm of its label with more audio is not finished: that one will end the gap.
        """
        arms = [r for r in self.of(target) if r.method == "audio"]
        arms = [r for r in arms if not r.is_control and not r.is_redecoded]
        most = max(arms, key=lambda r: r.audio_hours, default=None)
        if most and any(_has_more_audio(cell, most.cells[0]) for cell in self.without):
            return None
        return most


def read_results(cells: Sequence[Cell], data: Path, normalizer: str = "plain") -> ArmResults:
    """Score all finished cells.

    Args:
        cells: cells of a comparison, finished or not; an arm without a finished cell has no result.
        data: root of the data dirs, which holds the test sets of targets and source.
        normalizer: normaliser of references and hypotheses.

    Raises:
        DataError: a test set or a file of hypotheses is missing or malformed.
        SpeechLLMError: there are hypotheses of utterances that the test set lacks.
    """
    dirs: dict[str, DataDir] = {}
    targets: dict[str, dict[str, str]] = {}
    known: dict[Path, Counted] = {}  # the base is a cell of every target
    task = next((task_of(cell.folder) for cell in cells if cell.is_finished), load_task("asr"))

    def runs(finished: Sequence[Cell], name: str) -> Runs:
        if name not in dirs:
            dirs[name] = DataDir.load(data / name)
            targets[name] = read_targets(task, dirs[name])
        for cell in finished:
            folder = cell.decodings[name]
            if folder not in known:
                hypotheses = read_table(folder / "text")
                known[folder] = task.count(
                    targets[name],
                    hypotheses,
                    normalizer,
                    labels_of(cell.folder),
                    dirs[name].entities,
                )
        return Runs(tuple(known[cell.decodings[name]] for cell in finished), task.main.key)

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
            on_target = runs(finished, target_set(target))
            on_source = runs(finished, finished[0].source_set)
            results.append(Result(tuple(finished), len(group), on_target, on_source))
        else:
            without.append(group[0])
    return ArmResults(results, without, task)


def _has_more_audio(cell: Cell, than: Cell) -> bool:
    same = (cell.label, cell.target) == (than.label, than.target)
    return same and (cell.fraction or 1.0) > (than.fraction or 1.0)
