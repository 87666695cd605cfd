"""How a text surprises a language model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from speechllm.data.dirs.forms import Fit


@dataclass
class Text:
    """Sentences as token ids, without an end, and how many words they have in all."""

    sentences: Sequence[Sequence[int]]
    words: int

    @property
    def tokens(self) -> int:
        """Tokens, with an end for each sentence."""
        return sum(len(s) + 1 for s in self.sentences)


@dataclass(frozen=True)
class Perplexity:
    """A text's perplexity, by token and by word, so that different tokenizers can be compared.

    Attributes:
        nll: negative log-likelihood in nats, ends included.
        tokens, words: that it is divided by; an end counts as one of each.
        fit: which of its words an n-gram knows; None for a network, which spells them.
    """

    nll: float
    tokens: int
    words: int
    fit: Fit | None = None

    def figures(self) -> dict[str, float | int]:
        """For a JSON file: perplexity by token and by word, rounded, and what they are of."""
        figures: dict[str, float | int] = {
            "token": round(math.exp(min(self.nll / self.tokens, 700.0)), 4),
            "word": round(math.exp(min(self.nll / self.words, 700.0)), 4),
            "tokens": self.tokens,
            "words": self.words,
        }
        if self.fit:
            figures |= {"unknown": self.fit.unknown, "unknown_percent": self.fit.unknown_percent}
        return figures
