"""Many cuts of one recording: it is looked at once, and decoded once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech import unpacked
from speechllm.data.speech.audio import AudioError, load_audio, read_header

RATE = 16000


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened."""
    names: list[str] = []
    opened = unpacked.opened

    def counting(audio: Audio, allow_pipes: bool = False):
        names.append(Path(audio.source).name)
        return opened(audio, allow_pipes)

    monkeypatch.setattr(unpacked, "opened", counting)
    return names


def write(path: Path, seed: int = 0, seconds: int = 20) -> np.ndarray:
    wave = 0.3 * np.convolve(
        np.random.default_rng(seed).normal(size=seconds * RATE), np.ones(8) / 8
    )
    soundfile.write(path, wave, RATE)
    return load_audio(Audio(str(path)))


@pytest.mark.parametrize("kind", ["ogg", "mp3"])
def test_threads_that_cut_decode_once(tmp_path: Path, kind: str, opens: list[str]) -> None:
    heard = write(tmp_path / f"a.{kind}")
    cuts = [Audio(str(tmp_path / f"a.{kind}"), n, n + 0.5) for n in range(19)] * 5
    with ThreadPoolExecutor(4) as pool:
        headers = list(pool.map(read_header, cuts))
        assert opens == [f"a.{kind}"] and {header.seconds for header in headers} == {0.5}
        waves = list(pool.map(load_audio, cuts))
    for cut, wave in zip(cuts, waves, strict=True):
        np.testing.assert_array_equal(wave, heard[int(cut.start * RATE) :][: RATE // 2])
    assert 2 <= len(opens) <= 5  # each thread may open it before one of them has decoded it


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    for seed, seconds in ((0, 3), (1, 4)):
        heard = write(path, seed, seconds)
        assert read_header(Audio(str(path), 1.0)).seconds == pytest.approx(seconds - 1, abs=1e-3)
        np.testing.assert_array_equal(
            load_audio(Audio(str(path), 1.0, 2.0)), heard[RATE : 2 * RATE]
        )


def test_what_is_kept_has_a_bound(tmp_path: Path, monkeypatch, opens: list[str]) -> None:
    kept = unpacked._Kept(2 * 20 * RATE * 4 + 10_000, lambda samples: samples.size)
    monkeypatch.setattr(unpacked, "_unpacked", kept)
    for name in "abcab":
        path = tmp_path / f"{name}.ogg"
        if not path.is_file():
            write(path)
        load_audio(Audio(str(path), 1.0, 2.0))
        assert len(kept.made) <= 2
    load_audio(Audio(str(tmp_path / "b.ogg"), 3.0, 4.0))
    assert opens == [f"{name}.ogg" for name in "abcab"]
    with pytest.raises(AudioError):
        (tmp_path / "d.ogg").write_bytes(b"no audio")
        load_audio(Audio(str(tmp_path / "d.ogg"), 1.0, 2.0))
    load_audio(Audio(str(tmp_path / "b.ogg"), 3.0, 4.0))
    assert not kept.making and not unpacked._facts.making  # no lock outlives its turn


def test_a_fault_is_found_again_and_names_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"no audio")
    for name in ("rec1", "rec2"):
        with pytest.raises(AudioError, match=f"{name} .*cannot be read"):
            read_header(Audio(str(path), recording=name))
