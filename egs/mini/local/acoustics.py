"""A microphone in a room that is not silent: level, pauses and noise for a synthetic voice."""

import functools

import numpy as np

from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, Voice, espeak

NOISES = ("white", "pink", "hum", "babble")
SNR_DB = (20.0, 40.0)
LEVEL_DB = (-32.0, -20.0)
PAUSE_SECONDS = (0.05, 0.2)

_BABBLE = (
    "there was a long line of people in front of the station and nobody knew when it would move",
    "did you see what they put on the table last night because i certainly did not",
    "seven or eight of us walked along the river until the rain stopped and then we went home",
    "she told me all about the new neighbors and their dog over a cup of coffee",
    "put the boxes over there and bring me the other chairs before the guests arrive please",
    "the weather has been so strange this year that we never know which coat to wear",
)


def rms(samples: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def trim(samples: np.ndarray, threshold: float = 1e-3) -> np.ndarray:
    """Cut off the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > threshold)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples


@functools.cache
def _track(kind: str) -> np.ndarray:
    """Noise to be read in a circle: six voices at once, mains hum, pink noise."""
    if kind == "babble":
        voices = ("m1", "f2", "m4", "f5", "m7", "f3")
        tracks = [
            trim(espeak().synthesise(text, Voice("en-us", variant)))
            for text, variant in zip(_BABBLE, voices, strict=True)
        ]
        length = min(map(len, tracks))
        return np.sum([track[:length] / rms(track) for track in tracks], axis=0)
    if kind == "hum":  # one second is whole periods of 50 Hz and its harmonics
        phase = 2 * np.pi * 50 / SAMPLE_RATE * np.arange(SAMPLE_RATE)
        return np.sum([np.sin(phase * k) / k for k in range(1, 8)], axis=0)
    length = 2**18  # 16 s; a power of two, for the FFT
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(length))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return np.fft.irfft(spectrum, length)


def noise(kind: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return [length] samples of noise with RMS 1."""
    if kind == "white":
        samples = rng.standard_normal(length)
    else:
        start = int(rng.integers(len(_track(kind))))
        samples = np.take(_track(kind), np.arange(start, start + length), mode="wrap")
    return samples / rms(samples)


def record(voice: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add pauses, a random level and noise.

    Args:
        voice: [samples] clean speech at 16 kHz.

    Returns:
        float32 [more samples], no sample beyond +-0.99.
    """
    before, after = rng.uniform(*PAUSE_SECONDS, size=2)
    speech = trim(voice)
    speech = speech / rms(speech)
    speech = np.pad(speech, (int(before * SAMPLE_RATE), int(after * SAMPLE_RATE)))
    snr = rng.uniform(*SNR_DB)
    kind = NOISES[int(rng.integers(len(NOISES)))]
    mixture = speech + 10 ** (-snr / 20) * noise(kind, len(speech), rng)
    mixture *= 10 ** (rng.uniform(*LEVEL_DB) / 20)
    return (mixture * min(1.0, 0.99 / np.abs(mixture).max())).astype(np.float32)
