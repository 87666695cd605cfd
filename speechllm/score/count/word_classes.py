"""WER of classes of words: biased and others, known and unseen, rare and common.

Every reference word has one class, and so has every inserted word; hits, substitutions and
deletions count for the class of the reference word, insertions for that of the inserted word.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.score.count.phrases import Phrases
from speechllm.score.count.wer import WordScore
from speechllm.score.normalize.rules import Normalizer

HITS, SUBSTITUTIONS, DELETIONS, INSERTIONS = range(4)
BIASED, UNBIASED = "biased", "unbiased"
FREQUENCIES = {"0": 0, "1-10": 10, "11-100": 100, "101-1000": 1000, ">1000": None}
"""Bins of a word's count in the training text, each by its highest count."""

ClassesOf = Callable[[int, Sequence[str]], Sequence[str]]
"""Number of an utterance and the words of one of its sides -> the class of each word."""


def count_by_class(
    score: WordScore, classes: Sequence[str], classes_of: ClassesOf
) -> dict[str, NDArray[np.int64]]:
    """Return for each class [N, 4]: hits, substitutions, deletions, insertions of each utterance.

    Args:
        score: word score of the set.
        classes: names of all classes.
        classes_of: see `ClassesOf`.
    """
    tables = {name: np.zeros((len(score.utterances), 4), np.int64) for name in classes}
    for i, utterance in enumerate(score.utterances):
        said = [ref for ref, _ in utterance.pairs if ref is not None]
        heard = [hyp for _, hyp in utterance.pairs if hyp is not None]
        said_classes, heard_classes = iter(classes_of(i, said)), iter(classes_of(i, heard))
        for reference, hypothesis in utterance.pairs:
            heard_class = next(heard_classes) if hypothesis is not None else ""
            if reference is None:
                tables[heard_class][i, INSERTIONS] += 1
                continue
            if reference == hypothesis:
                kind = HITS
            else:
                kind = DELETIONS if hypothesis is None else SUBSTITUTIONS
            tables[next(said_classes)][i, kind] += 1
    return tables


def count_biased(score: WordScore, lists: BiasLists) -> dict[str, NDArray[np.int64]]:
    """B-WER and U-WER (Le et al., 2104.02194): classes `BIASED` and `UNBIASED`.

    A word is biased if it is part of an entry of the utterance's list: in the reference for
    reference words, in the hypothesis for inserted ones. For lists of single words that is the
    paper's definition; words of a phrase are biased only where the whole phrase stands.
    """
    phrases = _Lists(lists, score.normalizer)

    def classes_of(i: int, words: Sequence[str]) -> list[str]:
        classes = [UNBIASED] * len(words)
        for start, stop in phrases.of(score.utterances[i].id).find(words):
            classes[start:stop] = [BIASED] * (stop - start)
        return classes

    return count_by_class(score, (BIASED, UNBIASED), classes_of)


class _Lists:
    """Bias lists as phrases. Each entry is normalised once; a list is made at its first use."""

    def __init__(self, lists: BiasLists, normalizer: Normalizer):
        self.lists, self.normalizer = lists, normalizer
        self.words: dict[str, tuple[str, ...]] = {}
        self.of_set: Phrases | None = None
        self.last: tuple[str, Phrases] | None = None

    def of(self, utt: str) -> Phrases:
        if utt not in self.lists.own:
            self.of_set = self.of_set or self._phrases(self.lists.words)
            return self.of_set
        if self.last is None or self.last[0] != utt:  # its hypothesis is asked for next
            self.last = utt, self._phrases(self.lists.own[utt])
        return self.last[1]

    def _phrases(self, entries: Sequence[str]) -> Phrases:
        for entry in entries:
            if entry not in self.words:
                self.words[entry] = tuple(self.normalizer(entry).split())
        return Phrases(self.words[entry] for entry in entries)


def count_by_frequency(
    score: WordScore, frequencies: Mapping[str, int]
) -> dict[str, NDArray[np.int64]]:
    """Count by how often the training text has the word; the classes are the keys of `FREQUENCIES`.

    Words of class "0" are not in the training text (out of vocabulary).
    """
    names = list(FREQUENCIES)
    highest = [most for most in FREQUENCIES.values() if most is not None]

    def classes_of(_: int, words: Sequence[str]) -> list[str]:
        return [names[bisect_left(highest, frequencies.get(word, 0))] for word in words]

    return count_by_class(score, names, classes_of)
