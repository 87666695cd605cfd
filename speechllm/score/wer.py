"""Word, character and sentence error rates from jiwer's alignments, keyed by utterance id.

Definitions, all in percent:

* WER = (S + D + I) / reference words. The alignment is one of minimal edit distance.
* CER = the same over characters, counted as jiwer and ESPnet do: Unicode code points of the
  normalised text, the single space between two words being a character too.
* SER = utterances with at least one word error / utterances.

Rates of a set are ratios of sums, never means of ratios. A reference without hypothesis counts as
deletions and is listed. A rate over no reference tokens at all is undefined (None); the insertions
into an empty reference still count in the total.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jiwer

from speechllm.data.kaldi import first_ids
from speechllm.errors import SpeechLLMError
from speechllm.score.normalize import Normalizer
from speechllm.score.normalize import normalizer as find_normalizer


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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
    pairs: tuple[tuple[str | None, str | None], ...]
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
    reference_texts = [normalize(references[i]) for i in ids]
    hypothesis_texts = [normalize(hypotheses.get(i, "")) for i in ids]
    by_word = jiwer.process_words(reference_texts, hypothesis_texts)
    by_character = jiwer.process_characters(reference_texts, hypothesis_texts)
    utterances = (
        Utterance(i, _pairs(ref, hyp, word_chunks), _count(word_chunks), _count(char_chunks))
        for i, ref, hyp, word_chunks, char_chunks in zip(
            ids,
            by_word.references,
            by_word.hypotheses,
            by_word.alignments,
            by_character.alignments,
            strict=True,
        )
    )
    return Score(normalize, tuple(utterances), tuple(i for i in ids if i not in hypotheses))


def _pairs(
    reference: list[str], hypothesis: list[str], chunks: list[jiwer.AlignmentChunk]
) -> tuple[tuple[str | None, str | None], ...]:
    pairs: list[tuple[str | None, str | None]] = []
    for chunk in chunks:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        # A chunk of one kind: both sides are equally long, or one of them is empty.
        pairs += zip(left or [None] * len(right), right or [None] * len(left), strict=True)
    return tuple(pairs)


def _count(chunks: list[jiwer.AlignmentChunk]) -> Counts:
    totals = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
    for chunk in chunks:
        length = max(
            chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
        )
        totals[chunk.type] += length
    return Counts(totals["equal"], totals["substitute"], totals["delete"], totals["insert"])
