"""Bias lists of a data dir: read strictly, checked, and kept by parts and unions of sets."""

import json
from pathlib import Path

import pytest

from speechllm.data.check.fix import fix_data_dir
from speechllm.data.check.summary import fingerprint
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.bias_lists import (
    MOST_ENTRIES,
    BiasLists,
    read_words,
    write_biasing,
    write_words,
)
from speechllm.data.dirs.combine import combine
from speechllm.data.dirs.kaldi import DataDir, read_table, write_data_dir
from speechllm.data.dirs.set_tables import read_set
from speechllm.errors import DataError

TEXT = {"u1": "plant sugar beet", "u2": "sell the maize", "u3": "it rains"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_data_dir(tmp_path / "set", text=TEXT)
    write_biasing(tmp_path / "set", {"u1": ["sugar beet", "rye"], "u2": []})
    write_words(tmp_path / "set", ["maize", "winter wheat"])
    return tmp_path / "set"


def test_an_utterance_has_its_own_list_or_that_of_the_set(folder: Path) -> None:
    lists = DataDir.load(folder).bias_lists
    assert [lists.of(utt) for utt in TEXT] == [["sugar beet", "rye"], [], ["maize", "winter wheat"]]
    assert lists and not BiasLists()


def test_words_of_an_entry_have_one_blank_between_them(folder: Path) -> None:
    (folder / "biasing").write_text('u1 [" sugar  beet", "rye\\u00a0grass "]\n')
    (folder / "bias_words").write_text("winter  wheat \n sugar\u00a0beet\nrye\n")
    lists = DataDir.load(folder).bias_lists
    assert lists.own == {"u1": ["sugar beet", "rye grass"]}
    assert lists.words == ["winter wheat", "sugar beet", "rye"]
    (folder / "bias_words").write_text("winter  wheat\nwinter wheat\n")
    with pytest.raises(DataError, match="stands twice: winter wheat"):
        read_words(folder / "bias_words")


def test_the_hash_follows_the_entries(folder: Path) -> None:
    before = DataDir.load(folder).bias_lists.sha256
    assert DataDir.load(folder).bias_lists.sha256 == before
    write_words(folder, ["maize"])
    assert DataDir.load(folder).bias_lists.sha256 != before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[", "malformed"),
        ('{"a": 1}', "not a JSON list"),
        ('["maize", 3]', "not a string"),
        ('["maize", " "]', "entry is empty"),
        ('["maize", "maize"]', "stands twice"),
        ('["a\\nb"]', "(U+000A, column 2)"),
        ('["<speech>"]', "marker"),
    ],
)
def test_malformed_lists_are_refused_and_found_by_the_check(
    folder: Path, value: str, message: str
) -> None:
    (folder / "biasing").write_text(f"u1 {value}\n")
    with pytest.raises(DataError, match=r"biasing:1: u1: "):
        _ = DataDir.load(folder).bias_lists
    found = [c for c in check_data_dir(folder) if c.file.name == "biasing"]
    assert len(found) == 1 and message in found[0].message and found[0].line == 1


def test_the_check_names_lists_of_unknown_utterances(folder: Path) -> None:
    (folder / "biasing").write_text('u1 ["rye"]\nu9 ["rye"]\n')
    with pytest.raises(DataError, match=r"unknown utterances: 1 \(u9\)"):
        _ = DataDir.load(folder).bias_lists
    [complaint] = check_data_dir(folder)
    assert (complaint.item, complaint.line) == ("u9", 2)


def test_the_check_collects_all_faults_of_the_words(folder: Path) -> None:
    (folder / "bias_words").write_bytes(b"maize\n\nrye\nmaize\n\xff\n")
    found = {(c.line, c.message) for c in check_data_dir(folder)}
    assert found == {
        (2, "entry is empty"),
        (4, "entry stands twice"),
        (5, "line is not UTF-8"),
    }
    with pytest.raises(DataError, match="bias_words:2: entry is empty"):
        read_words(folder / "bias_words")


