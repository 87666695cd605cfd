"""Segmentation of long recordings at pauses, by Silero VAD or by energy.

Energy is that of the band of speech: neither a constant offset nor the hum of the mains is sound.
"""

from typing import Literal, Protocol

import numpy as np

from speechllm.data.speech.audio import SAMPLE_RATE
from speechllm.data.speech.vad import FRAME, check_silero, has_silero, speech_probabilities

BLOCK = SAMPLE_RATE // 100  # samples; lengths below are in blocks of 10 ms
LOWEST = 300  # Hz; a telephone loses no word below it, and hum with its harmonics is lower
AT_ONCE = 6000  # blocks whose spectra are in memory
SMOOTHING = 5  # a click shorter than this is no speech
QUIET_SHARE = 0.3  # of the way from the noise floor to the level of speech
MOST_RANGE = 40.0  # dB below speech; digital silence must not make noise look like speech
LEAST_RANGE = 10.0  # dB; with less between quiet and loud, pauses cannot be told
SILENCE = -85.0  # dB of full scale
KEPT = 50  # of a pause, on each side of speech
LONG_PAUSE = 200  # always cut here, and what is not kept is left out
LEAST_REST = 50  # after a cut in the midst of speech
SURE = 0.5  # probability from which on a frame is speech

Vad = Literal["auto", "silero", "energy"]
"""Detector of speech; auto is silero where it is installed."""


