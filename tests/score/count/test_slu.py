"""Intent accuracy and SLU-F1 against cases worked out by hand."""

import json

import numpy as np
import pytest

from speechllm.errors import SpeechLLMError
from speechllm.score.count.fillers import character_distance, word_distance
from speechllm.score.count.slu import score_slu


def semantics(scenario: str, action: str, *entities: tuple[str, str]) -> dict:
    listed = [{"type": kind, "filler": filler} for kind, filler in entities]
    return {"scenario": scenario, "action": action, "entities": listed}


def answer(scenario: str, action: str, *entities: tuple[str, str]) -> str:
    return json.dumps(semantics(scenario, action, *entities))


def test_all_right() -> None:
    found = score_slu(
        {"u": semantics("alarm", "set", ("time", "seven AM"))},
        {"u": answer("alarm", "set", ("time", " seven  am"))},
    )
    assert found.slu.percent == found.entities.percent == 100
    assert found.exact.all() and not found.repaired


def test_a_filler_that_is_nearly_right() -> None:
    # WER 1/2, Levenshtein 1/8: words TP 1, FP = FN = 1/2; characters TP 1, FP = FN = 1/8.
    found = score_slu(
        {"u": semantics("alarm", "set", ("time", "seven am"))},
        {"u": answer("alarm", "set", ("time", "seven pm"))},
    )
    assert found.entities.percent == 0
    assert found.words.percent == pytest.approx(100 * 2 / 3)
    assert found.characters.percent == pytest.approx(100 * 2 / 2.25)
    assert found.slu.percent == pytest.approx(100 * 4 / 5.25)
    assert (found.words.true_positives, found.words.false_positives) == ([1], [0.5])
    assert not found.exact[0] and found.intent[0]


def test_insertions_make_a_word_distance_above_one() -> None:
    # "two" for the reference "one": 3 words too many and one wrong, WER 4.
    found = score_slu(
        {"u": semantics("a", "b", ("n", "one"))},
        {"u": answer("a", "b", ("n", "two two two two"))},
    )
    assert found.words.percent == pytest.approx(100 * 2 / (2 + 4 + 4))


def test_the_nearest_of_equal_types_is_taken_and_only_once() -> None:
    # "new york" takes the second, "boston" the first; "paris" finds none left: FP 1.
    # "date" is never answered: FN 1. Words: TP 2, FP 1, FN 1.
    found = score_slu(
        {"u": semantics("a", "b", ("place", "boston"), ("place", "new york"), ("date", "today"))},
        {"u": answer("a", "b", ("place", "new york"), ("place", "boston"), ("place", "paris"))},
    )
    assert found.words.percent == found.slu.percent == pytest.approx(100 * 4 / 6)
    assert found.by_type["place"].percent == pytest.approx(100 * 4 / 5)
    assert found.by_type["date"].percent == 0
    assert not found.by_type["place"].false_negatives.any()
    assert not found.by_type["date"].false_positives.any()


def test_accuracies() -> None:
    references = {f"u{i}": semantics("s", "a") for i in range(4)}
    answers = {"u0": answer("s", "a"), "u1": answer("s", "x"), "u2": answer("x", "a"), "u3": ""}
    found = score_slu(references, answers)
    assert found.scenario.mean() == found.action.mean() == 0.5
    assert found.intent.mean() == 0.25
    assert found.slu.percent is None  # no entity on either side
    assert found.invalid == ("u3",)


def test_missing_answers_are_empty_ones() -> None:
    references = {u: semantics("s", "a", ("t", "x")) for u in ("u1", "u2")}
    found = score_slu(references, {"u1": answer("s", "a", ("t", "x"))})
    assert found.missing == ("u2",) and found.invalid == ()
    assert found.intent.mean() == 0.5
    assert found.slu.percent == pytest.approx(100 * 4 / 6)


def test_contributions_add_up_to_the_set() -> None:
    references = {
        "u1": semantics("s", "a", ("t", "one two"), ("d", "x")),
        "u2": semantics("s", "a", ("t", "three")),
    }
    answers = {"u1": answer("s", "a", ("t", "one")), "u2": answer("s", "a", ("t", "three"))}
    slu = score_slu(references, answers).slu
    # u1: words TP 1, FP 1/2, FN 3/2; characters TP 1, FP 4/7, FN 11/7. u2: TP 2.
    assert slu.errors == pytest.approx([2 + 15 / 7, 0])
    assert slu.reference == pytest.approx([4 + 2 + 15 / 7, 4])
    assert slu.percent == pytest.approx(100 - 100 * np.sum(slu.errors) / np.sum(slu.reference))


def test_unknown_labels_are_counted_on_both_sides() -> None:
    labels = {"scenario": ["s"], "action": ["a"], "type": ["t"]}
    found = score_slu(
        {"u1": semantics("s", "new", ("t", "x")), "u2": semantics("s", "a")},
        {"u1": answer("s", "a", ("made up", "x"), ("made up", "y")), "u2": ""},
        labels,
    )
    assert found.unknown == {("type", "made up"): 2}
    assert found.unknown_references == {("action", "new"): 1}


def test_ids_must_fit() -> None:
    with pytest.raises(SpeechLLMError, match="no semantics"):
        score_slu({}, {})
    with pytest.raises(SpeechLLMError, match="u9"):
        score_slu({"u1": semantics("s", "a")}, {"u9": ""})


def test_what_a_normaliser_leaves_nothing_of_can_be_scored() -> None:
    pytest.importorskip("whisper_normalizer")
    reference = {"scenario": "a", "action": "b", "entities": [{"type": "x", "filler": "um"}]}
    empty, full = ({**reference, "entities": [{"type": "x", "filler": f}]} for f in ("uh", "two"))
    references = {"u1": reference, "u2": reference, "u3": full}
    answers = {"u1": json.dumps(empty), "u2": json.dumps(full), "u3": json.dumps(empty)}
    score = score_slu(references, answers, normalizer="whisper-english")
    for table in (score.words, score.characters):
        assert table.true_positives.tolist() == [1, 1, 1]
        assert table.false_positives.tolist() == table.false_negatives.tolist() == [0, 1, 1]


def test_distances_are_ratios() -> None:
    assert word_distance("", "") == character_distance("", "") == 0
    assert word_distance("", "a b c") == character_distance("", "a b c") == 1
    assert word_distance("a b", "") == character_distance("a b", "") == 1
    assert word_distance("a", "a b c") == 2 and character_distance("a", "ab") == 0.5
