"""Interface of scorers that add to the beam search."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from speechllm.decode.hypothesis import Hypothesis
from speechllm.slot.collate import Batch


class Scorer:
    """Adds to the log-probabilities of the next token.

    A state is looked up by its ids (`Prefixes`), so no state has to be reordered when rows of the
    beam change places or leave.

    Attributes:
        name: key of its scores in nbest.jsonl.
        weight: factor of its scores.
        bounds: most tokens of each utterance of the batch; set before `begin`.
    """

    name: str
    weight: float
    bounds: Sequence[int] = ()

    def begin(self, batch: Batch) -> None:
        """Prepare for a new batch."""

    def __call__(self, ids: Tensor, scores: Tensor, utterance_of: Sequence[int]) -> Tensor:
        """Add its weighted scores of the next token; called in greedy search too.

        Args:
            ids: [N, T] tokens generated in each row; T = 0 in the first step. Rows of an utterance
                lie side by side, and all that go on are there.
            scores: [N, V] log-probabilities of the next token, scores of other scorers included.
            utterance_of: [N] the utterance of each row, as its place in the batch.

        Returns:
            [N, V] the new scores.
        """
        raise NotImplementedError

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        """Unweighted scores of whole hypotheses of the batch: nats, or a bonus.

        Raises:
            NotImplementedError: a subclass lacks this method.
        """
        raise NotImplementedError


class Step(NamedTuple):
    """Distinct prefixes of one step of the search.

    Attributes:
        rows: [N] a row that holds each of the N prefixes.
        before: [N] index of the prefix that it extends, among those of the last step; empty in
            the first step.
        prefix_of: [rows] index of each row's prefix.
    """

    rows: list[int]
    before: list[int]
    prefix_of: list[int]


class Prefixes:
    """Finds distinct prefixes and those that they extend, so that each state is computed once.

    Equal ids of different utterances are different prefixes, if utterances are given.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, bytes], int] = {}

    def step(self, input_ids: Tensor, utterance_of: Sequence[int] | None = None) -> Step:
        """Take the next step; one with empty ids is the first of a search."""
        ids = input_ids.cpu().numpy()
        utterance_of = utterance_of or [0] * len(ids)
        numbers: dict[tuple[int, bytes], int] = {}
        rows: list[int] = []
        prefix_of = []
        for row, prefix in enumerate(ids):
            number = numbers.setdefault((utterance_of[row], prefix.tobytes()), len(numbers))
            if number == len(rows):
                rows.append(row)
            prefix_of.append(number)
        before = [
            self._last[utterance_of[row], ids[row, :-1].tobytes()] for row in rows if ids.shape[1]
        ]
        self._last = numbers
        return Step(rows, before, prefix_of)
