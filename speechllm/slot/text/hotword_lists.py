"""Bias lists for training: an utterance's rare words among distractors, which were not said."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from speechllm.config import Fraction, PositiveInt, Section
from speechllm.slot.text.hotwords import Hotwords

NEIGHBOURS = 10  # nearest rare words of a word, which its distractors are drawn from


class HotwordListsConfig(Section):
    """Settings by which bias lists are drawn."""

    common: PositiveInt = 5000
    """Number of the corpus's most frequent words, which are never on a list (2104.02194)."""
    most: PositiveInt = 20
    """Maximum length of a list; lengths are drawn evenly from 1 on."""
    empty: Fraction = 0.2
    """Share of the utterances without a list; they have the model's own prompt."""
    keep: Fraction = 0.9
    """Probability that a rare word of the utterance is on its list."""
    near: Fraction = 0.5
    """Share of the distractors that resemble a word of the utterance, as those do that pass a
    hotword filter."""


def hotword_sentence(template: str, words: Sequence[str]) -> str:
    """Sentence of hotwords for the prompt; empty if there are none."""
    return template.replace("{}", ", ".join(words)) if words else ""


class HotwordLists:
    """Draws lists for the utterances of a corpus.

    Args:
        texts: transcripts of the corpus, from which distractors are drawn.
        config: settings.
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
        """Draw a list for one utterance, a function of its text and `rng`; [] for no list."""
        config = self.config
        if rng.random() < config.empty:
            return []
        said = list(dict.fromkeys(text.split()))
        own = [word for word in said if word not in self.common and rng.random() < config.keep]
        size = max(rng.randint(1, config.most), min(len(own), config.most))
        chosen = dict.fromkeys(own[:size])
        for _ in range(4 * config.most):  # few draws are in vain (said, or drawn before)
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
