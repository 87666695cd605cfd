"""What a knowledge source is: something that knows which words are likely, inside the search."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from speechllm.decode.hypothesis import Hypothesis
from speechllm.slot.collate import Batch


class Scorer:
    """Adds to the log-probabilities of the next token.

    Equal ids have equal states, so a state is found by its ids (`Prefixes`): nothing must follow
    when rows change places or leave.

    Attributes:
        name: under which nbest.jsonl lists what it gives to a hypothesis.
        weight: by which that is multiplied when it is added.
        bounds: most tokens of each utterance of the batch; set before `begin`.
    """

    name: str
    weight: float
    bounds: Sequence[int] = ()

    def begin(self, batch: Batch) -> None:
        """Take note of a new batch."""

    def __call__(self, ids: Tensor, scores: Tensor, heard: Sequence[int]) -> Tensor:
        """Add what it knows, in greedy search too.

        Args:
            ids: [N, T] those generated of each row; T = 0 in the first step. Rows of an utterance
                lie side by side, and all that go on are there.
            scores: [N, V] log-probabilities of the next token, other sources' sums included.
            heard: [N] the utterance of each row, a row of the batch.
        """
        raise NotImplementedError

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

    Rows are told apart by their utterances, where these are given.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, bytes], int] = {}

    def step(self, input_ids: Tensor, heard: Sequence[int] | None = None) -> Step:
        """Take the next step; one without any ids is the first of a search."""
        ids = input_ids.cpu().numpy()
        heard = heard or [0] * len(ids)
        numbers: dict[tuple[int, bytes], int] = {}
        rows: list[int] = []
        prefix_of = []
        for row, prefix in enumerate(ids):
            number = numbers.setdefault((heard[row], prefix.tobytes()), len(numbers))
            if number == len(rows):
                rows.append(row)
            prefix_of.append(number)
        before = [self._last[heard[row], ids[row, :-1].tobytes()] for row in rows if ids.shape[1]]
        self._last = numbers
        return Step(rows, before, prefix_of)
