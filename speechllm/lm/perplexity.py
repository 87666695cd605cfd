"""Perplexity of text under a language model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from speechllm.data.dirs.forms import Fit


@dataclass
class Text:
    """Sentences as token ids, without end tokens, and their total number of words."""

    sentences: Sequence[Sequence[int]]
    words: int

    @property
    def tokens(self) -> int:
        """Number of tokens, with an end for each sentence."""
        return sum(len(s) + 1 for s in self.sentences)


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text by token, and by word to compare models with different tokenizers.

    Attributes:
        nll: negative log-likelihood in nats, ends of sentences included.
        tokens: number of tokens; each end counts as one.
        words: number of words; each end counts as one.
        fit: coverage of the text by an n-gram's vocabulary; None for a network, which spells words.
    """

    nll: float
    tokens: int
    words: int
    fit: Fit | None = None

    def figures(self) -> dict[str, float | int]:
        """Fields for a JSON file: perplexity by token and by word, rounded, and both counts."""
        figures: dict[str, float | int] = {
            "token": round(math.exp(min(self.nll / self.tokens, 700.0)), 4),
            "word": round(math.exp(min(self.nll / self.words, 700.0)), 4),
            "tokens": self.tokens,
            "words": self.words,
        }
        if self.fit:
            figures |= {"unknown": self.fit.unknown, "unknown_percent": self.fit.unknown_percent}
        return figures
