"""Recordings of two channels: mixed and said, or one that is named."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechllm
from speechllm.cli import main
from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.transcribe.recogniser import Recogniser


@pytest.fixture(scope="module")
def recogniser(packed: Path) -> Recogniser:
    return speechllm.load(packed)


@pytest.fixture
def sides(data: Path) -> list[np.ndarray]:
    """Two utterances of one length."""
    waves = [soundfile.read(data / f"wav/u-{n}.wav", dtype="float32")[0] for n in (0, 3)]
    return [wave[: min(map(len, waves))] for wave in waves]


@pytest.fixture
def texts(recogniser: Recogniser, sides: list[np.ndarray], tmp_path: Path) -> list[str]:
    """What is heard in each of them alone."""
    for n, wave in enumerate(sides):
        soundfile.write(tmp_path / f"side{n}.wav", wave, 16000)
    found = [t.text for t in recogniser.transcribe([tmp_path / f"side{n}.wav" for n in (0, 1)])]
    assert found[0] != found[1]
    return found


def test_channels_are_mixed_and_said_or_named(
    recogniser: Recogniser,
    packed: Path,
    sides: list[np.ndarray],
    texts: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = tmp_path / "call.wav"
    soundfile.write(call, np.stack(sides, axis=1), 16000)
    caplog.set_level(logging.WARNING)
    for n in (0, 1):
        (transcript,) = recogniser.transcribe(call, channel=n)
        assert transcript.text == texts[n] and not transcript.notes
    assert "channels" not in caplog.text
    caplog.clear()
    recogniser.transcribe([call, call])
    mixed = "2 channels are mixed down to their mean; --channel names one"
    said = [r.getMessage() for r in caplog.records if "guard" not in r.getMessage()]
    assert said == [f"{mixed}: 2 (call, call-2)"]
    main(["transcribe", "--model", str(packed), "--channel", "1", str(call)])
    assert capsys.readouterr().out == f"call {texts[1]}\n"
    write_data_dir(
        tmp_path / "set",
        text={"a": "x", "b": "x"},
        wav={"a": str(call), "b": str(call)},
        channels={"a": 0, "b": 1},
    )
    assert [t.text for t in recogniser.transcribe(tmp_path / "set")] == texts
    assert [t.text for t in recogniser.transcribe(tmp_path / "set", channel=1)] == [texts[1]] * 2


def test_a_channel_that_is_not_there(recogniser: Recogniser, data: Path, capsys) -> None:
    (transcript,) = recogniser.transcribe(data / "wav/u-0.wav", channel=1)
    assert transcript.error and transcript.error.reason == "there is no such channel"
    for word in ("-1", "A", "1.0"):
        with pytest.raises(SystemExit):
            main(["transcribe", "--model", "x", f"--channel={word}", str(data / "wav/u-0.wav")])
        assert "channel is not a number from 0" in capsys.readouterr().err


def test_channels_that_cancel_each_other_out(
    recogniser: Recogniser, sides: list[np.ndarray], tmp_path: Path, caplog
) -> None:
    path = tmp_path / "inverted.wav"
    soundfile.write(path, np.stack([sides[0], -sides[0]], axis=1), 16000, subtype="FLOAT")
    (transcript,) = recogniser.transcribe(path)
    assert transcript.text == "" and not transcript.pieces and not transcript.error
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "the channels cancel each other out: their mean is silent: 1 (inverted)" in said
    assert "all samples are equal: silence: 1 (inverted)" in said


def test_a_constant_offset_changes_no_piece(
    recogniser: Recogniser, sides: list[np.ndarray], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    speech = [rng.normal(0, 0.05, 16000 * n).astype(np.float32) for n in (3, 4)]
    wave = np.concatenate([speech[0], np.zeros(16000 * 30, np.float32), speech[1]])
    for name, offset in (("none", 0.0), ("some", 0.01)):
        soundfile.write(tmp_path / f"{name}.wav", wave + np.float32(offset), 16000)
    paths = [tmp_path / "none.wav", tmp_path / "some.wav"]
    none, some = recogniser.transcribe(paths, vad="energy")
    times = [(piece.start, piece.end) for piece in none.pieces]
    assert times == [(piece.start, piece.end) for piece in some.pieces] and len(times) == 2
