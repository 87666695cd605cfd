"""The quick check says of a set what the thorough one does, or leaves it to that."""

from pathlib import Path

import pytest

from speechllm.data.check.flawless import flawless
from speechllm.data.check.summary import summarise
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs import tidy
from speechllm.data.dirs.kaldi import DataDir, write_data_dir
from speechllm.data.dirs.tables import Fault, read_table, scan_table
from speechllm.errors import DataError
from speechllm.task import load_tasks

TEXT = {f"s{n // 3}-{n:03}": f"die K\u00fche {n} grasen {'wie ' * (n % 5)}heute" for n in range(40)}
SPEAKERS = {utt: utt.partition("-")[0] for utt in TEXT}
HOSTILE = {
    "CRLF": b"a 1\r\nb 2\r\n",
    "BOM": b"\xef\xbb\xbfa 1\nb 2\n",
    "duplicate": b"a 1\na 1\nb 2\n",
    "other duplicate": b"a 1\nb 2\na 3\n",
    "unsorted": b"b 1\na 2\n",
    "tabs": b"a\t1\nb 2\t3\n",
    "tab first": b"\ta 1\n",
    "no-break space": "a\u00a01\nb 2\u00a03\n".encode(),
    "line separator": "a 1\u20282\nb \x0b3\x1c4\x85\n".encode(),
    "empty line": b"a 1\n\nb 2\n",
    "empty first line": b"\na 1\n",
    "empty lines last": b"a 1\n\n\n",
    "blank line": b"a 1\n  \nb 2\n",
    "blanks around": b" a 1\nb 2 \n",
    "blank last": b"a 1\nb 2 ",
    "many blanks": b"a   1  2\nb 3\n",
    "no value": b"a\nb 2\nc\n",
    "value of blanks": b"a  \nb 2\n",
    "no newline": b"a 1\nb 2",
    "odd ids": b"../a 1\nb/c 2\nd\\e 3\n",
    "dots": b"a.b 1\nc..d 2\n",
    "unseen id": "a\u200b 1\nb 2\n".encode(),
    "foreign id": "\u00e4 1\n\u00fc 2\n".encode(),
    "control": b"a 1\x1b[0m\nb 2\x00\n",
    "not UTF-8": b"a \xe9\nb 2\n",
    "UTF-16": "a 1\nb 2\n".encode("utf-16-le"),
    "marker": b"a <speech>\nb 2\n",
    "joiner": "a \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\nb \u200d2\n".encode(),
    "decomposed": "a e\u0301\nb \u03012\n".encode(),
    "empty": b"",
    "newline alone": b"\n",
}


@pytest.fixture(params=(1, 7, 1 << 20), autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Borders of blocks fall on each line, on some, and on none."""
    monkeypatch.setattr(tidy, "BLOCK", request.param)


def slowly(path: Path, call, monkeypatch: pytest.MonkeyPatch):
    """What `call` does where no table is tidy."""

    def refuse(path: Path):
        raise tidy.Untidy(path)

    with monkeypatch.context() as patch:
        patch.setattr("speechllm.data.dirs.tables.tidy_blocks", refuse)
        return call(path)


def rows(path: Path) -> tuple:
    faults: list[Fault] = []
    try:
        return scan_table(path, faults.append), faults
    except DataError as error:
        return error.message, faults


def table(path: Path, strict: bool) -> object:
    try:
        return list(read_table(path, strict).items())
    except DataError as error:
        return error.message


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_are_read_alike_tidy_or_not(name: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "text"
    for content in (HOSTILE[name], b"0 0\n" * (name != "BOM") + HOSTILE[name]):
        path.write_bytes(content)
        assert rows(path) == slowly(path, rows, monkeypatch)
        for strict in (True, False):
            found = table(path, strict)
            assert found == slowly(path, lambda path: table(path, strict), monkeypatch)  # noqa: B023


@pytest.mark.parametrize("file", ["text", "utt2spk", "spk2utt"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_complaint_is_lost(name: str, file: str, tmp_path: Path) -> None:
    good = {"text": b"a 1\nb 2\n", "utt2spk": b"a 1\nb 2\n", "spk2utt": b"1 a\n2 b\n"}
    for table, content in (good | {file: HOSTILE[name]}).items():
        (tmp_path / table).write_bytes(content)
    if size := flawless(tmp_path, others=load_tasks()):
        assert check_data_dir(tmp_path) == []
        assert size == summarise(DataDir.load(tmp_path))


def test_a_set_of_the_usual_kind_is_known(tmp_path: Path) -> None:
    write_data_dir(tmp_path, text=TEXT, utt2spk=SPEAKERS)
    assert flawless(tmp_path, others=load_tasks()) == summarise(DataDir.load(tmp_path))
    (tmp_path / "spk2utt").unlink()
    assert flawless(tmp_path, others=load_tasks())
    (tmp_path / "utt2spk").unlink()
    assert flawless(tmp_path, others=load_tasks()) == summarise(DataDir.load(tmp_path))


def test_what_an_llm_cannot_read_is_left_to_the_thorough_check(tmp_path: Path) -> None:
    write_data_dir(tmp_path, text=TEXT)
    assert flawless(tmp_path, lambda text: None)
    assert flawless(tmp_path, lambda text: "too long" if " 39 " in text else None) is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("utt2spk", "a 1\n"),
        ("utt2spk", "a 1\nb 2\nc 3\n"),
        ("utt2spk", "a 1\nb\n"),
        ("utt2spk", "a 1\nb 2 3\n"),
        ("spk2utt", "1 a\n"),
        ("spk2utt", "1 a\n2 b\n3 b\n"),
        ("spk2utt", "1 a b\n2 b\n"),
        ("spk2utt", "1 a\n2 b b\n"),
        ("entities", "a []\n"),
        ("bias_words", "a\n"),
        ("utt2dur", "a 1\n"),
        ("semantics", "a {}\n"),
    ],
)
def test_tables_that_disagree_and_others_are(file: str, content: str, tmp_path: Path) -> None:
    write_data_dir(tmp_path, text={"a": "1", "b": "2"}, utt2spk={"a": "1", "b": "2"})
    assert flawless(tmp_path, others=load_tasks())
    (tmp_path / file).write_text(content)
    assert flawless(tmp_path, others=load_tasks()) is None
