"""What records make a data dir, and what is refused, with the line where it stands."""

import json
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import read_table
from speechllm.data.exchange.formats import csv, jsonl, nemo, slam, tsv
from speechllm.data.exchange.importing import import_set
from speechllm.errors import DataError, SpeechLLMError

GOOD = {"id": "u1", "audio": "a.wav", "text": "hello", "speaker": "s", "duration": 1.5}


def written(tmp_path: Path, *rows: dict | str) -> Path:
    path = tmp_path / "corpus/set.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def imported(path: Path, form=jsonl, out: str = "set", **options) -> Path:
    names = ("number_ids", "text_only", "allow_pipes")
    ours = {name: options.pop(name) for name in names if name in options}
    out_path = path.parents[1] / out
    root = options.pop("audio_root", path.parent)
    import_set(form.read(path, **options), out_path, audio_root=root, **ours)
    return out_path


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{oops", "broken JSON: Expecting property name"),
        ('{"id": "u2", "text": "x", "duration": NaN}', "broken JSON: NaN is not JSON"),
        ("[1, 2]", "not a JSON object"),
        ("[" * 100_000, "broken JSON: values lie too deep"),
        ({**GOOD, "text": "a \ud800"}, r"broken JSON: half a character: \\ud800"),
        ({**GOOD, "id": "two words"}, "id is empty or holds a space or a control character"),
        ({**GOOD, "id": "../../etc"}, "id holds '/'"),
        ({**GOOD, "id": 1.5}, "id is not a string: 1.5"),
        ({**GOOD}, "the id u1 also stands in line 1"),
        ({**GOOD, "id": "", "audio": None}, "there is no id"),
        ({**GOOD, "id": "u2", "text": "  "}, "there is no text, or it is empty"),
        ({**GOOD, "id": "u2", "text": None}, "there is no 'text', or it is empty"),
        ({**GOOD, "id": "u2", "text": ["x"]}, "text is not a string"),
        ({"id": "u2", "txt": "x"}, "there is no 'text', or it is empty, did you mean 'txt'"),
        ({**GOOD, "id": "u2", "audio": "cat x |"}, "u2: shell commands are not allowed"),
        ({**GOOD, "id": "u2", "audio": "https://x/a.wav"}, "no file of this machine"),
        ({**GOOD, "id": "u2", "speaker": "John Doe"}, "speaker 'John Doe': id is empty or holds"),
        ({**GOOD, "id": "u2", "duration": "long"}, "not a number of seconds: 'long'"),
        ({**GOOD, "id": "u2", "duration": True}, "not a number of seconds: True"),
        ({**GOOD, "id": "u2", "duration": "1e999999999"}, "not a number of seconds: '1e999"),
        ({**GOOD, "id": "u2", "duration": "-1e-999999999"}, "not a number of seconds: '-1e-999"),
        ({**GOOD, "id": "u2", "duration": "9" * 99_999}, "not a number of seconds: '999"),
        ({**GOOD, "id": "u2", "start": 0, "end": 1e300}, r"not a number of seconds: 1e\+300"),
        ({**GOOD, "id": "u2", "text": ["x" * 10**7]}, r"text is not a string: \['xxx"),
        ({**GOOD, "id": "u2", "entities": [{"type": "\udc00", "text": "a"}]}, "half a character"),
        ({**GOOD, "id": "u2", "duration": 0}, "u2 has a duration of 0 s"),
        ({**GOOD, "id": "u2", "start": 2, "end": 1}, "u2 is cut from 2 to 1 s"),
        ({**GOOD, "id": "u2", "start": -1, "end": 1}, "u2 is cut from -1 to 1 s"),
        ({**GOOD, "id": "u2", "start": 0, "recording": "u1", "audio": "b.wav"}, "recording u1 is"),
        ({**GOOD, "id": "u2", "start": 0, "recording": "a b"}, "recording 'a b': id is empty"),
        ({**GOOD, "id": "u2", "entities": [1]}, "entities are not a list"),
        ({**GOOD, "id": "u2", "audio": ""}, r"no audio, while others have some: 1 \(u2\)"),
        ({**GOOD, "id": "u2", "tables.text": "x"}, "a table cannot be called 'text'"),
        ({**GOOD, "id": "u2", "tables.../x": "x"}, "a table cannot be called"),
        ({**GOOD, "id": "u2", "tables.x": "x\ny"}, "line end in 'x' of u2"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path, row, message):
    path = written(tmp_path, GOOD, "", row)
    with pytest.raises(DataError, match=message) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}:3: ") and len(str(caught.value)) < 1500
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        imported(tmp_path / "corpus/set.jsonl")
    path = written(tmp_path, GOOD)
    path.write_bytes(path.read_bytes() + b'{"id": "caf\xe9"}\n')
    with pytest.raises(DataError, match=r"set\.jsonl:2: line is not UTF-8"):
        imported(path)
    path.write_text("")
    with pytest.raises(DataError, match="there is no utterance"):
        imported(path)
    packed = path.with_name("set.jsonl.gz")
    packed.write_text("no gzip")
    with pytest.raises(DataError, match="gzip file is damaged"):
        imported(packed)


