"""Sizes of sets, the mark of a checked set, and what two sets share."""

from dataclasses import replace
from pathlib import Path

from speechllm.data.check.summary import (
    MARK,
    SetSummary,
    read_mark,
    shared_transcripts,
    summarise,
    write_mark,
)
from speechllm.data.dirs.kaldi import DataDir

SIZE = SetSummary(utterances=3, seconds=3.0, speakers=2, words=7, distinct_words=7)


def test_sizes(make_data_dir):
    path = make_data_dir()
    assert summarise(DataDir.load(path)) == SIZE
    (path / "utt2dur").unlink()
    assert summarise(DataDir.load(path)) == SIZE, "measured where not on file"
    text_only = make_data_dir("t", with_audio=False)
    assert summarise(DataDir.load(text_only)) == replace(SIZE, seconds=0, speakers=0)


def test_mark_holds_until_a_table_or_an_option_changes(make_data_dir):
    path = make_data_dir()
    assert read_mark(path, {"full": False}) is None
    write_mark(path, {"full": False}, SIZE, warnings=2)
    assert read_mark(path, {"full": False}) == (SIZE, 2)
    assert read_mark(path, {"full": True}) is None
    with open(path / "text", "a") as stream:
        stream.write("utt4 more\n")
    assert read_mark(path, {"full": False}) is None


def test_mark_holds_for_another_time_and_not_for_other_audio_or_content(make_data_dir):
    path = make_data_dir()
    write_mark(path, {}, SIZE, warnings=0)
    (path / "text").touch()
    assert read_mark(path, {}) == (SIZE, 0)
    wav = Path(DataDir.load(path).audio["utt1"].source)
    wav.write_bytes(wav.read_bytes()[:-2])
    assert read_mark(path, {}) is None
    write_mark(path, {}, SIZE, warnings=0)
    (path / "text").write_text((path / "text").read_text().replace("hello", "hallo"))
    assert read_mark(path, {}) is None


def test_damaged_mark_means_checking_again(make_data_dir, caplog):
    path = make_data_dir()
    (path / MARK).write_text('{"fingerprint": ')
    assert read_mark(path, {}) is None
    assert "damaged" in caplog.text


def test_shared_transcripts(make_data_dir):
    train = make_data_dir(
        "a_train", text={"t1": "hello world", "t2": "bye", "t3": ""}, with_audio=False
    )
    test = make_data_dir(
        "a_test", text={"x1": "Hello  World", "x2": "by", "x3": ""}, with_audio=False
    )
    assert shared_transcripts(DataDir.load(train), DataDir.load(test)) == ["x1"]
