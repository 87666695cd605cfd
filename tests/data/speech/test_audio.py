"""Audio: formats, channels, rates, cuts, commands, and every kind of bad file."""

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech import pipe
from speechllm.data.speech.audio import (
    AudioError,
    SegmentError,
    audio_duration,
    copy_utterance,
    load_audio,
    read_header,
)
from speechllm.errors import DataError


@pytest.fixture
def wav(tmp_path, tone):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(2.0), 16000)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "nist"])
def test_formats(tmp_path, tone, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), 16000)
    samples = load_audio(Audio(str(path)))
    assert samples.dtype == np.float32
    assert samples.shape == (16000,)
    np.testing.assert_allclose(samples, tone(), atol=0.03 if suffix == "ogg" else 1e-4)


def test_channels_are_averaged(tmp_path, tone):
    left, right = tone(hertz=300), tone(hertz=700)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([left, right], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(Audio(str(path))), (left + right) / 2, atol=1e-6)
    assert read_header(Audio(str(path))).channels == 2


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_other_rates_are_resampled(tmp_path, tone, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate=rate), rate, subtype="FLOAT")
    samples = load_audio(Audio(str(path)))
    assert abs(len(samples) - 16000) <= 1
    inner = slice(1000, 15000)  # the ends ring
    np.testing.assert_allclose(samples[inner], tone()[inner], atol=2e-3)


def test_segment_is_cut_to_the_sample(wav, tone):
    cut = Audio(str(wav), 0.5, 1.25)
    np.testing.assert_allclose(load_audio(cut), tone(2.0)[8000:20000], atol=1e-4)
    assert audio_duration(cut) == 0.75
    assert audio_duration(Audio(str(wav), 0.5)) == 1.5
    assert audio_duration(Audio(str(wav))) == 2.0


def test_segment_may_end_a_little_beyond_the_file(wav):
    assert len(load_audio(Audio(str(wav), 1.0, 2.04))) == 16000
    with pytest.raises(SegmentError, match=r"beyond the end.* 1\.00 to 2\.10 s of 2\.00 s"):
        load_audio(Audio(str(wav), 1.0, 2.1))
    with pytest.raises(SegmentError, match="beyond the end"):
        audio_duration(Audio(str(wav), 2.0, 2.04))
    with pytest.raises(SegmentError, match="no sample"):
        audio_duration(Audio(str(wav), 1.0, 1.00001))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_samples(tmp_path, tone, bad):
    samples = tone()
    samples[100] = bad
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN or Inf"):
        load_audio(Audio(str(path)))
    assert read_header(Audio(str(path))).is_float


def test_zero_length(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 16000)
    with pytest.raises(AudioError, match="zero length"):
        load_audio(Audio(str(path)))
    with pytest.raises(AudioError, match="zero length"):
        audio_duration(Audio(str(path)))


def test_missing_and_unreadable_files_name_the_entry(tmp_path):
    missing = Audio(str(tmp_path / "no.wav"), recording="rec7")
    with pytest.raises(AudioError, match=r"wav\.scp entry 'rec7 .*no\.wav': audio file is missing"):
        load_audio(missing)
    (tmp_path / "text.wav").write_text("this is no audio")
    with pytest.raises(AudioError, match="cannot be read") as caught:
        audio_duration(Audio(str(tmp_path / "text.wav"), recording="rec8"))
    assert caught.value.reason == "audio file cannot be read"
    (tmp_path / "a.raw").write_bytes(b"\0" * 100)
    with pytest.raises(AudioError, match="cannot be read"):
        load_audio(Audio(str(tmp_path / "a.raw")))


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_half_copied_file(tmp_path, tone, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(2.0), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"truncated|cannot be decoded"):
        load_audio(Audio(str(path)))


def test_wav_written_by_a_pipe_has_no_true_length(wav):
    """sox writes 0x7ffff000 bytes into the header when it cannot go back to correct it."""
    content = bytearray(wav.read_bytes())
    content[4:8] = (0x7FFFF024).to_bytes(4, "little")
    content[40:44] = (0x7FFFF000).to_bytes(4, "little")
    wav.write_bytes(content)
    assert audio_duration(Audio(str(wav))) == 2.0


