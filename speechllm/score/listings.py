"""Listings of errors as text: aligned utterances, and confusions by frequency."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

from speechllm.score.count.wer import AlignedUtterance, Pair, WordScore

GAP = "***"  # stands opposite an inserted or a deleted word, as in sclite
SUBSTITUTED, DELETED, INSERTED = "S", "D", "I"
UTTERANCE_COLUMNS = ("utterance", "words", "correct", "sub", "del", "ins")
TITLES = {
    SUBSTITUTED: "SUBSTITUTIONS: count reference -> hypothesis",
    DELETED: "DELETIONS: count reference",
    INSERTED: "INSERTIONS: count hypothesis",
}


def alignment_lines(score: WordScore) -> Iterator[str]:
    """Yield every utterance as REF / HYP / OPS in columns, sorted by id.

    The counts are #C correct, #S substituted, #D deleted, #I inserted words, as in sclite.
    """
    yield f"# normalizer: {score.normalizer}; {score.words.summary()}"
    yield f"# OPS: S substituted, D deleted, I inserted; {GAP} no word"
    missing = set(score.missing)
    for utterance in score.utterances:
        words = utterance.words
        note = " (no hypothesis)" if utterance.id in missing else ""
        figures = " ".join(map(str, words))
        yield from ("", f"id: {utterance.id}{note}", f"Scores: (#C #S #D #I) {figures}")
        yield from _columns(utterance)


def utterance_lines(score: WordScore) -> Iterator[str]:
    """Yield a header and the word counts of every utterance, parted by tabs, sorted by id."""
    yield "\t".join(UTTERANCE_COLUMNS)
    for utterance in score.utterances:
        words = utterance.words
        errors = (words.substitutions, words.deletions, words.insertions)
        yield "\t".join((utterance.id, *map(str, (words.reference, words.hits, *errors))))


def confusion_lines(score: WordScore) -> Iterator[str]:
    """Yield the confusions, most frequent first, then for each word how well it was recognised."""
    confused: dict[str, Counter[str]] = {kind: Counter() for kind in TITLES}
    correct: Counter[str] = Counter()
    in_reference: Counter[str] = Counter()
    in_hypothesis: Counter[str] = Counter()
    for (reference, hypothesis), number in score.pairs.items():
        if reference is not None:
            in_reference[reference] += number
        if hypothesis is not None:
            in_hypothesis[hypothesis] += number
        if reference is None:
            confused[INSERTED][str(hypothesis)] += number
        elif hypothesis is None:
            confused[DELETED][reference] += number
        elif reference == hypothesis:
            correct[reference] += number
        else:
            confused[SUBSTITUTED][f"{reference} -> {hypothesis}"] += number

    yield f"# normalizer: {score.normalizer}; {score.words.summary()}"
    for kind, title in TITLES.items():
        yield from ("", title)
        yield from (f"{count:6d}  {what}" for what, count in _by_frequency(confused[kind]))
    yield from ("", "WORDS: errors correct in_reference in_hypothesis word")
    errors = {
        word: in_reference[word] + in_hypothesis[word] - 2 * correct[word]
        for word in in_reference | in_hypothesis
    }
    for word, count in _by_frequency(errors):
        yield (
            f"{count:6d} {correct[word]:6d} {in_reference[word]:6d} "
            f"{in_hypothesis[word]:6d}  {word}"
        )


def _columns(utterance: AlignedUtterance) -> tuple[str, str, str]:
    if not utterance.words.errors:
        said = f" {' '.join([word for word, _ in utterance.pairs])}".rstrip()
        return f"REF:{said}", f"HYP:{said}", "OPS:"
    cells = zip(*map(_cells, utterance.pairs), strict=True)
    reference, hypothesis, operations = (" ".join(column).rstrip() for column in cells)
    return f"REF: {reference}", f"HYP: {hypothesis}", f"OPS: {operations}"


@lru_cache(maxsize=1 << 16)
def _cells(pair: Pair) -> tuple[str, ...]:
    """Both words and the operation, equally wide."""
    reference, hypothesis = pair
    row = (reference or GAP, hypothesis or GAP, _operation(reference, hypothesis))
    width = max(map(_width, row))
    return tuple(word + " " * (width - _width(word)) for word in row)


def _operation(reference: str | None, hypothesis: str | None) -> str:
    if reference is None:
        return INSERTED
    if hypothesis is None:
        return DELETED
    return "" if reference == hypothesis else SUBSTITUTED


def _by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _width(word: str) -> int:
    """Columns that `word` takes on a terminal: two for a wide letter, none for a mark."""
    if word.isascii():
        return len(word)
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in word
        if not unicodedata.combining(letter)
    )
