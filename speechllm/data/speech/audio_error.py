"""Errors of audio; each names the entry of wav.scp."""

from speechllm.data.dirs.kaldi import Audio
from speechllm.errors import DataError

LEAST_SECONDS = 0.025
"""Shortest audio that any encoder takes: one window of its filter bank or first convolution."""


class AudioError(DataError):
    """Audio that cannot be used.

    Attributes:
        reason: what is wrong in general terms, equal for all utterances with the same fault.
        detail: what is particular to this utterance; may be "".
    """

    def __init__(self, reason: str, audio: Audio, detail: str = "", remedy: str | None = None):
        self.reason = reason
        self.detail = detail
        message = f"wav.scp entry '{audio}': {reason}"
        super().__init__(f"{message}: {detail}" if detail else message, remedy=remedy)


class SegmentError(AudioError):
    """The cut is at fault, not the recording."""


class WaveError(ValueError):
    """A wave that the encoder cannot take.

    Attributes:
        position: index of the wave among those given.
        least_seconds: shortest wave that the encoder takes.
    """

    def __init__(self, position: int, least_seconds: float):
        super().__init__(f"wave {position} is shorter than {least_seconds} s")
        self.position, self.least_seconds = position, least_seconds


def too_short(least_seconds: float) -> str:
    """Message about an utterance that is shorter than `least_seconds`, its encoder's least."""
    return f"audio is shorter than {least_seconds:g} s, the least that the encoder takes"
