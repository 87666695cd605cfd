"""Scorer by a language model over the LLM's tokens.

With a positive weight it is shallow fusion (Gulcehre et al., 1503.03535): score + w log p_lm. With
a negative one it subtracts a prior: a source-domain LM in the density ratio (McDermott et al.,
2002.11268), the recogniser's own LLM in internal-LM subtraction (Meng et al., 2011.01991).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.scorer import Prefixes, Scorer
from speechllm.lm.token_lm import TokenLM

FLOOR = -100.0
"""Lowest log-probability of a token; that of tokens which the LM has no row for."""


class LMScorer(Scorer):
    """Scores every next token, once for each distinct prefix in the batch.

    Args:
        name: key of its scores in n-best lists.
        lm: language model over the LLM's tokens.
        weight: factor of its log-probabilities.
        ends: tokens that end a hypothesis; each gets the probability of the LM's own end.
        with_end: whether `score` counts the end; False if hypotheses are part of a longer text.
    """

    def __init__(
        self,
        name: str,
        lm: TokenLM,
        weight: float,
        ends: Sequence[int],
        with_end: bool = True,
    ):
        self.name, self.lm, self.weight, self.ends = name, lm, weight, list(ends)
        self.with_end = with_end
        self._prefixes = Prefixes()
        self._state: Any = None

    def __call__(self, ids: Tensor, scores: Tensor, utterance_of: Sequence[int]) -> Tensor:
        step = self._prefixes.step(ids)
        if ids.shape[1] == 0:
            known, self._state = self.lm.first()
        else:
            before = torch.tensor(step.before, device=self.lm.device)
            tokens = ids[step.rows, -1].to(self.lm.device)
            known, self._state = self.lm.next(self._state, before, tokens)
        known = self._fitted(known, scores.shape[1])
        return scores + self.weight * known[step.prefix_of].to(scores.device)

    def _fitted(self, known: Tensor, size: int) -> Tensor:
        """[N, size] for the recogniser's rows; models of one vocabulary may have spare rows."""
        end = known[:, [self.lm.end]]
        short = size - known.shape[1]
        known = torch.nn.functional.pad(known, (0, short), value=FLOOR) if short else known
        known = known.clamp(min=FLOOR)
        known[:, self.ends] = end
        return known

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        ended = [self.with_end and not h.truncated for h in hypotheses]
        return self.lm.score([h.ids for h in hypotheses], ended)
