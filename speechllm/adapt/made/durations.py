"""How many positions of speech each unit of a text takes: measured by alignment, and drawn."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from speechllm.adapt.made.heard import BLANK, ProjectedSpeech
from speechllm.decode.words.word_times import ctc_align

RARE = 5
"""A unit that was heard less often says too little about itself."""


def owners(heard: ProjectedSpeech, units: Sequence[int]) -> np.ndarray | None:
    """Which unit of its transcript each position belongs to that the LLM is given.

    Args:
        heard: an utterance.
        units: its transcript's S symbols, without blanks.

    Returns:
        [M] indices from 0 to S - 1, none smaller than the one before; a blank belongs to the unit
        before it, or to the first. None where speech and transcript cannot be aligned.
    """
    path = ctc_align(heard.logits, units, BLANK) if units else None  # scores need no norm
    if path is None:
        return None
    return np.maximum.accumulate(path).clip(0)[heard.positions]


class Said(NamedTuple):
    """An utterance's units, and the `owners` of its positions."""

    units: Sequence[int]
    owners: np.ndarray


class Durations:
    """How many positions units take; a rare one takes as many as any other does.

    Args:
        measured: [K, 2] units and their durations in speech, one row for each time that a unit was
            said.
    """

    def __init__(self, measured: np.ndarray):
        self.measured = measured
        self._any = measured[:, 1].tolist()
        self._own: dict[int, list[int]] = defaultdict(list)
        for unit, duration in measured.tolist():
            self._own[unit].append(duration)
        self.mean = float(np.mean(self._any))
        self._means = {unit: float(np.mean(own)) for unit, own in self._own.items()}

    @classmethod
    def of(cls, said: Sequence[Said]) -> "Durations":
        """Measure them in speech."""
        units = np.concatenate([utterance.units for utterance in said])
        counts = [np.bincount(each.owners, minlength=len(each.units)) for each in said]
        return cls(np.stack([units, np.concatenate(counts)], axis=1))

    def draw(self, units: Sequence[int], rng: random.Random) -> list[int]:
        """A duration for each unit of a text; where all would be silent, one for each."""
        drawn = [
            rng.choice(self._any if self._is_rare(unit) else self._own[unit]) for unit in units
        ]
        return drawn if any(drawn) else [1] * len(units)

    def expected(self, units: Sequence[int]) -> float:
        """Positions of a text, on average."""
        return sum(self.mean if self._is_rare(unit) else self._means[unit] for unit in units)

    def _is_rare(self, unit: int) -> bool:
        return len(self._own.get(unit, ())) < RARE
