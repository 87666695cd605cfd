"""Long recordings are read block by block, and what comes of them is what comes of the whole."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech import recording as recording_module
from speechllm.data.speech import samples as module
from speechllm.data.speech.audio import AudioError, AudioReader, read_audio
from speechllm.data.speech.samples import Samples
from speechllm.data.speech.segmentation import Vad, cut_at_pauses
from speechllm.data.speech.vad import has_silero

RATE = 16_000


def speech(seconds: float, rate: int = RATE) -> np.ndarray:
    """Noise in bursts of four seconds, with a second of quiet after each."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 0.1, len(times))
    return np.where(times % 5 < 4, noise, noise / 1000).astype(np.float32)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some seconds, and no sample in memory."""
    monkeypatch.setattr(recording_module, "BLOCK", 50_000)
    monkeypatch.setattr(module, "IN_MEMORY", 1)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_samples_are_those_of_the_whole(
    small: None, tmp_path: Path, rate: int, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, np.stack([speech(12.3, rate)] * 2, 1), rate)
    whole = read_audio(Audio(str(path)), RATE)
    with Samples(Audio(str(path))) as found:
        assert found.size == len(whole.samples) and not found.is_flat
        assert (found.notes, found.mixed) == (whole.notes, whole.mixed) == ((), 2)
        assert np.array_equal(found[0 : found.size], whole.samples)
        assert np.array_equal(found[70_001:90_000], whole.samples[70_001:90_000])
        assert np.array_equal(found[190_000:1_000_000], whole.samples[190_000:])
        assert found[5:5].size == 0 and found[0:10].flags.writeable


@pytest.mark.parametrize("vad", ["energy", "silero"])
def test_cuts_are_those_of_an_array(small: None, tmp_path: Path, vad: Vad) -> None:
    if vad == "silero" and not has_silero():
        pytest.skip("silero-vad is not installed")
    path = tmp_path / "a.wav"
    soundfile.write(path, speech(200), RATE)
    cut = {"max_seconds": 12.0, "vad": vad}
    with Samples(Audio(str(path))) as found:
        pieces = cut_at_pauses(found, **cut)
    assert pieces == cut_at_pauses(read_audio(Audio(str(path)), RATE).samples, **cut)
    assert vad == "silero" or len(pieces) > 10


def test_a_block_is_given_before_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "BLOCK", 8_000)
    path, read = tmp_path / "a.flac", []
    soundfile.write(path, speech(5), RATE)
    one = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda *args, **kw: read.append(args[1]) or one(*args, **kw)
    )
    for number, block in enumerate(AudioReader(Audio(str(path)), RATE).blocks(), 1):
        assert len(read) == number and len(block) == 8_000
    assert read == [8_000] * 10


def test_memory_does_not_grow_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two recordings of 8 kHz, of 4 and of 16 minutes: read, resampled and cut at pauses."""
    monkeypatch.setattr(module, "IN_MEMORY", 1 << 20)
    peaks = []
    for minutes in (4, 16):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.tile(speech(60, 8000), minutes), 8000)
        tracemalloc.start()
        with Samples(Audio(str(path))) as found:
            for start, end in cut_at_pauses(found, vad="energy"):
                assert found[start:end].size == end - start
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    loudness = 12 * 60 * 100 * 8 * 3  # bytes: a number for each 10 ms, and copies of it
    assert peaks[1] - peaks[0] < loudness + (1 << 20)
    assert found.size * 4 > 60e6 > 1.2 * peaks[1]  # what its samples would take


def test_silence_and_faults(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "flat.wav", np.zeros(40_000), RATE)
    with Samples(Audio(str(tmp_path / "flat.wav"))) as flat:
        assert flat.is_flat and flat.notes == ("all samples are equal: silence",)
    soundfile.write(tmp_path / "one.wav", np.ones(1) / 2, 768_000)
    with Samples(Audio(str(tmp_path / "one.wav"))) as one:
        assert one.size == len(read_audio(Audio(str(tmp_path / "one.wav")), RATE).samples)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="zero length"):
        Samples(Audio(str(tmp_path / "none.wav")))
    soundfile.write(tmp_path / "huge.wav", np.full(40_000, 3e38), 8000, "FLOAT")
    with pytest.raises(AudioError, match="too large to be resampled"):
        Samples(Audio(str(tmp_path / "huge.wav")))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.SpooledTemporaryFile, "write", full)
    with pytest.raises(AudioError, match="cannot be kept") as error:
        Samples(Audio(str(tmp_path / "flat.wav")))
    assert "TMPDIR" in str(error.value.remedy)
