"""Several sets as one: all tables joined, clashes refused, what is dropped said."""

import pytest

from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.combine import combine
from speechllm.data.dirs.kaldi import read_table, write_data_dir, write_table
from speechllm.data.dirs.set_tables import read_set
from speechllm.errors import DataError


def joined(tmp_path, *paths):
    combine([read_set(path) for path in paths], tmp_path / "all").write(tmp_path / "all")
    return tmp_path / "all"


def test_whole_files(make_data_dir, tmp_path, caplog):
    one = make_data_dir("one", text={"b": "x", "d": "y"})
    entities = {"a": [{"type": "t", "text": "z"}]}
    two = make_data_dir("two", text={"a": "z", "c": "w"}, entities=entities)
    for path in (one, two):
        write_table(path / "utt2lang", dict.fromkeys(read_table(path / "text"), "en"))
    write_table(two / "phones", {"a": "p"})
    out = joined(tmp_path, one, two)
    assert (out / "text").read_text() == "a z\nb x\nc w\nd y\n"
    assert (out / "spk2utt").read_text() == "spk0 a b\nspk1 c d\n"
    assert list(read_table(out / "entities")) == ["a"]
    assert set(read_table(out / "utt2lang")) == {"a", "b", "c", "d"}
    assert not (out / "phones").exists()
    assert f"{two}/phones: dropped: {one} has no such table" in caplog.text
    assert check_data_dir(out) == []


def test_files_and_cuts(make_data_dir, tmp_path):
    files = make_data_dir("files", text={"u1": "x"})
    cut = tmp_path / "data/cut"
    wav = {"rec": read_table(make_data_dir("rec", text={"r": "-"}) / "wav.scp")["r"]}
    write_data_dir(
        cut,
        text={"a": "y", "b": "z"},
        wav=wav,
        segments={"a": ("rec", 0.0, 0.5), "b": ("rec", 0.5, None)},
        utt2dur={"a": 0.5, "b": 0.5},
    )
    out = joined(tmp_path, files, cut)
    assert (out / "segments").read_text() == (
        "a rec 0.0000 0.5000\nb rec 0.5000 -1\nu1 u1 0.0000 -1\n"
    )
    assert list(read_table(out / "wav.scp")) == ["rec", "u1"]
    assert check_data_dir(out) == []


def test_sets_that_share_recordings_and_speakers(tmp_path):
    for name, start in (("one", 0.0), ("two", 1.0)):
        write_data_dir(
            tmp_path / name,
            text={name: "x"},
            wav={"rec": "x.wav"},
            segments={name: ("rec", start, start + 1)},
            utt2spk={name: "s"},
        )
        write_table(tmp_path / name / "spk2gender", {"s": "f"})
    out = joined(tmp_path, tmp_path / "one", tmp_path / "two")
    assert (out / "wav.scp").read_text() == "rec x.wav\n"
    assert (out / "spk2gender").read_text() == "s f\n"
    write_table(tmp_path / "two/spk2gender", {"s": "m"})
    with pytest.raises(DataError, match=r"two/spk2gender: .* with another value: 1 \(s\)"):
        joined(tmp_path, tmp_path / "one", tmp_path / "two")


def test_bias_lists_of_whole_files_and_cuts_are_joined(make_data_dir, tmp_path):
    one, two = make_data_dir("one", text={"a": "z"}), make_data_dir("two", text={"b": "x"})
    write_table(two / "segments", {"b": "b 0.0 0.5"})
    for path, word in ((one, "maize"), (two, "rye")):
        (path / "bias_words").write_text(f"{word}\n")
    assert (joined(tmp_path, one, two) / "bias_words").read_text() == "maize\nrye\n"


def test_clashes(make_data_dir, tmp_path):
    one = make_data_dir("one", text={"a": "x", "b": "y"})
    two = make_data_dir("two", text={"b": "y"})
    words = make_data_dir("words", text={"c": "z"}, with_audio=False)
    with pytest.raises(DataError, match=r"two/text: stand in an earlier set too: 1 \(b\)"):
        joined(tmp_path, one, two)
    with pytest.raises(DataError, match=r"words: no audio, but .*one has some"):
        joined(tmp_path, one, words)
    with pytest.raises(DataError, match="this folder is to be written, and holds"):
        combine([read_set(one), read_set(words)], one)
    assert not (tmp_path / "all").exists()
