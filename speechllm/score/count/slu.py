"""Intent accuracy and SLU-F1, as SLURP defines them (Bastianelli et al., EMNLP 2020, section 4.3).

* Accuracy of scenario, of action, and of both (the intent). Exact match: entities are right too.
* Entity F1: entities count as right if type and filler are equal.
* Word-F1 and char-F1: an entity of the answer takes, in order, that free entity of the reference
  of the same type whose filler is nearest. It counts as one true positive, and its distance d is
  added to the false positives and to the false negatives. For words d is the WER of the filler; for
  characters the Levenshtein distance, divided by the length of the longer one. An entity whose type
  has none left is a false positive, a reference that nothing took a false negative.
* SLU-F1: the F1 of the sum of both tables.

F1 = 2 TP / (2 TP + FP + FN) over sums of the whole set, so that 100 - F1 is an error rate: errors
FP + FN, reference 2 TP + FP + FN, and every interval and test for ratios of sums holds for it.

The metrics equal those of SLURP's own scorer (checked on its published predictions), which
lower-cases the fillers of references and expects the same of answers. Here both sides are
lower-cased and blanks are joined, and an utterance without an answer counts as an empty answer,
where that scorer leaves it out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechllm.data.dirs.kaldi import first_ids
from speechllm.errors import SpeechLLMError
from speechllm.score.count.answers import Answer, read_answer
from speechllm.score.count.fillers import (
    Entity,
    Found,
    character_distance,
    equal,
    nearest,
    word_distance,
)
from speechllm.score.normalize.normalize import normalizer as find_normalizer
from speechllm.score.normalize.rules import Normalizer

FIGURES = ("entities", "words", "characters")


@dataclass(frozen=True)
class F1:
    """Counts of a set, or of one entity type in it: each [N], a number for each utterance.

    Distances of near fillers make them fractions.
    """

    true_positives: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    false_negatives: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """[N] FP + FN."""
        return self.false_positives + self.false_negatives

    @property
    def reference(self) -> NDArray[np.float64]:
        """[N] 2 TP + FP + FN: denominator of `errors`. It differs from system to system."""
        return 2 * self.true_positives + self.errors

    @property
    def percent(self) -> float | None:
        """F1 in percent; None if neither side holds an entity."""
        total = self.reference.sum()
        return float(100 * (1 - self.errors.sum() / total)) if total else None

    def __add__(self, other: "F1") -> "F1":
        return F1(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )


@dataclass(frozen=True)
class SluScore:
    """A scored set; all arrays are in the order of `ids`.

    Attributes:
        ids: ids of the references, sorted.
        scenario, action, intent, exact: [N] whether each is right.
        entities, words, characters, slu: F1 over all types.
        by_type: SLU-F1 of each entity type that either side has, sorted.
        answers: contents of each utterance's answer.
        missing: ids of references without an answer.
        repaired, invalid: ids of answers that were repaired, or could not be.
        unknown: (kind, label) that answers hold and `labels` lacks -> how often.
        unknown_references: (kind, label) that references hold and `labels` lacks -> how often.
    """

    ids: tuple[str, ...]
    scenario: NDArray[np.bool_]
    action: NDArray[np.bool_]
    intent: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    entities: F1
    words: F1
    characters: F1
    slu: F1
    by_type: dict[str, F1]
    answers: tuple[Answer, ...]
    missing: tuple[str, ...]
    repaired: tuple[str, ...]
    invalid: tuple[str, ...]
    unknown: dict[tuple[str, str], int]
    unknown_references: dict[tuple[str, str], int]


def score_slu(
    references: Mapping[str, Mapping[str, Any]],
    answers: Mapping[str, str],
    labels: Mapping[str, Iterable[str]] | None = None,
    normalizer: str = "plain",
) -> SluScore:
    """Score answers against semantics.

    Args:
        references: utterance id -> `{"scenario", "action", "entities": [{"type", "filler"}]}`.
        answers: utterance id -> the model's output.
        labels: the label set: "scenario", "action" and "type" -> labels; None: do not count
            unknown labels.
        normalizer: applied to the fillers of both sides; `plain` gives SLURP's own metrics.

    Raises:
        SpeechLLMError: no references, or answers whose ids have no reference.
    """
    if not references:
        raise SpeechLLMError("there are no semantics to score against")
    if unknown := sorted(answers.keys() - references.keys()):
        raise SpeechLLMError(
            f"answers have ids that no reference has: {first_ids(unknown)}",
            "score against the semantics of the set that was decoded",
        )
    normalize = find_normalizer(normalizer)
    ids = tuple(sorted(references))
    wanted = [_reference(references[utt], normalize) for utt in ids]
    read = [read_answer(answers.get(utt, "")) for utt in ids]
    given = [_folded(answer.entities, normalize) for answer in read]
    tables = {name: _Table(len(ids)) for name in FIGURES}
    for row, (reference, answer) in enumerate(zip(wanted, given, strict=True)):
        tables["entities"].add(row, equal(reference.entities, answer))
        for name, distance in (("words", word_distance), ("characters", character_distance)):
            tables[name].add(row, nearest(reference.entities, answer, distance))
    figures = {name: table.total() for name, table in tables.items()}
    both = tables["words"].by_type()
    for kind, counts in tables["characters"].by_type().items():
        both[kind] = both[kind] + counts
    pairs = list(zip(wanted, read, strict=True))
    scenario = np.array([ref.scenario == a.scenario for ref, a in pairs])
    action = np.array([ref.action == a.action for ref, a in pairs])
    same = [
        Counter(ref.entities) == Counter(answer) for ref, answer in zip(wanted, given, strict=True)
    ]
    return SluScore(
        ids=ids,
        scenario=scenario,
        action=action,
        intent=scenario & action,
        exact=scenario & action & np.array(same),
        **figures,
        slu=figures["words"] + figures["characters"],
        by_type=dict(sorted(both.items())),
        answers=tuple(read),
        missing=tuple(utt for utt in ids if utt not in answers),
        repaired=_with_state(ids, read, answers, "repaired"),
        invalid=_with_state(ids, read, answers, "invalid"),
        unknown=_unknown(read, labels),
        unknown_references=_unknown(wanted, labels),
    )


class _Table:
    """Counts of N utterances by entity type."""

    def __init__(self, utterances: int):
        self.utterances = utterances
        self.counts: dict[str, NDArray[np.float64]] = {}  # [3, N]: TP, FP, FN

    def add(self, row: int, found: Iterable[Found]) -> None:
        for kind, *counts in found:
            if kind not in self.counts:
                self.counts[kind] = np.zeros((3, self.utterances))
            self.counts[kind][:, row] += counts

    def by_type(self) -> dict[str, F1]:
        return {kind: F1(*counts) for kind, counts in self.counts.items()}

    def total(self) -> F1:
        return F1(*sum(self.counts.values(), np.zeros((3, self.utterances))))


def _folded(entities: Iterable[Entity], normalize: Normalizer) -> list[Entity]:
    return [(kind, normalize(filler.lower())) for kind, filler in entities]


def _reference(semantics: Mapping[str, Any], normalize: Normalizer) -> Answer:
    entities = _folded(((e["type"], e["filler"]) for e in semantics["entities"]), normalize)
    return Answer(semantics["scenario"], semantics["action"], tuple(entities), "valid")


def _with_state(
    ids: Sequence[str], read: Sequence[Answer], answers: Mapping[str, str], state: str
) -> tuple[str, ...]:
    return tuple(
        utt for utt, a in zip(ids, read, strict=True) if utt in answers and a.state == state
    )


def _unknown(
    read: Iterable[Answer], labels: Mapping[str, Iterable[str]] | None
) -> dict[tuple[str, str], int]:
    if labels is None:
        return {}
    known = {kind: set(names) for kind, names in labels.items()}
    used = Counter(
        pair
        for answer in read
        for pair in (
            ("scenario", answer.scenario),
            ("action", answer.action),
            *(("type", kind) for kind, _ in answer.entities),
        )
        if pair[1]
    )
    return {(k, label): n for (k, label), n in sorted(used.items()) if label not in known[k]}
