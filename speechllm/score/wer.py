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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rapidfuzz.distance import Levenshtein

from speechllm.data.kaldi import first_ids
from speechllm.errors import SpeechLLMError
from speechllm.score.normalize import Normalizer
from speechllm.score.normalize import normalizer as find_normalizer


@dataclass(frozen=True, slots=True)
class Counts:
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

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Utterance:
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
class Score:
    """A scored set.

    Attributes:
        normalizer: what both sides went through; `str` of it is its name.
        utterances: one for each reference, sorted by id.
        missing: ids of references without hypothesis, sorted.
    """

    normalizer: Normalizer
    utterances: tuple[Utterance, ...]
    missing: tuple[str, ...]

    @cached_property
    def words(self) -> Counts:
        """Word counts of the set; `.percent` is the WER."""
        return sum((u.words for u in self.utterances), Counts())

    @cached_property
    def characters(self) -> Counts:
        """Character counts of the set; `.percent` is the CER."""
        return sum((u.characters for u in self.utterances), Counts())

    @cached_property
    def wrong_utterances(self) -> int:
        """Utterances with at least one word error."""
        return sum(u.words.errors > 0 for u in self.utterances)

    @property
    def sentence_percent(self) -> float:
        """The sentence error rate in percent."""
        return 100 * self.wrong_utterances / len(self.utterances)


def score_texts(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    normalizer: str | Normalizer = "plain",
) -> Score:
    """Align and count.

    Args:
        references: utterance id -> reference text; may be empty strings.
        hypotheses: utterance id -> hypothesis text.
        normalizer: applied to both sides; its name, or itself.

    Raises:
        SpeechLLMError: no references, or hypotheses whose ids have no reference.
        ConfigError: unknown normaliser.
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
    return Score(normalize, utterances, tuple(i for i in ids if i not in hypotheses))


class _Aligner:
    """Aligns utterance after utterance; what they share, words and pairs of words, is kept once."""

    def __init__(self) -> None:
        self._pairs: dict[Pair, Pair] = {}
        self._numbers: dict[str, int] = {}

    def __call__(self, utt: str, reference: str, hypothesis: str) -> Utterance:
        left, right = reference.split(), hypothesis.split()
        if left == right:
            pairs = tuple(self._pair(word, word) for word in left)
            characters = Counts(hits=len(" ".join(left)))
            return Utterance(utt, pairs, Counts(hits=len(left)), characters)
        words = Levenshtein.opcodes(self._numbered(left), self._numbered(right))
        characters = _count(Levenshtein.opcodes(" ".join(left), " ".join(right)))
        return Utterance(utt, tuple(self._aligned(left, right, words)), _count(words), characters)

    def _aligned(self, left: list[str], right: list[str], chunks: Any) -> Iterator[Pair]:
        for _, start, end, other_start, other_end in chunks:
            one, other = left[start:end], right[other_start:other_end]
            # A chunk of one kind: both sides are equally long, or one of them is empty.
            gaps = [None] * max(len(one), len(other))
            yield from map(self._pair, one or gaps, other or gaps)

    def _pair(self, left: str | None, right: str | None) -> Pair:
        pair = (left, right)
        return self._pairs.setdefault(pair, pair)

    def _numbered(self, words: list[str]) -> list[int]:
        """Words by number: rapidfuzz compares them by hash, and hashes of words may be equal."""
        return [self._numbers.setdefault(word, len(self._numbers)) for word in words]


def _count(chunks: Any) -> Counts:
    totals = {"equal": 0, "replace": 0, "delete": 0, "insert": 0}
    for tag, start, end, other_start, other_end in chunks:
        totals[tag] += max(end - start, other_end - other_start)
    return Counts(*totals.values())
