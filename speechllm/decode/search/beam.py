"""Beam search over the tokens of an LLM; an utterance leaves the batch when it is done.

Hypotheses are those of transformers' `generate`. They are ranked by score / length **
length_penalty, where the score is a sum of log-probabilities. An utterance is done once `beam`
hypotheses have ended, and no unfinished one ranks above the worst of them at its present length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from speechllm.decode.search.reader import Reader

Knowledge = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
"""Function that scores next tokens: generated ids [N, T], logits [N, V], the utterance of each row
[N] -> scores [N, V]: log-probabilities plus all that scorers add."""


class Ended(NamedTuple):
    """Hypothesis that has ended.

    Attributes:
        score: log-probability in nats of tokens and end; an end at the bound costs nothing.
        ids: tokens, without the end.
    """

    score: float
    ids: tuple[int, ...]


class _Beam(NamedTuple):
    score: float
    ids: tuple[int, ...]
    row: int
    """Row of the step before that it extends."""


@dataclass
class _Utterance:
    """Search of one utterance so far."""

    number: int
    bound: int
    beams: list[_Beam]
    ended: list[tuple[float, Ended]] = field(default_factory=list)
    """Length-normalised score and hypothesis, best first."""
    done: bool = False


class BeamSearch:
    """Beam search in one batch.

    Args:
        reader: of the batch's prompts.
        bounds: most tokens of each utterance, at least 1.
        ends: tokens that end a hypothesis.
        beam: unfinished hypotheses of each utterance; 1 is greedy.
        length_penalty: exponent of the length.
        knowledge: makes scores from logits.
    """

    def __init__(
        self,
        reader: Reader,
        bounds: Sequence[int],
        ends: Sequence[int],
        beam: int,
        length_penalty: float,
        knowledge: Knowledge,
    ):
        self._reader, self._knowledge = reader, knowledge
        self._ends, self._beam, self._penalty = set(ends), beam, length_penalty
        # Enough that the beam stays full if the likeliest next tokens of all beams are ends.
        self._most = max(2, 1 + len(self._ends)) * beam
        self._all = [_Utterance(n, bound, [_Beam(0.0, (), n)]) for n, bound in enumerate(bounds)]

    def run(self) -> list[list[Ended]]:
        """Search, and return up to `beam` hypotheses of each utterance, best first."""
        going, logits = self._all, self._reader.first
        while True:
            self._step(going, logits)
            going = _without_done(going)
            if not going:
                return [[ended for _, ended in one.ended] for one in self._all]
            logits = self._reader.go_on(
                [beam.row for one in going for beam in one.beams],
                [one.number for one in going for _ in one.beams],
                [beam.ids[-1] for one in going for beam in one.beams],
            )

    def _step(self, going: Sequence[_Utterance], logits: Tensor) -> None:
        """Extend each utterance by one token."""
        ids = [beam.ids for one in going for beam in one.beams]  # R rows of n tokens
        utterances = [one.number for one in going for _ in one.beams]  # R
        prefixes = torch.tensor(ids, dtype=torch.long, device=logits.device)  # [R, n]
        scores = self._knowledge(prefixes, logits, utterances)  # [R, V]
        best, tokens = scores.topk(min(self._most, scores.shape[1]), dim=-1)  # [R, most] each
        rows = iter(enumerate(zip(best.tolist(), tokens.tolist(), strict=True)))
        for one in going:
            following = [
                _Beam(beam.score + cost, (*beam.ids, token), row)
                for beam, (row, found) in zip(one.beams, rows, strict=False)
                for cost, token in zip(*found, strict=True)
                if cost > -torch.inf
            ]
            self._extend(one, sorted(following, key=lambda b: -b.score)[: self._most])

    def _extend(self, one: _Utterance, following: Sequence[_Beam]) -> None:
        length = len(one.beams[0].ids) + 1
        if length > one.bound:
            for beam in one.beams:
                self._end(one, beam.score, beam.ids)
            one.done = True
            return
        for beam in following[: self._beam]:
            if beam.ids[-1] in self._ends:
                self._end(one, beam.score, beam.ids[:-1])
        one.beams = [b for b in following if b.ids[-1] not in self._ends][: self._beam]
        if not one.beams and not one.ended:  # nothing may follow
            self._end(one, -torch.inf, ())
        one.done = not one.beams or (
            len(one.ended) == self._beam
            and one.beams[0].score / length**self._penalty <= one.ended[-1][0]
        )

    def _end(self, one: _Utterance, score: float, ids: tuple[int, ...]) -> None:
        one.ended.append((score / (len(ids) + 1) ** self._penalty, Ended(score, ids)))
        one.ended.sort(key=lambda e: -e[0])
        del one.ended[self._beam :]


def _without_done(going: Sequence[_Utterance]) -> list[_Utterance]:
    """Unfinished utterances. The last ones take the places of done ones, so that few rows move."""
    left = sum(not one.done for one in going)
    last = iter([one for one in going[left:] if not one.done])
    return [next(last) if one.done else one for one in going[:left]]
