"""Tables are read strictly, and written sorted and whole."""

import subprocess
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import DataDir, read_table, write_data_dir, write_table
from speechllm.errors import DataError


def table(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "text"
    path.write_bytes(content)
    return path


def test_table_round_trip_sorts_in_c_locale(tmp_path):
    entries = {"b": "zwei wörter", "a_2": "", "B": "x", "a-1": "two  blanks"}
    write_table(tmp_path / "text", entries)
    assert read_table(tmp_path / "text") == entries
    lines = (tmp_path / "text").read_text(encoding="utf-8").splitlines()
    assert lines == ["B x", "a-1 two  blanks", "a_2", "b zwei wörter"]


def test_tab_and_blanks_separate_but_no_break_space_does_not(tmp_path):
    path = table(tmp_path, "a\tone two \nb  three\u00a0four\n".encode())
    assert read_table(path) == {"a": "one two", "b": "three\u00a0four"}


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"a x\na y\n", 2, "more than once: a"),
        (b"b x\na y\n", 2, "not sorted"),
        (b"a x\r\n", 1, "CRLF"),
        (b"a x\n\nb y\n", 2, "empty line"),
        (b"a x\nb caf\xe9\n", 2, "not UTF-8"),
        (b"\xef\xbb\xbfa x\n", 1, "byte-order mark"),
        (b"a x\nb/../c y\n", 2, "id holds '/'"),
        (b"a x\nb\x07 y\n", 2, "control character"),
        ("a\u00a0b y\n".encode(), 1, "space"),
    ],
)
def test_strict_reading_names_the_line(tmp_path, content, line, message):
    path = table(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert caught.value.remedy


def test_missing_table(tmp_path):
    with pytest.raises(DataError, match=r"text: cannot be read \(No such file"):
        read_table(tmp_path / "text")


@pytest.mark.parametrize("entries", [{"a b": "x"}, {"../a": "x"}, {"a": "x\ny"}, {"": "x"}])
def test_writing_refuses_what_cannot_be_read_back(tmp_path, entries):
    write_table(tmp_path / "text", {"old": "table"})
    with pytest.raises(DataError):
        write_table(tmp_path / "text", entries)
    assert read_table(tmp_path / "text") == {"old": "table"}
    assert [p.name for p in tmp_path.iterdir()] == ["text"]


def test_data_dir_round_trip(make_data_dir):
    path = make_data_dir(entities={"utt3": [{"type": "crop", "text": "sugar beets"}]})
    data = DataDir.load(path)
    assert data.name == "set_train"
    assert data.ids == ["utt1", "utt2", "utt3"]
    assert data.has_audio and data.audio["utt1"].source.endswith("utt1.wav")
    assert data.audio["utt1"].recording == "utt1"
    assert data.utt2dur["utt2"] == 1.0
    assert data.entities == {"utt3": [{"type": "crop", "text": "sugar beets"}]}
    assert read_table(path / "spk2utt") == {"spk0": "utt1 utt3", "spk1": "utt2"}


def test_segments_cut_recordings(tmp_path):
    write_data_dir(
        tmp_path / "s",
        text={"u1": "a", "u2": "b"},
        wav={"rec": "x.wav"},
        segments={"u1": ("rec", 0.0, 1.25), "u2": ("rec", 1.25, None)},
    )
    audio = DataDir.load(tmp_path / "s").audio
    assert (audio["u1"].source, audio["u1"].start, audio["u1"].end) == ("x.wav", 0.0, 1.25)
    assert (audio["u2"].start, audio["u2"].end) == (1.25, None)
    assert audio["u2"].recording == "rec"


def test_segments_without_recordings_are_refused(make_data_dir):
    path = make_data_dir(text={"utt1": "hello"})
    (path / "segments").write_text("utt1 utt1 0 0.5\n")
    (path / "wav.scp").unlink()
    with pytest.raises(DataError, match=r"segments: .* there is no wav\.scp\n  -> write"):
        DataDir.load(path)


def test_text_only_set(make_data_dir):
    path = make_data_dir(with_audio=False)
    data = DataDir.load(path)
    assert not data.has_audio
    assert not data.utt2spk and not data.utt2dur
    assert [p.name for p in path.iterdir()] == ["text"]


def test_writing_again_removes_tables_that_are_not_given(make_data_dir):
    make_data_dir()
    path = make_data_dir(with_audio=False)
    assert not (path / "wav.scp").exists() and not (path / "spk2utt").exists()


def test_loading_refuses_tables_that_do_not_fit(make_data_dir):
    path = make_data_dir()
    text = read_table(path / "text")
    write_table(path / "text", {**text, "utt9": "no audio"})
    with pytest.raises(DataError, match=r"text without audio: 1 \(utt9\)") as caught:
        DataDir.load(path)
    assert caught.value.remedy == f"speechllm data fix {path}"
    del text["utt2"]
    write_table(path / "text", text)
    with pytest.raises(DataError, match=r"audio without text: 1 \(utt2\)"):
        DataDir.load(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("segments", "utt1 utt1 0\n", "segments:1: utt1: segment is not"),
        ("segments", "utt1 utt1 2 1\n", "ends before"),
        ("segments", "utt1 utt1 0 inf\n", "not numbers"),
        ("segments", "utt1 other 0 1\n", "recording other .* not in wav.scp"),
        ("utt2dur", "utt1 fast\n", "utt2dur:1: utt1"),
        ("utt2dur", "utt1 nan\n", "not a number > 0"),
        ("entities", "utt1 [{]\n", "entities:1: utt1"),
        ("entities", 'utt1 {"type": "crop"}\n', "not a list"),
        ("entities", 'utt9 [{"type": "crop", "text": "beet"}]\n', "entities without text"),
    ],
)
def test_loading_refuses_malformed_values(make_data_dir, name, content, message):
    path = make_data_dir(text={"utt1": "hello"})
    (path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        DataDir.load(path)


def test_missing_and_empty_text(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        DataDir.load(tmp_path)
    (tmp_path / "text").touch()
    with pytest.raises(DataError, match="empty"):
        DataDir.load(tmp_path)


def test_without_text_no_transcript_is_within_reach(make_data_dir):
    path = make_data_dir(entities={"utt1": [{"type": "greeting", "text": "hello"}]})
    data = DataDir.load(path, with_text=False)
    assert data.text == {"utt1": "", "utt2": "", "utt3": ""}
    assert data.ids == ["utt1", "utt2", "utt3"] and data.entities == {}
    (path / "text").unlink()
    assert DataDir.load(path, with_text=False).audio == data.audio
    with pytest.raises(DataError, match="no audio"):
        DataDir.load(make_data_dir("words", with_audio=False), with_text=False)


HARMLESS = [
    b"b x\na y\n",
    b"a y\r\nb x\r\n",
    b"a y\n\n \nb x\n",
    b"\xef\xbb\xbfa y\nb x\n",
]


@pytest.mark.parametrize("content", HARMLESS)
def test_what_is_harmless_is_taken_from_files_of_other_tools(tmp_path, content):
    assert list(read_table(table(tmp_path, content), strict=False).items()) == [
        ("a", "y"),
        ("b", "x"),
    ]


@pytest.mark.parametrize("name", ["text", "my hyps"])
@pytest.mark.parametrize("content", HARMLESS)
def test_the_remedy_of_a_tidy_up_is_a_command_that_works(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(path)
    subprocess.run(["bash", "-c", caught.value.remedy], check=True, capture_output=True)
    assert read_table(path) == {"a": "y", "b": "x"}


def test_fix_is_advised_where_it_can_mend(tmp_path):
    def remedy(path):
        with pytest.raises(DataError) as caught:
            read_table(path)
        return caught.value.remedy

    path = table(tmp_path, b"a x\na x\n")
    assert f"speechllm data fix {tmp_path};" in remedy(path)
    table(tmp_path, b"a x\na y\n")
    assert remedy(path).startswith("delete one of its lines")
    (tmp_path / "semantics").write_text("b x\na x\n")
    assert "LC_ALL=C sort" in remedy(tmp_path / "semantics")


@pytest.mark.parametrize("strict", [True, False])
def test_an_id_that_stands_twice_is_never_taken(tmp_path, strict):
    with pytest.raises(DataError, match="more than once: a\n  -> delete one of its lines"):
        read_table(table(tmp_path, b"a x\na y\nb z\n"), strict)