class Wave(Protocol):
    """Samples at 16 kHz: an array [samples], or slices that are read when asked for."""

    @property
    def size(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


def check_vad(vad: Vad) -> None:
    """Raise ConfigError for a detector that is not installed, before any work is done."""
    if vad == "silero":
        check_silero()


def cut_at_pauses(
    wave: Wave, max_seconds: float = 30.0, min_pause: float = 0.3, vad: Vad = "auto"
) -> list[tuple[int, int]]:
    """Cut a recording that is longer than `max_seconds` into pieces that are not.

    A shorter one stays whole. Pieces are as long as pauses allow; speech without a pause for
    `max_seconds` is cut at its quietest point, in the latter half. Of pauses, half a second is
    kept on either side.

    Args:
        wave: samples at 16 kHz.
        max_seconds: length of the longest piece, at least 2 s.
        min_pause: seconds of quiet that count as a pause.
        vad: detector of speech.

    Returns:
        (start, end) of each piece, in samples, in order; none where there is only silence.

    >>> speech = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE)
    >>> wave = np.concatenate([speech, np.zeros(SAMPLE_RATE), speech])
    >>> cut_at_pauses(wave, 6.0, vad="energy")
    [(0, 72000), (72000, 144000)]
    """
    most = round(max_seconds * SAMPLE_RATE / BLOCK)
    if wave.size <= max_seconds * SAMPLE_RATE:
        return [(0, wave.size)]
    loudness = _loudness(wave)
    if vad == "silero" or (vad == "auto" and has_silero()):
        is_speech = _by_network(wave, len(loudness))
    else:
        is_speech = _by_energy(loudness)
    runs = _runs(is_speech, round(min_pause * SAMPLE_RATE / BLOCK))
    runs = _widened(runs, len(loudness))
    pieces: list[tuple[int, int]] = []
    for run in runs:
        for start, end in _no_longer_than(most, *run, loudness):
            if pieces and start == pieces[-1][1] and end - pieces[-1][0] <= most:
                start = pieces.pop()[0]
            pieces.append((start, end))
    return [(start * BLOCK, min(end * BLOCK, wave.size)) for start, end in pieces]


def around_speech(wave: np.ndarray, margin: float = 0.15) -> tuple[int, int]:
    """Find the begin and end of the speech in a recording, with a little silence around it.

    Args:
        wave: [samples] at 16 kHz.
        margin: seconds of silence that are kept on either side.

    Returns:
        Start and end in samples; all of it where there is only silence.
    """
    runs = _runs(_by_energy(_loudness(wave)), len(wave))
    if not runs:
        return 0, len(wave)
    kept = round(margin * SAMPLE_RATE)
    return max(0, runs[0][0] * BLOCK - kept), min(len(wave), runs[-1][1] * BLOCK + kept)


def _loudness(wave: Wave) -> np.ndarray:
    """Energy above `LOWEST` of each block in dB, smoothed; the last block may be padded."""
    blocks = -(-wave.size // BLOCK)
    energy = np.zeros(max(blocks, 1))
    for first in range(0, blocks, AT_ONCE):
        last = min(first + AT_ONCE, blocks)
        energy[first:last] = _energy(wave, first, last)
    loudness = np.convolve(energy, np.full(SMOOTHING, 1 / SMOOTHING), mode="same")
    loudness += 1e-10  # in place: ten hours are 29 MB
    np.log10(loudness, out=loudness)
    loudness *= 10
    return loudness


def _energy(wave: Wave, first: int, last: int) -> np.ndarray:
    """Mean square above `LOWEST` of each block, under a window of twice its length."""
    size, margin = 2 * BLOCK, BLOCK // 2
    start, end = first * BLOCK - margin, last * BLOCK + margin
    part = wave[max(start, 0) : end].astype(np.float64)
    # Filled up with the outermost samples: a step from a constant to zero would be a click.
    part = np.pad(part, (max(-start, 0), max(end - wave.size, 0)), mode="edge")
    frames = np.lib.stride_tricks.sliding_window_view(part, size)[::BLOCK]
    window = np.hanning(size + 1)[:-1]
    spectrum = np.fft.rfft(frames * window)[:, round(LOWEST * size / SAMPLE_RATE) :]
    return 2 * (np.abs(spectrum) ** 2).sum(axis=1) / (size * (window**2).sum())


def _by_energy(loudness: np.ndarray) -> np.ndarray:
    """Whether each block is loud enough to be speech."""
    floor, level = np.percentile(loudness, [5, 95])
    if level < SILENCE:
        return np.zeros(len(loudness), bool)
    span = min(level - floor, MOST_RANGE)
    if span < LEAST_RANGE:
        return np.ones(len(loudness), bool)
    return loudness > level - (1 - QUIET_SHARE) * span


def _by_network(wave: Wave, blocks: int) -> np.ndarray:
    """Whether the middle of each block lies in a frame of speech."""
    likely = speech_probabilities(wave) > SURE
    is_speech = np.empty(blocks, bool)
    for first in range(0, blocks, AT_ONCE):
        numbers = np.arange(first, min(first + AT_ONCE, blocks))
        frames = (numbers * BLOCK + BLOCK // 2) // FRAME
        is_speech[numbers] = likely[np.minimum(frames, len(likely) - 1)]
    return is_speech


def _runs(is_speech: np.ndarray, min_pause: int) -> list[tuple[int, int]]:
    """Runs of blocks with speech; a shorter pause is no end of one."""
    edges = np.flatnonzero(np.diff(is_speech.astype(np.int8), prepend=0, append=0))
    runs: list[tuple[int, int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if runs and start - runs[-1][1] < min_pause:
            start = runs.pop()[0]
        runs.append((start, end))
    return runs


def _widened(runs: list[tuple[int, int]], blocks: int) -> list[tuple[int, int]]:
    """Give each run the pauses around it: half of a short one, `KEPT` blocks of a long one."""
    widened = []
    for i, (start, end) in enumerate(runs):
        before = start - (runs[i - 1][1] if i else 0)
        after = (runs[i + 1][0] if i + 1 < len(runs) else blocks) - end
        left = min(before, KEPT) if i == 0 else _share(before, before - before // 2)
        right = min(after, KEPT) if i + 1 == len(runs) else _share(after, after // 2)
        widened.append((start - left, end + right))
    return widened


def _share(pause: int, half: int) -> int:
    return KEPT if pause >= LONG_PAUSE else half


def _no_longer_than(most: int, start: int, end: int, loudness: np.ndarray) -> list[tuple[int, int]]:
    """Cut a run at its quietest blocks until no part is longer than `most`."""
    parts = []
    while end - start > most:
        first, last = start + most // 2, min(start + most, end - LEAST_REST)
        cut = first + int(np.argmin(loudness[first:last]))
        parts.append((start, cut))
        start = cut
    return [*parts, (start, end)]
