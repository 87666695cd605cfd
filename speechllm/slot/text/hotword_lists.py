"""Bias lists for training: an utterance's rare words among words that were not said."""

import random
from collections import Counter
from collections.abc import Iterable
from functools import cache

from speechllm.config import Fraction, PositiveInt, Section
from speechllm.slot.text.hotwords import Hotwords

NEIGHBOURS = 10  # of a word, among which its distractors are drawn


class HotwordListsConfig(Section):
    """How lists are drawn."""

    common: PositiveInt = 5000
    """So many of the corpus's commonest words are never on a list (2104.02194)."""
    most: PositiveInt = 20
    """Longest list; lengths are drawn evenly from 1 on."""
    empty: Fraction = 0.2
    """Share of the utterances that have no list, and the prompt that they would have without."""
    keep: Fraction = 0.9
    """Chance that a rare word of the utterance is on its list."""
    near: Fraction = 0.5
    """Share of the distractors that are like a word of the utterance, as those are that a filter
    lets through."""


class HotwordLists:
    """Draws lists for the utterances of a corpus.

    Args:
        texts: of the corpus, from which distractors are drawn.
        config: how.
    """

    def __init__(self, texts: Iterable[str], config: HotwordListsConfig):
        counts = Counter(word for text in texts for word in text.split())
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        self.config = config
        self.common = frozenset(ordered[: config.common])
        self.rare = sorted(ordered[config.common :])
        self._search = Hotwords(self.rare)
        self._neighbours = cache(self._find_neighbours)

    def draw(self, text: str, rng: random.Random) -> list[str]:
        """A list for one utterance, a function of its text and `rng`; [] for no list."""
        config = self.config
        if rng.random() < config.empty:
            return []
        said = list(dict.fromkeys(text.split()))
        own = [word for word in said if word not in self.common and rng.random() < config.keep]
        size = max(rng.randint(1, config.most), min(len(own), config.most))
        chosen = dict.fromkeys(own[:size])
        for _ in range(4 * config.most):  # of words that are drawn twice or were said there are few
            if len(chosen) == size or not (said and self.rare):
                break
            near = rng.random() < config.near
            others = self._neighbours(rng.choice(said)) if near else self.rare
            if others and (word := rng.choice(others)) not in said:
                chosen[word] = None
        listed = list(chosen)
        rng.shuffle(listed)
        return listed

    def _find_neighbours(self, word: str) -> list[str]:
        return self._search.near(word, NEIGHBOURS, 0.4)