def test_relative_paths_start_at_the_folder_of_the_source(tmp_path, monkeypatch):
    rows = ({**GOOD, "audio": "wav/a.wav"}, {**GOOD, "id": "u2", "audio": "/abs/b.wav"})
    path = written(tmp_path, *rows)
    wav = read_table(imported(path) / "wav.scp")
    assert wav == {"u1": f"{tmp_path}/corpus/wav/a.wav", "u2": "/abs/b.wav"}
    monkeypatch.chdir(tmp_path)
    wav = read_table(imported(Path("corpus/set.jsonl")) / "wav.scp")
    assert wav == {"u1": "corpus/wav/a.wav", "u2": "/abs/b.wav"}
    wav = read_table(imported(path, audio_root=Path(".")) / "wav.scp")
    assert wav["u1"] == "wav/a.wav"


def test_what_is_lacking_is_filled_up_and_said(tmp_path, caplog):
    rows = [{"audio": "x/a.wav", "text": "one\n two\tthree"}, {**GOOD, "lang": "en"}]
    out = imported(written(tmp_path, *rows))
    assert (out / "text").read_text() == "a one two three\nu1 hello\n"
    assert read_table(out / "utt2spk") == {"a": "a", "u1": "s"}
    assert not (out / "utt2dur").exists()
    assert "line ends and tabs in transcripts became blanks: 1 (a (U+000A, col" in caplog.text
    assert "no speaker, so each its own: 1 (a)" in caplog.text
    assert f"no utt2dur, for want of durations: 1 (a); speechllm data fix {out}" in caplog.text
    assert "not taken: lang (1 rows); --keep COLUMN makes a table of it" in caplog.text


def test_ids_are_numbered_where_that_is_asked_for(tmp_path):
    rows = [{"id": "two words", "text": "one", "speaker": 1272}, {"text": "two"}]
    out = imported(written(tmp_path, *rows), number_ids="med-")
    assert (out / "text").read_text() == "med-0000001 one\nmed-0000002 two\n"
    assert (out / "utt2spk").read_text() == "med-0000001 1272\nmed-0000002 med-0000002\n"


def test_transcripts_alone(tmp_path):
    out = imported(written(tmp_path, GOOD, {"id": "u2", "text": "x"}), text_only=True)
    assert (out / "text").read_text() == "u1 hello\nu2 x\n"
    assert not (out / "wav.scp").exists() and not (out / "utt2dur").exists()


def test_recordings_of_one_name_are_told_apart(tmp_path):
    rows = [
        {"id": f"u{n}", "audio": f"{name}/x.wav", "text": "t", "start": n, "end": n + 1}
        for n, name in enumerate(["anna", "bert", "anna"])
    ]
    out = imported(written(tmp_path, *rows), audio_root=Path("."))
    assert read_table(out / "wav.scp") == {"x": "anna/x.wav", "bert-x": "bert/x.wav"}
    assert [line.split()[1] for line in (out / "segments").open()] == ["x", "bert-x", "x"]


def test_a_set_with_some_cuts_has_segments_for_all(tmp_path):
    out = imported(written(tmp_path, GOOD, {**GOOD, "id": "u2", "audio": "b.wav", "end": 0.5}))
    assert (out / "segments").read_text() == "u1 u1 0.0000 -1\nu2 b 0.0000 0.5000\n"


def test_a_data_dir_is_replaced_as_a_whole_and_nothing_else_is(tmp_path):
    path = written(tmp_path, GOOD)
    out = imported(path)
    (out / "phones").write_text("u1 h e\n")
    assert not (imported(path) / "phones").exists()
    (out / "notes").mkdir()
    with pytest.raises(DataError, match="there is something else in the place of the result"):
        imported(path)
    assert read_table(out / "text") == {"u1": "hello"}


def test_slam_and_nemo_lines_of_others(tmp_path):
    line = {"key": "music_0014-00000", "source": "/x/music_0014-00000.wav", "target": "AND GOOD"}
    out = imported(written(tmp_path, line), slam)
    assert (out / "text").read_text() == "music_0014-00000 AND GOOD\n"
    assert (out / "wav.scp").read_text() == "music_0014-00000 /x/music_0014-00000.wav\n"
    rows = [
        {"audio_filepath": "a.wav", "duration": 3.45, "text": "one"},
        {"audio_filepath": "b.wav", "offset": 3.45, "duration": 1.45, "text": "two"},
    ]
    out = imported(written(tmp_path, *rows), nemo, audio_root=Path("."))
    assert (out / "segments").read_text() == ("a a 0.0000 -1\nb-0000345-0000490 b 3.4500 4.9000\n")
    assert (out / "utt2dur").read_text() == "a 3.4500\nb-0000345-0000490 1.4500\n"
    with pytest.raises(DataError, match=r"set\.jsonl:1: offset: not a number of seconds: 'x'"):
        imported(written(tmp_path, {**rows[1], "offset": "x"}), nemo)


