"""Speech probabilities by Silero VAD, where the package is installed (the extra `vad`).

The package carries its network (MIT licence), as ONNX: nothing is fetched, and no pickle is read.
On joined utterances of LibriSpeech it tells pauses behind music, where energy finds none (see
docs/decisions.md).
"""

import importlib.util
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from speechllm.errors import ConfigError

if TYPE_CHECKING:
    from silero_vad.sequence_vad import SileroVADSequence

FRAME = 512  # samples that share a probability
PACKAGES = ("silero_vad", "onnxruntime")


def has_silero() -> bool:
    """Whether Silero VAD is installed."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def check_silero() -> None:
    """Raise ConfigError unless Silero VAD is installed."""
    if not has_silero():
        remedy = "pip install 'speechllm[vad]', or choose vad: energy"
        raise ConfigError("vad: Silero VAD is not installed", remedy)


def speech_probabilities(wave: np.ndarray) -> np.ndarray:
    """Probability that somebody speaks, float32 [frames], for each 32 ms.

    Args:
        wave: samples at 16 kHz; silero-vad 6.2.3 takes slices of them, some seconds at a time.

    Raises:
        ConfigError: Silero VAD is not installed.
    """
    check_silero()
    return _network().audio_forward(wave)


@cache
def _network() -> "SileroVADSequence":
    import torch

    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)  # silero-vad 6.2.3 sets it to 1 when it is imported
    return load_silero_vad(sequence=True)
