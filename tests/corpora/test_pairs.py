"""Tables of audio and transcript, by the names of their columns."""

import json
from pathlib import Path

import pytest

from speechllm.corpora.pairs import PairColumns, column_names, find_table, read_pairs
from speechllm.errors import DataError
from tests.helpers.corpora import make_wave

ROWS = [
    {"path": "wav/a.wav", "sentence": 'she said "no", twice', "who": "ann"},
    {"path": "wav/b.wav", "sentence": "yes", "who": "bob"},
]
COLUMNS = PairColumns("sentence", "path", "", "who")


def write(tmp_path: Path, kind: str, rows: list[dict[str, object]] = ROWS) -> Path:
    path = tmp_path / f"train.{kind}"
    for name in "ab":
        make_wave(tmp_path / f"wav/{name}.wav", 0.2)
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        cells = [list(rows[0]), *(list(map(str, row.values())) for row in rows)]
        if kind == "csv":
            quoted = [['"' + c.replace('"', '""') + '"' for c in row] for row in cells]
            path.write_text("".join(",".join(row) + "\n" for row in quoted))
        else:
            path.write_text("".join("\t".join(row) + "\n" for row in cells))
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_each_kind_of_table(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    utterances = read_pairs(path, COLUMNS)
    assert [(u.id, u.text, u.speaker) for u in utterances] == [
        ("a", 'she said "no", twice', "ann"),
        ("b", "yes", "bob"),
    ]
    assert utterances[0].audio.source == str(tmp_path / "wav/a.wav")
    assert find_table(tmp_path, "train") == path
    assert [u.text for u in read_pairs(path, COLUMNS, str.upper)][1] == "YES"


def test_text_alone_and_ids_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, "csv")
    assert [u.id for u in read_pairs(path, PairColumns("sentence", ""))] == [
        "line0000002",
        "line0000003",
    ]
    assert [u.id for u in read_pairs(path, PairColumns("sentence", "path", "who"))] == [
        "ann",
        "bob",
    ]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_a_column_that_is_not_there(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    first = 1 if kind == "jsonl" else 2
    with pytest.raises(DataError) as error:
        read_pairs(path, PairColumns("sentense", "path"))
    assert f"{path}:{first}: there is no column 'sentense', did you mean" in str(error.value)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sentence": ""}, "'sentence' is empty"),
        ({"path": "wav/c.wav"}, "there is no "),
        ({"path": "wav/a.wav"}, "the id a also stands in line"),
        ({"sentence": "?!"}, "nothing is left of '?!'"),
    ],
)
def test_a_row_with_a_fault(
    tmp_path: Path, kind: str, change: dict[str, object], message: str
) -> None:
    path = write(tmp_path, kind, [ROWS[0], {**ROWS[1], **change}])
    line = 2 if kind == "jsonl" else 3
    with pytest.raises(DataError) as error:
        read_pairs(path, COLUMNS, lambda text: text.strip("?!"))
    assert f"{path}:{line}: {message}" in str(error.value)


def test_broken_tables(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text('text,audio\nyes,"a.wav\n')
    with pytest.raises(DataError, match=r"train.csv:2: broken row"):
        read_pairs(path, PairColumns())
    path.write_text("text,audio\nyes\n")
    with pytest.raises(DataError, match=r"train.csv:2: 1 cells, but 2 columns"):
        read_pairs(path, PairColumns())
    path.write_text("text,text\nyes,no\n")
    with pytest.raises(
        DataError, match=r"train.csv:1: the first line must name the columns, each once"
    ):
        read_pairs(path, PairColumns())
    path.write_bytes(b"text,audio\nol\xe1,a.wav\n")
    with pytest.raises(DataError, match=r"train.csv:2: line is not UTF-8\n  -> convert"):
        read_pairs(path, PairColumns())
    (tmp_path / "train.jsonl").touch()
    with pytest.raises(DataError, match=r"2 of train.csv, train.tsv, train.jsonl are there"):
        find_table(tmp_path, "train")


def test_an_odd_id(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", [{**ROWS[0], "who": "../ann"}])
    with pytest.raises(DataError, match=r"train.csv:2: id holds '/'"):
        read_pairs(path, PairColumns("sentence", "path", "who"))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_names_of_columns(tmp_path: Path, kind: str) -> None:
    assert column_names(write(tmp_path, kind)) == ["path", "sentence", "who"]
    (tmp_path / f"train.{kind}").write_text("")
    said = "there is no utterance in it" if kind == "jsonl" else "the first line must name"
    with pytest.raises(DataError, match=said):
        column_names(tmp_path / f"train.{kind}")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_the_sides_of_a_file(tmp_path: Path, kind: str) -> None:
    rows = [
        {"path": "wav/a.wav", "sentence": "yes", "utt": f"a{side}", "side": side} for side in (0, 1)
    ]
    columns = PairColumns("sentence", "path", "utt", "", "side")
    found = read_pairs(write(tmp_path, kind, rows), columns)
    assert [(u.id, u.audio.channel) for u in found] == [("a0", 0), ("a1", 1)]
    rows[1]["side"] = "left"
    with pytest.raises(DataError, match="'side': channel is not a number from 0: 'left'") as caught:
        read_pairs(write(tmp_path, kind, rows), columns)
    assert caught.value.line == (2 if kind == "jsonl" else 3)
