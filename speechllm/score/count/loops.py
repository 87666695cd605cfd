"""Hypotheses that are wrong as a whole: loops, and utterances that are half or wholly deleted."""

from collections.abc import Sequence

from speechllm.score.count.wer import WordScore

LONGEST_UNIT = 10  # words
FEWEST_REPEATS = 3
FEWEST_WORDS = 6  # of the whole loop, so that "no no no" is none


def longest_repeat(words: Sequence[str], unit: int) -> int:
    """Largest number of times in a row that some `unit` words stand in `words`; at least 1."""
    longest = run = 0
    for one, other in zip(words, words[unit:], strict=False):
        run = run + 1 if one == other else 0
        longest = max(longest, run)
    return longest // unit + 1


def is_loop(hypothesis: Sequence[str], reference: Sequence[str]) -> bool:
    """Whether up to ten words stand three or more times in a row, six or more words in all.

    A repetition that the reference has as often is no loop.

    >>> is_loop("no no no no no no no".split(), ["no"])
    True
    """
    if len(hypothesis) - len(set(hypothesis)) < FEWEST_WORDS - 2:  # too few repeated words
        return False
    for unit in range(1, LONGEST_UNIT + 1):
        repeats = longest_repeat(hypothesis, unit)
        if repeats < FEWEST_REPEATS or repeats * unit < FEWEST_WORDS:
            continue
        if longest_repeat(reference, unit) < repeats:
            return True
    return False


def looping(score: WordScore) -> list[str]:
    """Ids of utterances whose hypothesis loops."""
    return [
        utterance.id
        for utterance in score.utterances
        if utterance.words.errors  # else the reference repeats as much
        and is_loop(
            [hyp for _, hyp in utterance.pairs if hyp is not None],
            [ref for ref, _ in utterance.pairs if ref is not None],
        )
    ]


def half_lost(score: WordScore) -> list[str]:
    """Ids of utterances with at least half of the reference words deleted."""
    return [
        utterance.id
        for utterance in score.utterances
        if utterance.words.reference and 2 * utterance.words.deletions >= utterance.words.reference
    ]


def empty(score: WordScore) -> list[str]:
    """Ids of utterances that have reference words and an empty hypothesis."""
    return [
        utterance.id
        for utterance in score.utterances
        if utterance.words.deletions and all(hyp is None for _, hyp in utterance.pairs)
    ]
