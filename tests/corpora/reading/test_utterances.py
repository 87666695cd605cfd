"""Data dirs made of what readers give."""

import logging
from pathlib import Path

import pytest

from speechllm.corpora.reading.utterances import Utterance, say_left_out, write_set
from speechllm.data.dirs.kaldi import Audio, DataDir, read_table
from speechllm.errors import DataError
from tests.helpers.corpora import make_wave


def test_whole_files(tmp_path: Path) -> None:
    files = [make_wave(tmp_path / f"{n}.wav", 0.5 + n) for n in range(3)]
    spoken = [Utterance(f"u{n}", f"text {n}", Audio(str(f)), "s") for n, f in enumerate(files)]
    write_set(tmp_path / "set", spoken[::-1])
    data = DataDir.load(tmp_path / "set")
    assert data.ids == ["u0", "u1", "u2"] and data.utt2spk["u0"] == "s"
    assert data.utt2dur == {"u0": 0.5, "u1": 1.5, "u2": 2.5}


def test_cuts_of_one_recording(tmp_path: Path) -> None:
    wav = str(make_wave(tmp_path / "call.wav", 3))
    write_set(
        tmp_path / "set",
        [
            Utterance("c-1", "one", Audio(wav, 0.0, 1.25, "call")),
            Utterance("c-2", "two", Audio(wav, 1.5, 2.0, "call")),
        ],
    )
    assert read_table(tmp_path / "set/wav.scp") == {"call": wav}
    data = DataDir.load(tmp_path / "set")
    assert (data.audio["c-2"].start, data.audio["c-2"].end) == (1.5, 2.0)
    assert data.utt2dur == {"c-1": 1.25, "c-2": 0.5} and data.utt2spk["c-1"] == "c-1"


def test_a_limit_takes_the_same_ones_and_text_alone_has_no_audio(tmp_path: Path) -> None:
    text = [Utterance(f"u{n}", "text") for n in range(50)]
    for name in "ab":
        write_set(tmp_path / name, text, limit=7)
    few = DataDir.load(tmp_path / "a")
    assert len(few.ids) == 7 and not few.has_audio
    assert few.ids == DataDir.load(tmp_path / "b").ids
    write_set(tmp_path / "c", text, limit=70)
    assert len(DataDir.load(tmp_path / "c").ids) == 50


@pytest.mark.parametrize(
    ("utterances", "message"),
    [
        ([], "there is no utterance for this set"),
        ([Utterance("a", "x"), Utterance("a", "y")], r"ids that stand twice: 1 \(a\)"),
        ([Utterance("a", " ")], r"without a transcript: 1 \(a\)"),
        ([Utterance("a", "x", Audio("a.wav")), Utterance("b", "x")], r"without audio: 1 \(b\)"),
        ([Utterance("a", "x", Audio("none.wav"))], "audio file is missing"),
    ],
)
def test_sets_that_cannot_be(tmp_path: Path, utterances: list[Utterance], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_set(tmp_path / "set", utterances)
    assert not (tmp_path / "set").exists()


def test_what_is_left_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        say_left_out("too loud", [])
        assert not caplog.text
        say_left_out("too loud", ["a", "b"])
    assert "left out, too loud: 2 (a, b)" in caplog.text
