"""Durations of a text's units in positions of speech: measured by alignment, and drawn."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from speechllm.adapt.made.heard import BLANK, ProjectedSpeech
from speechllm.decode.words.word_times import ctc_align

RARE = 5
"""A unit that occurs less often in speech takes the durations of all units."""


def owners(heard: ProjectedSpeech, units: Sequence[int]) -> np.ndarray | None:
    """Index of the transcript's unit that each of the LLM's positions belongs to.

    Args:
        heard: projected speech of an utterance.
        units: S CTC symbols of its transcript, without blanks.

    Returns:
        [M] indices from 0 to S - 1, none smaller than the one before; a blank belongs to the unit
        before it, or to the first. None where speech and transcript cannot be aligned.
    """
    path = ctc_align(heard.logits, units, BLANK) if units else None  # scores need no norm
    if path is None:
        return None
    return np.maximum.accumulate(path).clip(0)[heard.positions]


class Said(NamedTuple):
    """Units of an utterance, and the `owners` of its positions."""

    units: Sequence[int]
    owners: np.ndarray


class Durations:
    """Durations of units, to draw from; a rare unit draws from those of all units.

    Args:
        measured: [K, 2] unit and duration in speech, one row for each occurrence of a unit.
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
        """Measure durations in aligned utterances."""
        units = np.concatenate([utterance.units for utterance in said])
        counts = [np.bincount(each.owners, minlength=len(each.units)) for each in said]
        return cls(np.stack([units, np.concatenate(counts)], axis=1))

    def draw(self, units: Sequence[int], rng: random.Random) -> list[int]:
        """Draw a duration for each unit of a text; if all were 0, each gets 1."""
        drawn = [
            rng.choice(self._any if self._is_rare(unit) else self._own[unit]) for unit in units
        ]
        return drawn if any(drawn) else [1] * len(units)

    def expected(self, units: Sequence[int]) -> float:
        """Expected number of positions of a text."""
        return sum(self.mean if self._is_rare(unit) else self._means[unit] for unit in units)

    def _is_rare(self, unit: int) -> bool:
        return len(self._own.get(unit, ())) < RARE
