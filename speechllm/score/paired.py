"""Comparison of two systems on the same utterances: whether they differ, and where."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from speechllm.score.chance.bootstrap import bootstrap_interval
from speechllm.score.chance.significance import Paired, matched_pairs, paired_bootstrap
from speechllm.score.count.wer import AlignedUtterance, WordScore
from speechllm.score.rates import table_of

SHOWN = 10  # words in each list


@dataclass(frozen=True)
class PairedComparison:
    """Comparison of system b with system a.

    Attributes:
        a, b: their word scores.
        paired: paired bootstrap of b against a; None for fewer than two utterances.
        p_matched: p of matched pairs; None for fewer than 30 segments with errors.
        fixed, broken: utterances with errors in a and none in b, and the other way round.
        better, worse: utterances with fewer errors in b than in a, and with more.
        words_fixed, words_broken: reference words that only b has right, and that only a has.
    """

    a: WordScore
    b: WordScore
    paired: Paired | None
    p_matched: float | None
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    better: tuple[str, ...]
    worse: tuple[str, ...]
    words_fixed: Counter[str]
    words_broken: Counter[str]


def compare_pair(
    a: WordScore, b: WordScore, resamples: int = 10_000, seed: int = 0
) -> PairedComparison:
    """Compare the scores of two systems against the same references.

    Args:
        a: word score of the baseline.
        b: word score of the other system.
        resamples: number of bootstrap resamples.
        seed: seed of the bootstrap.
    """
    errors_a, errors_b = (np.array([u.words.errors for u in s.utterances]) for s in (a, b))
    reference = np.array([u.words.reference for u in a.utterances])
    ids = np.array([u.id for u in a.utterances])
    fixed, broken = Counter[str](), Counter[str]()
    for one, other in zip(a.utterances, b.utterances, strict=True):
        for (word, was_right), (_, is_right) in zip(_words(one), _words(other), strict=True):
            fixed[word] += is_right and not was_right
            broken[word] += was_right and not is_right
    return PairedComparison(
        a,
        b,
        paired_bootstrap(errors_b, errors_a, reference, resamples, seed),
        matched_pairs([b], [a]),
        tuple(ids[(errors_a > 0) & (errors_b == 0)].tolist()),
        tuple(ids[(errors_a == 0) & (errors_b > 0)].tolist()),
        tuple(ids[errors_b < errors_a].tolist()),
        tuple(ids[errors_b > errors_a].tolist()),
        +fixed,
        +broken,
    )


def comparison_lines(
    beside: PairedComparison, name_a: str, name_b: str, seed: int = 0
) -> Iterator[str]:
    """Yield a comparison as lines of text.

    Args:
        beside: the comparison.
        name_a: name of system a.
        name_b: name of system b.
        seed: seed of the bootstrap intervals of both WERs.
    """
    for label, name, score in (("a", name_a, beside.a), ("b", name_b, beside.b)):
        table = table_of([u.words for u in score.utterances])
        interval = bootstrap_interval(table[:, 1:].sum(axis=1), table[:, :3].sum(axis=1), seed=seed)
        shown = "[{:.2f}, {:.2f}]".format(*interval) if interval else "[-, -]"
        yield f"{label}  {score.words.summary()} {shown} {score.normalizer}  {name}"
    if beside.paired is None:
        yield "b - a: nothing to test: fewer than two utterances, or no reference words"
    else:
        paired = beside.paired
        low, high = paired.interval
        yield f"b - a: {paired.difference:+z.2f} points [{low:+z.2f}, {high:+z.2f}]"
        yield (
            f"p: {paired.p:.4f} paired bootstrap, "
            f"{_p(beside.p_matched)} matched pairs (MAPSSWE), both two-sided"
        )
    total = len(beside.a.utterances)
    same = total - len(beside.better) - len(beside.worse)
    yield (
        f"utterances: {total}; b better in {len(beside.better)}, worse in {len(beside.worse)}, "
        f"as many errors in {same}"
    )
    yield f"wholly right only in b: {len(beside.fixed)}; only in a: {len(beside.broken)}"
    for title, words in (("b", beside.words_fixed), ("a", beside.words_broken)):
        listed = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        shown = ", ".join(f"{word} {count}" for word, count in listed)
        yield f"words right only in {title}: {words.total()}{': ' if shown else ''}{shown}"


def _words(utterance: AlignedUtterance) -> list[tuple[str, bool]]:
    """Reference words, and whether each is right."""
    return [(ref, ref == hyp) for ref, hyp in utterance.pairs if ref is not None]


def _p(p: float | None) -> str:
    return "- (too few segments)" if p is None else f"{p:.4f}"
