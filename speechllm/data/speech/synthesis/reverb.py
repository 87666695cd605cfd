"""Reverberation: room impulse responses, made or recorded, and speech as it sounds in rooms."""

import random
from collections.abc import Callable

import numpy as np

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.errors import ConfigError
from speechllm.files.utf8 import read_text

DIRECT_TO_REVERBERANT_DB = 6.0
"""Direct-to-reverberant energy ratio of a made room, in dB."""

Room = Callable[[str, np.ndarray], np.ndarray]
"""(utterance id, dry speech [n]) -> the speech in the room that the utterance draws, [m]."""


def made_response(rt60: float, rng: np.random.Generator) -> np.ndarray:
    """Make a room impulse response: the direct sound, then decaying noise (Polack 1988).

    Args:
        rt60: seconds in which the reverberation falls by 60 dB; the response has that length.
        rng: generator of the noise.

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
        ConfigError: the list cannot be read or names no file, or a response is silent.
        AudioError: an audio file cannot be used.
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
    """Convolve speech with a room impulse response; its peak stays as loud as it was.

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
    """Make the function that puts utterances into rooms.

    Args:
        rt60: reverberation time of made rooms, in seconds.
        responses: file that lists recorded responses, which take the place of made ones. Without
            this and `rt60`, utterances stay dry.
        seed: of the choice of rooms; an utterance always draws the same.

    Raises:
        ConfigError, AudioError: as `read_responses`.
    """
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
