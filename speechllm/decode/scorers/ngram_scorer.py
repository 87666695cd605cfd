"""Scorer by a word n-gram: a word is scored when it is over."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from speechllm.data.dirs.forms import Fold, fold
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.scorer import Prefixes, Scorer
from speechllm.lm.ngram import BEGIN, END, NGram

BLANKS = ("\u2581", "\u0120", " ", "\u010a", "\n")
"""Marks of a blank or a line end at the beginning of a token, in SentencePiece and in byte-level
BPE."""


REMEMBERED = 1 << 18


class _State(NamedTuple):
    """State of a prefix.

    Attributes:
        history: words that are over.
        tokens: tokens of the unfinished word.
        charged: score that the unfinished word has already got.
    """

    history: tuple[str, ...]
    tokens: tuple[int, ...] = ()
    charged: float = 0.0


def begins_word(tokenizer: Any) -> Tensor:
    """[tokens] bool: whether a token begins a word, so that the word before is over."""
    vocabulary = tokenizer.get_vocab()
    found = torch.zeros(max(vocabulary.values()) + 1, dtype=torch.bool)
    for token, number in vocabulary.items():
        found[number] = token.startswith(BLANKS)
    return found


class NGramScorer(Scorer):
    """Adds log p(word | words before) once the next token begins another word, or ends.

    Alone, that would reward hypotheses that never end a word. So an unfinished word gets the score
    of its letters in advance, log p(a word that begins like this | words before) (the look-ahead of
    Hori et al., 1808.02608), and at its end only the rest. The sum is the same. The advance is
    added with the token after, so that it takes one number for each prefix, not for each token.

    Args:
        name: key of its scores in n-best lists.
        ngram: the n-gram of words.
        weight: factor of its log-probabilities.
        tokenizer: the LLM's; SentencePiece's or a byte-level BPE.
        ends: tokens that end a hypothesis.
        folds: normalisation of words before the n-gram scores them.
        place: file of the n-gram, for messages.
        section: config section of its settings, for messages.
    """

    def __init__(
        self,
        name: str,
        ngram: NGram,
        weight: float,
        tokenizer: Any,
        ends: Sequence[int],
        folds: Sequence[Fold] = (),
        place: str = "",
        section: str = "fusion",
    ):
        self.name, self.ngram, self.weight, self.ends = name, ngram, weight, list(ends)
        self.tokenizer, self.folds = tokenizer, folds
        self.place, self.section = place, section
        self.begins = begins_word(tokenizer)
        self._prefixes = Prefixes()
        self._states: list[_State] = []
        self._words = lru_cache(REMEMBERED)(self._decode)
        self._log_prob = lru_cache(REMEMBERED)(ngram.log_prob)
        self._prefix_log_prob = lru_cache(REMEMBERED)(ngram.prefix_log_prob)

    def __call__(self, ids: Tensor, scores: Tensor, utterance_of: Sequence[int]) -> Tensor:
        step = self._prefixes.step(ids)
        if ids.shape[1] == 0:
            self._states = [_State((BEGIN,))]
        else:
            tokens = ids[step.rows, -1].tolist()
            self._states = [
                self._next(self._states[before], token)
                for before, token in zip(step.before, tokens, strict=True)
            ]
        given = torch.tensor(
            [[self._inside(s), self._over(s), self._end(s)] for s in self._states],
            device=scores.device,
        )[step.prefix_of]
        begins = functional.pad(self.begins, (0, max(0, scores.shape[1] - len(self.begins))))
        begins = begins[: scores.shape[1]].to(scores.device)
        added = torch.where(begins, given[:, 1:2], given[:, 0:1])
        added[:, self.ends] = given[:, 2:3]
        return scores + self.weight * added

    def score(self, hypotheses: Sequence[Hypothesis]) -> list[float]:
        return [self._score(h.ids, not h.truncated) for h in hypotheses]

    def _score(self, ids: Sequence[int], ended: bool) -> float:
        state, total = _State((BEGIN,)), 0.0
        for token in ids:
            total += self._over(state) if self.begins[token] else self._inside(state)
            state = self._next(state, token)
        return total + (self._end(state) if ended else 0.0)

    def _inside(self, state: _State) -> float:
        """Score of a token that goes on with the word."""
        return self._ahead(state) - state.charged

    def _over(self, state: _State) -> float:
        """Score of a token that begins another word."""
        return self._close(state)[1] - state.charged

    def _end(self, state: _State) -> float:
        return self._over(state) + self._log_prob(self._close(state)[0], END)

    def _next(self, state: _State, token: int) -> _State:
        if self.begins[token]:
            return _State(self._close(state)[0], (token,))
        return _State(state.history, (*state.tokens, token), self._ahead(state))

    def _ahead(self, state: _State) -> float:
        """Look-ahead score of the unfinished word."""
        words = self._words(state.tokens)
        if len(words) != 1:  # none yet; or several in one token, which are scored when over
            return state.charged
        return self._prefix_log_prob(state.history, words[0])

    def _close(self, state: _State) -> tuple[tuple[str, ...], float]:
        """History and score of the word once it is over."""
        history, total = state.history, 0.0
        for word in self._words(state.tokens):
            total += self._log_prob(history, word)
            history = (*history, word)[-max(1, self.ngram.order - 1) :]
        return history, total

    def _decode(self, tokens: tuple[int, ...]) -> list[str]:
        if not tokens:
            return []
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        text = text.rstrip("\ufffd")  # a letter with bytes still to come
        return fold(text, self.folds).split()
