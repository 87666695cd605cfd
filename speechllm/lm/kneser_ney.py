"""Interpolated modified Kneser-Ney estimates of word n-grams.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98,
section 3. Stored as in Heafield et al., "Scalable modified Kneser-Ney language model estimation",
ACL 2013: interpolated probabilities and weights take the place of ARPA's back-off ones.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from speechllm.lm.ngram import BEGIN, END, NEVER, UNKNOWN, NGram, NGramEntry

Words = tuple[str, ...]
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of an order with too few distinct counts to estimate them, as in KenLM."""


def estimate(sentences: Iterable[Sequence[str]], order: int) -> NGram:
    """Estimate an n-gram model from sentences.

    Args:
        sentences: words of each.
        order: length of the longest n-grams.

    Raises:
        ValueError: there is no sentence.

    >>> model = estimate([["the", "rain"], ["the", "sun"], ["the", "rain", "falls"]], 2)
    >>> model.score(["the", "rain"]) > model.score(["rain", "the"])
    True
    """
    counts = _adjusted_counts(sentences, order)
    vocabulary = {word for (word,) in counts[0]} | {UNKNOWN}
    # Below the unigrams all words are equally likely; <s> is left out, as it is never predicted.
    below: dict[Words, float] = {(word,): 1 / len(vocabulary) for word in vocabulary}
    probs: list[dict[Words, float]] = []
    weights: list[dict[Words, float]] = []
    for table in counts:
        discounts = _discounts(table)
        totals: Counter[Words] = Counter()
        taken: defaultdict[Words, float] = defaultdict(float)
        for words, count in table.items():
            totals[words[:-1]] += count
            taken[words[:-1]] += discounts[min(count, 3) - 1]
        weight = {context: taken[context] / total for context, total in totals.items()}
        level = {} if probs else {(UNKNOWN,): weight[()] * below[(UNKNOWN,)]}
        for words, count in table.items():
            kept = (count - discounts[min(count, 3) - 1]) / totals[words[:-1]]
            shorter = words if not probs else words[1:]
            level[words] = kept + weight[words[:-1]] * below[shorter]
        probs.append(level)
        weights.append(weight)
        below = level
    return NGram(_entries(probs, weights))


def _adjusted_counts(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Words]]:
    """Counts of the longest n-grams; for shorter ones, the number of distinct words before them.

    Nothing comes before <s>, so n-grams that begin with it keep their counts.
    """
    raw = [Counter[Words]() for _ in range(order)]
    for sentence in sentences:
        words = (BEGIN, *sentence, END)
        for length, table in enumerate(raw, 1):
            table.update(words[i : i + length] for i in range(len(words) - length + 1))
    if not raw[0]:
        raise ValueError("there is no sentence to count n-grams in")
    adjusted = [raw[-1]]
    for longer, table in zip(raw[:0:-1], raw[-2::-1], strict=True):
        before = Counter(words[1:] for words in longer)
        adjusted.insert(
            0, Counter({w: n if w[0] == BEGIN else before[w] for w, n in table.items()})
        )
    del adjusted[0][(BEGIN,)]
    return adjusted


def _discounts(table: Counter[Words]) -> tuple[float, float, float]:
    """Discounts of n-grams that were counted once, twice, and more often."""
    of_counts = Counter(table.values())
    n1, n2, n3, n4 = (of_counts[n] for n in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    if any(not 0 <= discount <= n for n, discount in enumerate(found, 1)):
        return FALLBACK
    return found


def _entries(
    probs: Sequence[dict[Words, float]], weights: Sequence[dict[Words, float]]
) -> list[dict[Words, NGramEntry]]:
    entries: list[dict[Words, NGramEntry]] = []
    for length, level in enumerate(probs, 1):
        above = weights[length] if length < len(probs) else {}
        table = {
            words: NGramEntry(math.log10(p), math.log10(above[words]) if words in above else 0.0)
            for words, p in level.items()
        }
        if length == 1:
            backoff = math.log10(above[(BEGIN,)]) if (BEGIN,) in above else 0.0
            table[(BEGIN,)] = NGramEntry(NEVER, backoff)
        entries.append(table)
    return entries
