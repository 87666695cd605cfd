"""Words in other forms: what fits as it is written, what would, and what folds it."""

import pytest

from speechllm.data.dirs.forms import Fit, compare, fold, words_of_phrases

KNOWN = {"the", "sugar", "beet", "don't", "aphids", "caf\u00e9", "well-known"}


@pytest.mark.parametrize(
    ("text", "folds", "wanted"),
    [
        ("Sugar  Beet.", (), "Sugar  Beet."),
        ("Sugar  Beet.", ("lower",), "sugar beet."),
        ("Sugar-Beet.", ("punctuation",), "Sugar Beet"),
        ("Sugar-Beet.", ("lower", "punctuation"), "sugar beet"),
        ("don\u2019t 'cause 1,000.5", ("punctuation",), "don't cause 1000.5"),
        ("cafe\u0301", ("nfc",), "caf\u00e9"),
        ("cafe\u0301", ("upper",), "CAF\u00c9"),
        ("\u0915\u093f.", ("punctuation",), "\u0915\u093f"),
        ("...", ("punctuation",), ""),
    ],
)
def test_fold(text: str, folds: tuple[str, ...], wanted: str) -> None:
    assert fold(text, folds) == wanted


@pytest.mark.parametrize(
    ("items", "folds", "fits", "would"),
    [
        (["aphids", "sugar beet", "rye"], (), 2, 0),
        (["APHIDS", "SUGAR BEET", "RYE"], ("lower",), 0, 2),
        (["APHIDS", "SUGAR ZEBRA", "RYE"], ("lower",), 0, 2),
        (["Sugar beet", "aphids"], ("lower",), 1, 1),
        (["aphids.", "sugar-beet", "rye."], ("punctuation",), 0, 2),
        (["Aphids.", "Sugar beet,", "Rye."], ("lower", "punctuation"), 0, 2),
        (["don\u2019t"], ("punctuation",), 0, 1),
        (["cafe\u0301"], ("nfc",), 0, 1),
        (["zebra-beet"], (), 0, 0),
        (["well\u2011known", "well\u2013known"], (), 0, 2),
        ([], (), 0, 0),
    ],
)
def test_the_folding_that_makes_most_of_a_list_fit(
    items: list[str], folds: tuple[str, ...], fits: int, would: int
) -> None:
    found = compare(dict.fromkeys(items, 1), KNOWN)
    assert (found.total, found.fits, found.would, found.folds) == (len(items), fits, would, folds)
    assert found.is_odd() == bool(would)


def test_capitals_are_named_where_the_texts_are_in_capitals() -> None:
    found = compare({"we": 3, "home": 1}, {"WE", "HOME", "AND"})
    assert (found.folds, found.would, found.example) == (("upper",), 4, ("we", "WE"))
    assert found.says_unknown("words", "x.arpa") == (
        "4 of 4 words (100.0 %) are unknown to x.arpa, 4 of them are known in capitals "
        "('we' is 'WE' there)"
    )


def test_what_is_folded_already_is_not_odd_and_what_still_is_names_all_folds() -> None:
    assert not compare({"APHIDS": 1}, KNOWN, ["lower"]).is_odd()
    assert compare({"APHIDS.": 1}, KNOWN, ["lower"]).folds == ("lower", "punctuation")
    assert compare({"APHIDS": 1}, KNOWN, ["upper"]).folds == ("lower",)


def test_texts_of_mixed_case_have_no_folding() -> None:
    found = compare(dict.fromkeys(["APHIDS", "NEW YORK", "RYE"], 1), {"Aphids", "New", "York", "a"})
    assert (found.folds, found.would, found.assignment("fold")) == ((), 2, "")
    assert "in another form ('APHIDS' is 'Aphids' there)" in found.says("entries", "the texts")


def test_texts_with_punctuation_that_are_written_alike_are_not_odd() -> None:
    known = {"Is", "it", "stones?", "No,", "had", "them.", "Yes.", "We", "see", "sand", "today."}
    said = compare(dict.fromkeys(["Is", "it", "had", "see", "sand", "We", "stones."], 1), known)
    assert (said.would, said.folds, said.is_odd()) == (1, (), False)
    assert compare(dict.fromkeys(["IS", "STONES", "NO", "had"], 1), known).is_odd()


def test_two_forms_of_unicode_are_told_apart() -> None:
    said = compare({"cafe\u0301": 1}, KNOWN).says("entries", "the texts")
    assert said.endswith("1 more would in Unicode form NFC ('cafe\\u0301' is 'caf\\xe9' there)")
    decomposed = compare({"caf\u00e9": 1}, {"cafe\u0301"})
    assert (decomposed.would, decomposed.folds) == (1, ())


def test_a_single_odd_entry_counts_only_where_the_texts_have_one_form() -> None:
    items = dict.fromkeys(["Rye", *(f"w{n}" for n in range(40))], 1)
    lower, mixed = {"rye", *items} - {"Rye"}, {"rye", "Oats", *items} - {"Rye"}
    assert compare(items, lower).is_odd(of_list=True) and not compare(items, lower).is_odd()
    assert not compare(items, mixed).is_odd(of_list=True)
    items = dict.fromkeys(["rye'", *(f"w{n}" for n in range(40))], 1)
    assert not compare(items, lower).is_odd(of_list=True)


def test_a_setting_is_quoted_where_a_shell_would_read_it() -> None:
    assert Fit(1, 0, 1, ("lower",)).assignment("biasing.fold") == "biasing.fold=lower"
    assert Fit(1, 0, 1, ("lower", "punctuation")).assignment("x") == "'x=[lower,punctuation]'"


def test_entries_of_a_list_may_stand_before_a_mark() -> None:
    known = words_of_phrases(["Sell the beet, Bob!", 'Bob\'s "old" tractors.', "..."])
    assert {"beet", "beet,", "Bob", "Bob!", "Bob's", '"old', "tractors"} <= known
    assert "" not in known and "old" not in known
    assert not compare(dict.fromkeys(["beet", "Bob", "tractors"], 1), known).is_odd(of_list=True)
    assert compare(dict.fromkeys(["bob"], 1), known).is_odd(of_list=True)
