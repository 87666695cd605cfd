"""What a knowledge source is: something that knows which words are likely, inside the search."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor
from transformers import LogitsProcessor

from speechllm.data.collate import Batch
from speechllm.decode.search import Hypothesis


class Source(LogitsProcessor):
    """Adds to the log-probabilities of the next token.

    It is called with the generated ids alone ([rows, T], T = 0 in the first step; rows of an
    utterance lie side by side) and with log-probabilities [rows, V], in greedy search too. Equal
    ids have equal states, so a state is found by its ids (`Prefixes`), and nothing must follow when
    transformers reorders the beam.

    Attributes:
        name: under which nbest.jsonl lists what it gives to a hypothesis.
        weight: by which that is multiplied when it is added.
        bounds: most tokens of each utterance of the batch; set before `begin`.
    """

    name: str
    weight: float
    bounds: Sequence[int] = ()

    def begin(self, batch: Batch, beam: int) -> None:
        """Take note of a new batch; row r of the search is of utterance r // beam."""

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        """What it gives to whole hypotheses of the batch, not multiplied: nats, or a bonus."""
        raise NotImplementedError


class Step(NamedTuple):
    """One step of the search, each distinct prefix once.

    Attributes:
        rows: [N] a row in which each of the N prefixes stands.
        before: [N] number of the prefix, among those of the last step, that it goes on from.
        prefix_of: [rows] number of each row's prefix.
    """

    rows: list[int]
    before: list[int]
    prefix_of: list[int]


class Prefixes:
    """Tells which prefixes go on from which, so that a state is computed once for each.

    Args:
        beam: rows of an utterance, where equal prefixes of two utterances are not the same.
    """

    def __init__(self, beam: int | None = None) -> None:
        self._beam = beam
        self._last: dict[tuple[int, bytes], int] = {}

    def step(self, input_ids: Tensor) -> Step:
        """Take the next step; one without any ids is the first of a search."""
        ids = input_ids.cpu().numpy()
        numbers: dict[tuple[int, bytes], int] = {}
        rows: list[int] = []
        prefix_of = []
        for row, prefix in enumerate(ids):
            number = numbers.setdefault(self._key(row, prefix), len(numbers))
            if number == len(rows):
                rows.append(row)
            prefix_of.append(number)
        before = [self._last[self._key(row, ids[row, :-1])] for row in rows] if ids.shape[1] else []
        self._last = numbers
        return Step(rows, before, prefix_of)

    def _key(self, row: int, prefix: np.ndarray) -> tuple[int, bytes]:
        return (row // self._beam if self._beam else 0, prefix.tobytes())
