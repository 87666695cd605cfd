"""Long recordings are cut where it is quiet, and no speech is lost."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.speech import segmentation
from speechllm.data.speech.segmentation import around_speech
from speechllm.data.speech.vad import has_silero
from speechllm.errors import ConfigError

RATE = 16000
cut_at_pauses = partial(segmentation.cut_at_pauses, vad="energy")


def recording(*stretches: tuple[str, float], noise: float = 1e-3, seed: int = 0) -> np.ndarray:
    """Stretches of ("speech" | "pause", seconds): loud noise and faint noise."""
    rng = np.random.default_rng(seed)
    waves = [
        rng.normal(0, 0.1 if kind == "speech" else noise, round(seconds * RATE))
        for kind, seconds in stretches
    ]
    return np.concatenate(waves).astype(np.float32)


def seconds(pieces: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(start / RATE, end / RATE) for start, end in pieces]


def test_a_short_recording_stays_whole() -> None:
    wave = recording(("pause", 3), ("speech", 2), ("pause", 3))
    assert cut_at_pauses(wave, 8.0) == [(0, len(wave))]


def test_the_silence_around_speech_is_found() -> None:
    wave = recording(("pause", 2), ("speech", 1), ("pause", 0.8), ("speech", 0.5), ("pause", 3))
    start, end = around_speech(wave)
    assert start / RATE == pytest.approx(1.85, abs=0.05)
    assert end / RATE == pytest.approx(4.45, abs=0.05)
    for whole in (recording(("speech", 1)), np.zeros(RATE, np.float32)):
        assert around_speech(whole) == (0, RATE)


def test_cuts_lie_in_pauses_and_pieces_are_as_long_as_they_may_be() -> None:
    wave = recording(*[("speech", 3.0), ("pause", 0.6)] * 6)  # 21.6 s
    pieces = seconds(cut_at_pauses(wave, 8.0))
    assert len(pieces) == 3
    for (_, end), (start, _) in pairwise(pieces):
        assert end == start and abs(end % 3.6 - 3.3) < 0.1  # the middle of a pause
    assert pieces[0][0] == 0 and pieces[-1][1] == pytest.approx(21.6, abs=0.2)


def test_of_a_long_pause_half_a_second_is_kept_on_either_side() -> None:
    wave = recording(("pause", 5), ("speech", 3), ("pause", 20), ("speech", 3), ("pause", 5))
    pieces = seconds(cut_at_pauses(wave, 30.0))
    np.testing.assert_allclose(pieces, [(4.5, 8.5), (27.5, 31.5)], atol=0.05)


def test_digital_silence_does_not_make_noise_look_like_speech() -> None:
    wave = recording(("speech", 3), ("pause", 6), ("speech", 3))
    wave = np.concatenate([np.zeros(4 * RATE, np.float32), wave])
    assert len(cut_at_pauses(wave, 10.0)) == 2


def test_speech_without_a_pause_is_cut_at_its_quietest_point() -> None:
    wave = recording(("speech", 25.0))
    wave[round(7.8 * RATE) : round(7.9 * RATE)] *= 0.1
    pieces = cut_at_pauses(wave, 10.0)
    assert [a for a, _ in pieces] == [0, *(b for _, b in pieces[:-1])]
    assert pieces[-1][1] == len(wave)
    assert all(b - a <= 10 * RATE for a, b in pieces)
    assert 7.75 < pieces[0][1] / RATE < 7.95


@pytest.mark.parametrize("seed", range(20))
def test_no_speech_is_lost_and_no_piece_is_too_long(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stretches = [
        (kind, float(rng.uniform(0.05, top)))
        for _ in range(12)
        for kind, top in (("speech", 9.0), ("pause", 4.0))
    ]
    wave = recording(*stretches, noise=float(rng.choice([0.0, 1e-4, 3e-3])), seed=seed)
    pieces = cut_at_pauses(wave, 6.0)
    kept = np.zeros(len(wave), bool)
    for start, end in pieces:
        assert 0 <= start < end <= len(wave) and end - start <= 6 * RATE
        assert end - start >= 0.1 * RATE
        assert not kept[start:end].any()
        kept[start:end] = True
    assert pieces == sorted(pieces)
    position = 0
    for kind, length in stretches:
        n = round(length * RATE)
        if kind == "speech" and length > 0.1:
            assert kept[position : position + n].all(), (position / RATE, length)
        position += n


def test_nothing_but_silence_has_no_piece() -> None:
    assert cut_at_pauses(np.zeros(40 * RATE, np.float32)) == []
    assert cut_at_pauses(np.zeros(0, np.float32)) == [(0, 0)]


def test_steady_sound_is_taken_for_speech(tone) -> None:
    pieces = cut_at_pauses(tone(40.0))
    assert pieces[0][0] == 0 and pieces[-1][1] == 40 * RATE


def hum(seconds: float, hertz: int) -> np.ndarray:
    """Of the mains, with its harmonics; a tenth of full scale."""
    time = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * hertz * k * time + k) / k**2 for k in range(1, 6)]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


@pytest.mark.parametrize("offset", [0.003, -0.01, 0.03, 0.5])
def test_a_constant_offset_changes_no_cut(offset: float) -> None:
    wave = recording(("speech", 4), ("pause", 30), ("speech", 4), ("pause", 0.5), ("speech", 9))
    wave[4 * RATE : 34 * RATE] = 0  # digital silence
    assert len(cut_at_pauses(wave, 15.0)) == 2
    assert cut_at_pauses(wave + np.float32(offset), 15.0) == cut_at_pauses(wave, 15.0)
    assert around_speech(wave[30 * RATE : 38 * RATE] + np.float32(offset)) == pytest.approx(
        around_speech(wave[30 * RATE : 38 * RATE]), abs=160
    )


@pytest.mark.parametrize("hertz", [50, 60])
def test_hum_hides_no_pause(hertz: int) -> None:
    wave = recording(("pause", 2), ("speech", 4), ("pause", 20), ("speech", 4), ("pause", 0.5))
    pieces = cut_at_pauses(wave + hum(len(wave) / RATE, hertz), 15.0)
    np.testing.assert_allclose(seconds(pieces), [(1.5, 6.5), (25.5, 30.5)], atol=0.05)


@pytest.mark.parametrize("level", [0.0, 0.01, 0.5])
def test_a_constant_alone_is_silence(level: float) -> None:
    assert cut_at_pauses(np.full(40 * RATE, level, np.float32)) == []


def test_real_speech_is_cut_where_it_is_quiet(shared_data: Path) -> None:
    """Seven minutes of LibriSpeech without a break: pieces end in the quiet part of each."""
    files = sorted((shared_data / "librispeech_sample/test-other").rglob("*.flac"))[:80]
    wave = np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files])
    pieces = cut_at_pauses(wave, 15.0)
    assert len(pieces) > 30 and sum(end - start for start, end in pieces) > 0.95 * len(wave)

    def energies(start: int, end: int) -> np.ndarray:
        """Of stretches of 50 ms."""
        return (wave[start : start + (end - start) // 800 * 800].reshape(-1, 800) ** 2).mean(1)

    quieter = []  # part of each piece that is quieter than its end
    for start, end in pieces[:-1]:
        (at_the_cut,) = energies(end - 400, end + 400)
        quieter.append((energies(start, end) < at_the_cut).mean())
    assert max(quieter) < 0.4 and np.mean(quieter) < 0.15


needs_silero = pytest.mark.skipif(
    not has_silero(), reason="silero-vad is not installed: pip install 'speechllm[vad]'"
)


def chords(size: int) -> np.ndarray:
    """Music: a chord every half second, that dies away."""
    time = np.arange(size) / RATE
    rng = np.random.default_rng(3)
    sound = np.zeros(size)
    for start in range(0, size, RATE // 2):
        part = time[start : start + RATE // 2]
        for tone in rng.choice([220, 261.6, 329.6, 392, 440, 523], 3):
            sound[start : start + RATE // 2] += np.sin(2 * np.pi * tone * part) * np.exp(
                -3 * (part - part[0])
            )
    return sound


@needs_silero
def test_a_network_tells_pauses_behind_music(shared_data: Path) -> None:
    files = sorted((shared_data / "librispeech_sample").rglob("*.flac"))[:300:50]
    parts = []
    for file in files:
        wave, _ = soundfile.read(file, dtype="float32")
        start, end = around_speech(wave, 0.0)
        parts += [wave[start:end], np.zeros(2 * RATE + RATE // 2, np.float32)]
    clean = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts]) / RATE
    music = chords(len(clean))
    loud = np.sqrt((clean**2).mean() / (music**2).mean())
    noisy = (clean + 0.2 * loud * music).astype(np.float32)
    pieces = seconds(segmentation.cut_at_pauses(noisy, 12.0, vad="silero"))
    left_out = [(a, b) for (_, a), (b, _) in pairwise(pieces) if b - a > 1.0]
    pauses = list(zip(ends[0::2], ends[1::2], strict=True))[:-1]
    found = [any(a < end and b > start for a, b in left_out) for start, end in pauses]
    assert all(found), found
    by_energy = seconds(cut_at_pauses(noisy, 12.0))
    assert sum(b - a for (_, a), (b, _) in pairwise(by_energy)) < 1.0


@needs_silero
def test_the_network_leaves_the_number_of_threads_alone() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    segmentation.speech_probabilities(np.zeros(RATE, np.float32))
    assert torch.get_num_threads() == before


def test_a_detector_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechllm.data.speech.vad.PACKAGES", ("no_such_package",))
    wave = recording(*[("speech", 3.0), ("pause", 0.6)] * 6)
    with pytest.raises(ConfigError, match="not installed\n  -> pip install"):
        segmentation.cut_at_pauses(wave, 8.0, vad="silero")
    assert segmentation.cut_at_pauses(wave, 8.0) == cut_at_pauses(wave, 8.0)
