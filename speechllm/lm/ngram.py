"""Word n-grams with back-off."""

import bisect
import math
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
LN10 = math.log(10)
NEVER = -99.0
"""Logarithm of zero in ARPA files (log10)."""
HISTORIES = 256
"""Number of histories whose word probabilities are cached: with 200,000 words, 400 MB."""
NOT_THERE = -6.0
"""Probability (log10) of an unknown word under a model that has no <unk>."""


class NGramEntry(NamedTuple):
    """Probability of an n-gram and back-off weight of longer ones that begin with it, as log10."""

    log_prob: float
    backoff: float = 0.0


class NGram:
    """p(word | words before it), backing off to shorter histories (Katz 1987, as in ARPA files).

    Args:
        entries: one table for each order, from 1 on, keyed by the n-gram's words.
    """

    def __init__(self, entries: Sequence[dict[tuple[str, ...], NGramEntry]]):
        self.entries = entries

    @property
    def order(self) -> int:
        return len(self.entries)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """All words but <s>, </s> and <unk>."""
        return frozenset(word for (word,) in self.entries[0]) - {BEGIN, END, UNKNOWN}

    def knows(self, word: str) -> bool:
        return (word,) in self.entries[0]

    def log_prob(self, history: tuple[str, ...], word: str) -> float:
        """Log-probability in nats of the next word; unknown words count as <unk>.

        Args:
            history: words before, from <s> on; only the last `order - 1` matter.
            word: the next word, or </s>.

        Raises:
            AssertionError: a known word has no unigram, which is a bug.
        """
        if not self.knows(word):
            if not self.knows(UNKNOWN):
                return NOT_THERE * LN10
            word = UNKNOWN
        known = self._known(history)
        total = 0.0
        for start in range(len(known) + 1):
            context = known[start:]
            entry = self.entries[len(context)].get((*context, word))
            if entry:
                return (total + entry.log_prob) * LN10
            above = self.entries[len(context) - 1].get(context)
            total += above.backoff if above else 0.0
        raise AssertionError("an n-gram model knows all its words as unigrams")

    def prefix_log_prob(self, history: tuple[str, ...], prefix: str) -> float:
        """Log-probability in nats that the next word begins with these letters.

        If no known word begins with them, it is that of an unknown word.

        Args:
            history: words before, as in `log_prob`.
            prefix: the first letters, at least one.
        """
        first = bisect.bisect_left(self._words, prefix)
        last = bisect.bisect_left(self._words, prefix + "\U0010ffff")
        if first == last:
            return self.log_prob(history, UNKNOWN)
        sums = self._summed(self._known(history))
        return math.log(max(sums[last] - sums[first], 1e-300))

    def _known(self, history: tuple[str, ...]) -> tuple[str, ...]:
        """Part of a history that the model uses, with unknown words as <unk>."""
        if self.order == 1:
            return ()
        recent = history[-(self.order - 1) :]
        return tuple(w if w == BEGIN or self.knows(w) else UNKNOWN for w in recent)

    @cached_property
    def _words(self) -> list[str]:
        return sorted(self.vocabulary)

    @cached_property
    def _after(self) -> dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]]:
        """Words that have an n-gram after each history: their indices in `_words`, and their
        probabilities."""
        numbers = {word: number for number, word in enumerate(self._words)}
        lists: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        for table in self.entries:
            for words, entry in table.items():
                if words[-1] in numbers:
                    which, log_probs = lists.setdefault(words[:-1], ([], []))
                    which.append(numbers[words[-1]])
                    log_probs.append(entry.log_prob)
        return {h: (np.array(w), 10 ** np.array(p)) for h, (w, p) in lists.items()}

    def _probs(self, history: tuple[str, ...]) -> np.ndarray:
        """Probabilities of all words after a history of `_known`."""
        which, probs = self._after.get(history, ([], []))
        if history:
            above = self.entries[len(history) - 1].get(history)
            found = self._probs(history[1:]) * 10 ** (above.backoff if above else 0.0)
        else:
            found = np.zeros(len(self._words))
        found[which] = probs
        return found

    @cached_property
    def _summed(self) -> Callable[[tuple[str, ...]], np.ndarray]:
        """Cumulative sums of `_probs`, cached for the most recent histories."""
        return lru_cache(HISTORIES)(lambda h: np.concatenate([[0.0], self._probs(h).cumsum()]))

    def score(self, words: Sequence[str], end: bool = True) -> float:
        """Log-probability in nats of a sentence, with or without its end."""
        history: tuple[str, ...] = (BEGIN,)
        total = 0.0
        for word in [*words, *([END] if end else [])]:
            total += self.log_prob(history, word)
            history = (*history, word)[-max(1, self.order - 1) :]
        return total