CSV = 'id,sentence,path,note\n7,"one, ""two""\nthree",a.wav,\n8,four,b.wav,"x, y"\n'


def test_columns_of_a_csv_by_name(tmp_path, caplog):
    path = tmp_path / "corpus/set.csv"
    path.parent.mkdir()
    path.write_text("\ufeff" + CSV, encoding="utf-8")
    columns = {"text": "sentence", "audio": "path"}
    out = imported(path, csv, columns=columns)
    assert (out / "text").read_text() == '7 one, "two" three\n8 four\n'
    assert "not taken: note (1 rows)" in caplog.text
    out = imported(path, csv, columns=columns, keep=["note"])
    assert (out / "note").read_text() == "8 x, y\n"
    path.write_text(CSV.replace("\n8", "\n8,9"))
    with pytest.raises(DataError, match=r"set\.csv:4: 5 cells, but 4 columns"):
        imported(path, csv, columns=columns)
    path.write_text("id;text\n1;a,b\n")
    assert (imported(path, csv, delimiter=";") / "text").read_text() == "1 a,b\n"
    with pytest.raises(
        DataError, match="there is no 'text', or it is empty, did you mean 'id;text'"
    ):
        path.write_text("id;text\n1;a\n")
        imported(path, csv)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"text": "sentense"}}, "no 'sentense', or it is empty, did you mean"),
        ({"columns": {"speaker": "who"}}, "no row has a value for 'who'"),
        ({"keep": ["nota"]}, "no row has a value for 'nota', did you mean 'note'"),
        ({"columns": {"txt": "sentence"}}, "a record has no 'txt', did you mean 'text'"),
        ({"columns": {"text": "id", "id": "id"}}, "a column is named for two fields"),
        ({"keep": ["wav.scp"]}, "column 'wav.scp' cannot become a table"),
    ],
)
def test_columns_that_are_not_there(tmp_path, options, message):
    path = tmp_path / "corpus/set.csv"
    path.parent.mkdir()
    path.write_text(CSV)
    columns = {"text": "sentence", "audio": "path", **options.get("columns", {})}
    if "txt" in columns:
        del columns["text"]
    with pytest.raises(SpeechLLMError, match=message):
        imported(path, csv, columns=columns, keep=options.get("keep", ()))


def test_a_field_can_be_left_out(tmp_path, caplog):
    """Other corpora have other things under a name that is a field's."""
    path = written(
        tmp_path, {"id": 3, "text": "x", "entities": [{"span": [0, 1]}], "speaker": ["A"]}
    )
    with pytest.raises(DataError, match="speaker is not a string: \\['A'\\]"):
        imported(path)
    out = imported(path, columns={"entities": "", "speaker": ""})
    assert sorted(p.name for p in out.iterdir()) == ["text"]
    assert "not taken: entities (1 rows), speaker (1 rows)" in caplog.text


def test_a_tsv_knows_no_quotes(tmp_path):
    path = tmp_path / "corpus/set.tsv"
    path.parent.mkdir()
    path.write_text('id\ttext\nu1\t"open\nu2\t12" pipe\n')
    assert (imported(path, tsv) / "text").read_text() == 'u1 "open\nu2 12" pipe\n'
    path.write_text("id\tid\nu1\tx\n")
    with pytest.raises(DataError, match=r"set\.tsv:1: the first line must name the columns"):
        imported(path, tsv)


def test_characters_that_nobody_sees_are_mended_or_named(tmp_path, caplog):
    texts = ["you\x85can", "a\u2028b", "\ufeffwe\0", "we\u200bbundle", "می\u200cخواهم", "cafe\x92s"]
    rows = [{"id": f"u{n}", "audio": "a.wav", "text": text} for n, text in enumerate(texts)]
    out = imported(written(tmp_path, *rows))
    assert list(read_table(out / "text").values()) == ["you can", "a b", "we", *texts[3:]]
    assert "became blanks: 2 (u0 (U+0085, column 4), u1 (U+2028, column 2))" in caplog.text
    assert "left out: 1 (u2 (U+FEFF, column 1))" in caplog.text
    assert (
        f"check {out} says more): 2 (u3 (U+200B, column 3), u5 (U+0092, column 5))" in caplog.text
    )
