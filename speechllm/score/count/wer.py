"""Word, character and sentence error rates, keyed by utterance id, from rapidfuzz's alignments.

Definitions, all in percent:

* WER = (S + D + I) / reference words. The alignment is one of minimal edit distance, the same as
  jiwer's.
* CER = the same over characters, counted as jiwer and ESPnet do: Unicode code points of the
  normalised text, the single space between two words being a character too.
* SER = utterances with at least one word error / utterances.

Rates of a set are ratios of sums, never means of ratios. A reference without hypothesis counts as
deletions and is listed. A rate over no reference tokens at all is undefined (None); the insertions
into an empty reference still count in the total.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from operator import itemgetter
from typing import Any, NamedTuple

from rapidfuzz.distance import Levenshtein

from speechllm.data.dirs.kaldi import first_ids
from speechllm.errors import SpeechLLMError
from speechllm.score.normalize.normalize import normalizer as find_normalizer
from speechllm.score.normalize.rules import Normalizer


class Counts(NamedTuple):
    """Hits, substitutions, deletions and insertions of one utterance or of a set."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def reference(self) -> int:
        """Number of reference tokens."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """S + D + I."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def percent(self) -> float | None:
        """The error rate in percent; None when there are no reference tokens."""
        return 100 * self.errors / self.reference if self.reference else None

    def summary(self) -> str:
        """Return the WER line that Kaldi users grep for."""
        percent = "-" if self.percent is None else f"{self.percent:.2f}"
        return (
            f"%WER {percent} [ {self.errors} / {self.reference}, {self.insertions} ins, "
            f"{self.deletions} del, {self.substitutions} sub ]"
        )


Pair = tuple[str | None, str | None]
Edits = list[tuple[str, int, int]]
"""Edits that turn the reference into the hypothesis, in order: replace, delete or insert, and the
positions in reference and hypothesis."""


class AlignedUtterance(NamedTuple):
    """One aligned utterance.

    Attributes:
        id: utterance id.
        pairs: the word alignment in order: (reference word, hypothesis word), where None on the
            left is an insertion and None on the right a deletion.
        words: word counts.
        characters: character counts.
    """

    id: str
    pairs: tuple[Pair, ...]
    words: Counts
    characters: Counts


@dataclass(frozen=True)
class WordScore:
    """A scored set.

    Attributes:
        normalizer: normaliser of both sides; `str` gives its name.
        utterances: aligned utterances, one for each reference, sorted by id.
        missing: ids of references without hypothesis, sorted.
    """

    normalizer: Normalizer
    utterances: tuple[AlignedUtterance, ...]
    missing: tuple[str, ...]

    @cached_property
    def words(self) -> Counts:
        """Word counts of the set; `.percent` is the WER."""
        return _sum([u.words for u in self.utterances])

    @cached_property
    def characters(self) -> Counts:
        """Character counts of the set; `.percent` is the CER."""
        return _sum([u.characters for u in self.utterances])

    @cached_property
    def pairs(self) -> Counter[Pair]:
        """Number of times that each pair of words is aligned, in order of first appearance."""
        return Counter(chain.from_iterable(u.pairs for u in self.utterances))

    @cached_property
    def wrong_utterances(self) -> int:
        """Number of utterances with at least one word error."""
        return sum(u.words.errors > 0 for u in self.utterances)

    @property
    def sentence_percent(self) -> float:
        """The sentence error rate in percent."""
        return 100 * self.wrong_utterances / len(self.utterances)


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(*(sum(map(itemgetter(place), counts)) for place in range(len(Counts._fields))))


def score_texts(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    normalizer: str | Normalizer = "plain",
) -> WordScore:
    """Align hypotheses with references, and count errors.

    Args:
        references: utterance id -> reference text; may be empty strings.
        hypotheses: utterance id -> hypothesis text.
        normalizer: normaliser of both sides, or its name.

    Raises:
        SpeechLLMError: there are no references, or ids of hypotheses have no reference.
        ConfigError: the normaliser is unknown.

    >>> score = score_texts({"u1": "the sugar beet"}, {"u1": "the sugar beat"})
    >>> score.words.summary()
    '%WER 33.33 [ 1 / 3, 0 ins, 0 del, 1 sub ]'
    """
    if not references:
        raise SpeechLLMError("there are no references to score against")
    if unknown := sorted(hypotheses.keys() - references.keys()):
        raise SpeechLLMError(
            f"hypotheses have ids that no reference has: {first_ids(unknown)}",
            "score against the text of the set that was decoded",
        )
    normalize = find_normalizer(normalizer) if isinstance(normalizer, str) else normalizer
    ids = sorted(references)
    align = _Aligner()
    utterances = tuple(
        align(i, normalize(references[i]), normalize(hypotheses.get(i, ""))) for i in ids
    )
    return WordScore(normalize, utterances, tuple(i for i in ids if i not in hypotheses))


class _Right(dict[str, Pair]):
    """Word -> (word, word), made on demand."""

    def __missing__(self, word: str) -> Pair:
        return self.setdefault(word, (word, word))


class _Aligner:
    """Aligns one utterance after another; what they share is stored once."""

    def __init__(self) -> None:
        self._right = _Right()
        self._wrong: dict[Pair, Pair] = {}
        self._counts: dict[Counts, Counts] = {}
        # rapidfuzz compares words by hash, and hashes of words may be equal: so they are numbered.
        self._number = defaultdict[str, int](count().__next__).__getitem__

    def __call__(self, utt: str, reference: str, hypothesis: str) -> AlignedUtterance:
        left, right = reference.split(), hypothesis.split()
        if left == right:
            pairs = tuple(map(self._right.__getitem__, left))
            characters = Counts(hits=len(" ".join(left)))
            return AlignedUtterance(
                utt, pairs, self._kept(Counts(len(left))), self._kept(characters)
            )
        words = _edits([*map(self._number, left)], [*map(self._number, right)])
        left_text, right_text = " ".join(left), " ".join(right)
        return AlignedUtterance(
            utt,
            tuple(self._aligned(left, right, words)),
            self._kept(_count(len(left), words)),
            self._kept(_count(len(left_text), _edits(left_text, right_text))),
        )

    def _kept(self, counts: Counts) -> Counts:
        return self._counts.setdefault(counts, counts)

    def _aligned(self, left: list[str], right: list[str], edits: Edits) -> list[Pair]:
        pairs = list(map(self._right.__getitem__, left))
        for kind, place, other in reversed(edits):  # from the end, so that places stay valid
            heard = None if kind == "delete" else right[other]
            pair = (None if kind == "insert" else left[place], heard)
            stop = place if kind == "insert" else place + 1
            pairs[place:stop] = [self._wrong.setdefault(pair, pair)]
        return pairs


def _edits(left: Sequence[Any], right: Sequence[Any]) -> Edits:
    return Levenshtein.editops(left, right).as_list()


def _count(reference: int, edits: Edits) -> Counts:
    kinds = [kind for kind, _, _ in edits]
    substituted, deleted = kinds.count("replace"), kinds.count("delete")
    hits = reference - substituted - deleted
    return Counts(hits, substituted, deleted, len(kinds) - substituted - deleted)
