"""Rooms: impulse responses, made or recorded, and speech as it sounds in them."""

import random
from collections.abc import Callable

import numpy as np

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.errors import ConfigError
from speechllm.files.utf8 import read_text

DIRECT_TO_REVERBERANT_DB = 6.0
"""By how much the direct sound's energy is above the reverberation's in a made room."""

Room = Callable[[str, np.ndarray], np.ndarray]
"""(utterance id, dry speech [n]) -> the speech in the room that the utterance draws, [m]."""


def made_response(rt60: float, rng: np.random.Generator) -> np.ndarray:
    """Exponentially decaying noise (Polack 1988) behind the direct sound.

    Args:
        rt60: seconds in which the reverberation falls by 60 dB; the response has that length.
        rng: of the noise.

    Returns:
        float32 [rt60 * 16000], beginning with the direct sound.
    """
    length = max(2, round(rt60 * SAMPLE_RATE))
    decay = 10 ** (-3 * np.arange(length) / (rt60 * SAMPLE_RATE))
    tail = rng.standard_normal(length) * decay
    tail[0] = 0
    response = tail / np.linalg.norm(tail) * 10 ** (-DIRECT_TO_REVERBERANT_DB / 20)
    response[0] = 1
    return response.astype(np.float32)


def read_responses(path: str) -> list[np.ndarray]:
    """Read recorded responses, each from its direct sound on.

    Args:
        path: a file with the path of an audio file in each line.

    Raises:
        ConfigError: the list cannot be read, or names nothing.
        AudioError: an audio file that cannot be used.
    """
    lines = read_text(path, ConfigError, "room_responses").split("\n")
    found = [load_audio(Audio(line.strip())) for line in lines if line.strip()]
    if not found:
        raise ConfigError(f"room_responses: {path} names no file")
    for line, response in zip(filter(str.strip, lines), found, strict=True):
        if not response.any():
            raise ConfigError(f"room_responses: {line.strip()} holds nothing but silence")
    return [response[np.abs(response).argmax() :] for response in found]


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve; the loudest sample stays as loud as it was.

    Args:
        samples: [n].
        response: [k].

    Returns:
        float32 [n + k - 1].
    """
    length = len(samples) + len(response) - 1
    spectrum = np.fft.rfft(samples, length) * np.fft.rfft(response, length)
    wet = np.fft.irfft(spectrum, length)
    loudest = np.abs(wet).max()
    return (wet * (np.abs(samples).max() / loudest if loudest else 0)).astype(np.float32)


def make_room(rt60: float | None, responses: str | None, seed: int) -> Room:
    """A function that puts utterances into rooms, or leaves them dry without either."""
    recorded = read_responses(responses) if responses else []

    def room(utt_id: str, samples: np.ndarray) -> np.ndarray:
        rng = random.Random(f"room {seed} {utt_id}")
        if recorded:
            return reverberate(samples, rng.choice(recorded))
        if rt60:
            noise = np.random.default_rng(rng.getrandbits(64))
            return reverberate(samples, made_response(rt60, noise))
        return samples

    return room