def test_commands_are_refused_unless_allowed(wav, tmp_path):
    command = Audio(f"touch {tmp_path}/ran; cat {wav} |", 0.5, 1.0, "rec1")
    with pytest.raises(AudioError, match=r"rec1 .*shell commands are not allowed") as caught:
        load_audio(command)
    assert "allow_pipes" in caught.value.remedy
    assert not (tmp_path / "ran").exists()
    np.testing.assert_array_equal(
        load_audio(command, allow_pipes=True), load_audio(Audio(str(wav), 0.5, 1.0))
    )
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cat {wav}; echo 'no such option' >&2; exit 3 |", "exit status 3: no such option"),
        ("cat /nonexistent.wav | cat |", "exit status 1"),
        ("false |", "exit status 1$"),
        ("echo this is no audio |", "cannot be read: Format not recognised.$"),
        ("true |", "command wrote nothing"),
    ],
)
def test_failing_commands(wav, command, message):
    with pytest.raises(AudioError, match=message):
        load_audio(Audio(command.format(wav=wav)), allow_pipes=True)


def test_commands_that_do_not_end_are_ended(monkeypatch):
    monkeypatch.setattr(pipe, "PIPE_SECONDS", 0.2)
    with pytest.raises(AudioError, match=r"ran longer than 0\.2 s"):
        load_audio(Audio("sleep 60 & sleep 60 |"), allow_pipes=True)
    monkeypatch.setattr(pipe, "PIPE_SECONDS", 30)
    monkeypatch.setattr(pipe, "PIPE_BYTES", 100_000)
    with pytest.raises(AudioError, match="more than 100000 bytes"):
        load_audio(Audio("cat /dev/zero |"), allow_pipes=True)


def test_a_talkative_command_does_not_block(wav):
    talk = "head -c 1000000 /dev/zero >&2"
    assert len(load_audio(Audio(f"{talk}; cat {wav} |"), allow_pipes=True)) == 32000


def test_real_sphere_and_flac_files(shared_data):
    sphere = sorted((shared_data / "an4/sphere_sample").rglob("*.sph"))
    flac = sorted((shared_data / "librispeech_sample").rglob("*.flac"))[:2]
    assert sphere and flac
    for path in sphere + flac:
        samples = load_audio(Audio(str(path)))
        assert len(samples) / 16000 == pytest.approx(audio_duration(Audio(str(path))))
        assert 0.01 < np.abs(samples).max() <= 1


@pytest.mark.parametrize(
    ("kind", "subtype", "copied"),
    [
        ("wav", "PCM_16", ("FLAC", "PCM_16")),
        ("wav", "PCM_24", ("FLAC", "PCM_24")),
        ("wav", "PCM_32", ("WAV", "PCM_32")),
        ("wav", "FLOAT", ("WAV", "FLOAT")),
        ("wav", "DOUBLE", ("WAV", "DOUBLE")),
        ("wav", "ULAW", ("FLAC", "PCM_16")),
        ("ogg", "VORBIS", ("FLAC", "PCM_16")),
    ],
)
def test_a_copied_utterance_has_the_same_samples(tmp_path, tone, kind, subtype, copied):
    source = tmp_path / f"rec.{kind}"
    soundfile.write(source, tone(2.0, rate=8000, channels=2), 8000, subtype)
    copy = copy_utterance(Audio(str(source), 0.5, 1.25), tmp_path / "v1.2")
    info = soundfile.info(copy)
    assert copy.stem == "v1.2" and (info.format, info.subtype) == copied
    assert (info.samplerate, info.channels, info.frames) == (8000, 2, 6000)
    want = soundfile.read(source, start=4000, frames=6000, dtype="float64")[0]
    got = soundfile.read(copy, dtype="float64")[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=2**-15 if subtype == "VORBIS" else 0)


def test_copying_refuses_what_reading_refuses(tmp_path, wav):
    with pytest.raises(AudioError, match="shell commands are not allowed"):
        copy_utterance(Audio(f"cat {wav} |"), tmp_path / "x")
    with pytest.raises(SegmentError):
        copy_utterance(Audio(str(wav), 1.0, 3.0), tmp_path / "x")
    assert copy_utterance(Audio(f"cat {wav} |"), tmp_path / "x", allow_pipes=True).is_file()