@pytest.mark.parametrize(
    ("form", "fold"),
    [
        (str.upper, "biasing.fold=lower"),
        (lambda entry: f"{entry}.", "biasing.fold=punctuation"),
        (lambda entry: f"{entry.title()}.", "'biasing.fold=[lower,punctuation]'"),
    ],
)
def test_the_check_says_what_is_written_in_another_form(folder: Path, form, fold: str) -> None:
    write_biasing(folder, {"u1": [form("sugar beet"), form("rye")]})
    write_words(folder, [form("maize"), form("winter wheat")])
    found = check_data_dir(folder)
    assert [(c.severity, c.file.name) for c in found] == [
        ("warning", "biasing"),
        ("warning", "bias_words"),
    ]
    for complaint in found:
        start = "0 of 2 entries stand in the transcripts as they are written, 1 more would "
        assert complaint.message.startswith(start) and fold in complaint.remedy
    assert f"({form('maize')!r} is 'maize' there)" in found[1].message


def test_one_entry_among_many_is_found_where_the_transcripts_have_one_form(folder: Path) -> None:
    many = [f"word{n}" for n in range(40)]
    (folder / "text").write_text(f"u1 {' '.join(many)} beet\nu2 sell\nu3 it rains\n")
    write_biasing(folder, {"u1": [*many, "Beet"]})
    assert [c.message[:32] for c in check_data_dir(folder)] == ["40 of 41 entries stand in the tr"]


def test_a_flawless_set_passes_and_changed_lists_are_checked_again(folder: Path) -> None:
    assert check_data_dir(folder) == []
    before = fingerprint(folder, {})
    write_words(folder, ["rye"])
    assert fingerprint(folder, {}) != before


def test_parts_and_unions_keep_the_lists(folder: Path, tmp_path: Path) -> None:
    tables = read_set(folder)
    tables.select(["u1", "u3"]).write(tmp_path / "part")
    part = DataDir.load(tmp_path / "part").bias_lists
    assert part == BiasLists({"u1": ["sugar beet", "rye"]}, ["maize", "winter wheat"])
    write_data_dir(tmp_path / "more", text={"v1": "oats"})
    write_words(tmp_path / "more", ["oats", "maize"])
    combine([tables, read_set(tmp_path / "more")], tmp_path / "all").write(tmp_path / "all")
    joined = DataDir.load(tmp_path / "all").bias_lists
    assert joined.own == {"u1": ["sugar beet", "rye"], "u2": []}
    assert joined.words == ["maize", "winter wheat", "oats"]


def test_mending_a_set_keeps_the_lists_of_what_stays(folder: Path) -> None:
    (folder / "text").write_text("u1\nu2 sell the maize\nu3 it rains\n")
    fix_data_dir(folder)
    assert read_table(folder / "biasing") == {"u2": "[]"}
    assert read_words(folder / "bias_words") == ["maize", "winter wheat"]


def test_a_list_of_a_hundred_thousand_words_is_read_and_a_longer_one_refused(folder: Path) -> None:
    words = [f"word{n:06d}" for n in range(100_000)]
    write_words(folder, words)
    (folder / "biasing").write_text(f"u1 {json.dumps(words)}\n")
    assert check_data_dir(folder) == []
    assert DataDir.load(folder).bias_lists.of("u3") == words
    write_words(folder, map(str, range(MOST_ENTRIES + 1)))
    assert [c.message for c in check_data_dir(folder)] == [
        "200,001 words and phrases; 200,000 are the most"
    ]


def test_a_list_may_start_with_a_byte_order_mark(folder: Path) -> None:
    (folder / "bias_words").write_bytes(b"\xef\xbb\xbfmaize\nsugar beet\n")
    assert DataDir.load(folder).bias_lists.words == ["maize", "sugar beet"]
