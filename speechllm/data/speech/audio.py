"""Audio of an utterance: read, cut, mixed down to one channel, resampled.

Reads what libsndfile reads: wav, flac, ogg, mp3, NIST sphere (not shorten-compressed), ...
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio_error import AudioError, SegmentError
from speechllm.data.speech.recording import TOLERANCE, OpenRecording, opened
from speechllm.data.speech.unpacked import facts, opened_for_cuts
from speechllm.files.whole import whole_file

__all__ = [
    "SAMPLE_RATE",
    "AudioError",
    "AudioHeader",
    "AudioReader",
    "SegmentError",
    "Sound",
    "audio_duration",
    "copy_utterance",
    "guessed_duration",
    "load_audio",
    "mixed",
    "read_audio",
    "read_header",
]

SAMPLE_RATE = 16000
CANCELLED = 1e-3  # channels whose mean has less than this share of their energy cancel out


class AudioHeader(NamedTuple):
    """Properties of a recording, and the length of the utterance in it.

    Attributes:
        sample_rate: Hz.
        channels: number of channels.
        seconds: true length of the utterance (of the cut, where there is one); headers may lie.
        is_float: samples are stored as floats, so they may be NaN or Inf.
        notes: oddities of the file, worded equally for all such files.
    """

    sample_rate: int
    channels: int
    seconds: float
    is_float: bool
    notes: tuple[str, ...] = ()


class Sound(NamedTuple):
    """Samples of an utterance.

    Attributes:
        samples: float32 [samples], one channel.
        notes: oddities of the file or the samples, as in `AudioHeader`.
        mixed: number of channels that were averaged; 1 where there was one, or one was named.
    """

    samples: np.ndarray
    notes: tuple[str, ...]
    mixed: int


def load_audio(
    audio: Audio, sample_rate: int = SAMPLE_RATE, allow_pipes: bool = False
) -> np.ndarray:
    """Read the samples of one utterance.

    Channels are averaged, unless one is named. Another rate is resampled with soxr at quality HQ.

    Args:
        audio: place of the samples.
        sample_rate: wanted rate in Hz.
        allow_pipes: run `audio.source` in bash when it ends in `|`. Such a command can do all
            that you can do: allow it only for a wav.scp that you trust.

    Returns:
        float32 [samples], nominally in -1..1.

    Raises:
        AudioError: missing, unreadable or truncated file, zero length, a cut beyond the end, no
            such channel, NaN or Inf, an impossible rate; a command that is not allowed, fails,
            runs too long or writes too much.
    """
    return read_audio(audio, sample_rate, allow_pipes).samples


def read_audio(audio: Audio, sample_rate: int | None, allow_pipes: bool = False) -> Sound:
    """Read the samples of one utterance, with notes on what is odd about them.

    Args:
        audio, allow_pipes: as for `load_audio`.
        sample_rate: wanted rate in Hz; None is the recording's own.

    Raises:
        AudioError: as `load_audio`.
    """
    reader = AudioReader(audio, sample_rate, allow_pipes)
    samples = np.concatenate(list(reader.blocks()))
    return Sound(samples, tuple(reader.notes), reader.mixed)


class AudioReader:
    """Reader of one utterance, block by block.

    Args:
        audio, allow_pipes: as for `load_audio`.
        sample_rate: wanted rate in Hz; None is the recording's own.

    Attributes:
        notes: oddities, as in `Sound`; all of them are known after the last block.
        mixed: number of channels that are averaged, as in `Sound`; known after the last block.
    """

    def __init__(self, audio: Audio, sample_rate: int | None, allow_pipes: bool = False):
        self._audio, self._rate, self._allow_pipes = audio, sample_rate, allow_pipes
        self.notes: list[str] = []
        self.mixed = 1

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples, float32 [n]; there is at least one block, which may be empty.

        Raises:
            AudioError: as `load_audio`; for faults of the whole, after the last block.
        """
        low, high, is_finite, is_empty = np.inf, -np.inf, True, True
        with _opened(self._audio, self._allow_pipes) as recording:
            mixer = _Mixer(self._audio, recording.channels)
            resample = _resampler(recording.rate, self._rate)
            for block in _blocks(self._audio, recording, "float32"):
                if not len(block):
                    continue
                mono = mixer.mix(block)
                low, high = min(low, mono.min()), max(high, mono.max())
                made = resample(mono, False)
                is_finite = is_finite and bool(np.isfinite(made).all())
                if len(made):
                    is_empty = False
                    yield made
        if low > high:
            raise AudioError("audio has zero length", self._audio)
        rest = resample(np.zeros(0, np.float32), True)
        if not (is_finite and np.isfinite(rest).all()):
            raise AudioError("samples are too large to be resampled", self._audio)
        if len(rest) or is_empty:
            yield rest
        self.notes = [*recording.notes, *mixer.notes()]
        if low == high:
            self.notes.append("all samples are equal: silence")
        self.mixed = recording.channels if self._audio.channel is None else 1


def _resampler(rate: int, wanted: int | None) -> Callable[[np.ndarray, bool], np.ndarray]:
    """Function of a block, and whether it is the last; in blocks or whole, samples are the same."""
    if wanted in (None, rate):
        return lambda block, is_last: block
    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    return stream.resample_chunk


def read_header(audio: Audio, allow_pipes: bool = False) -> AudioHeader:
    """Read the properties of one utterance's recording without its samples, and check the cut.

    Where a header does not tell the length, samples are counted by decoding them.

    Raises:
        AudioError: as `load_audio`, as far as can be told without the samples.
    """
    recording = facts(audio, allow_pipes)
    _Mixer(audio, recording.channels)
    first, last = _cut(audio, recording.rate, recording.length)
    return AudioHeader(
        recording.rate,
        recording.channels,
        (last - first) / recording.rate,
        recording.subtype in ("FLOAT", "DOUBLE"),
        recording.notes,
    )


def audio_duration(audio: Audio, allow_pipes: bool = False) -> float:
    """Length of one utterance in seconds.

    Raises:
        AudioError: as `read_header`.
    """
    return read_header(audio, allow_pipes).seconds


def guessed_duration(audio: Audio, allow_pipes: bool = False) -> float:
    """Rough length in seconds, for a progress bar or a batch: by the header, true or not.

    Raises:
        AudioError: the recording cannot be opened.
    """
    with opened(audio, allow_pipes) as recording:
        end = recording.guess / recording.rate
        return max((end if audio.end is None else min(audio.end, end)) - (audio.start or 0.0), 0.0)


def copy_utterance(audio: Audio, stem: Path, allow_pipes: bool = False) -> Path:
    """Write the samples of one utterance to a file of its own, `<stem>.flac`; return its path.

    Rate, channels (unless one is named) and bits stay as they are; what FLAC cannot hold (floats,
    32 bits) becomes `<stem>.wav`, lossy formats become 16 bits.

    Args:
        audio: place of the samples.
        stem: path of the new file without its suffix.
        allow_pipes: as for `load_audio`.

    Raises:
        AudioError: as `load_audio`, except that NaN and Inf are copied.
    """
    with _opened(audio, allow_pipes) as recording:
        dtype, subtype, suffix = _COPIES.get(recording.subtype, ("int16", "PCM_16", "flac"))
        if recording.is_decoded:
            dtype = "float32"
        _Mixer(audio, recording.channels)
        blocks = list(_blocks(audio, recording, dtype))
        samples = np.concatenate(blocks or [np.zeros((0, recording.channels), dtype)])
        if not len(samples):
            raise AudioError("audio has zero length", audio)
        if audio.channel is not None:
            samples = samples[:, audio.channel]
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_audio(path, samples, recording.rate, subtype)
    return path


def write_audio(path: Path, samples: np.ndarray, rate: int, subtype: str | None = None) -> None:
    """Write samples to an audio file.

    Args:
        path: the file; its suffix says the format.
        samples: floats or integers, [samples] or [samples, channels].
        rate: Hz.
        subtype: libsndfile's name for the coding of samples; None is the format's default.

    Raises:
        OSError: the file cannot be written; names `path`.
    """
    content = BytesIO()  # writing to a file itself, libsndfile would hide the system's error
    soundfile.write(content, samples, rate, subtype, format=path.suffix[1:].upper())
    with whole_file(path, "wb") as stream:
        stream.write(content.getbuffer())


_COPIES = {
    "PCM_24": ("int32", "PCM_24", "flac"),
    "PCM_32": ("int32", "PCM_32", "wav"),
    "FLOAT": ("float32", "FLOAT", "wav"),
    "DOUBLE": ("float64", "DOUBLE", "wav"),
}


def mixed(channels: int) -> str:
    """Message about several channels of which none is named."""
    return f"{channels} channels are mixed down to their mean"


class _Mixer:
    """Mixer of blocks of several channels into one: the one that is named, or the mean."""

    def __init__(self, audio: Audio, channels: int):
        self.audio = audio
        self.energy = self.energy_of_mean = 0.0
        if audio.channel is not None and audio.channel >= channels:
            detail = f"channel {audio.channel} of {channels}, counted from 0"
            remedy = "name one that is there, in reco2channel or with --channel"
            raise AudioError("there is no such channel", audio, detail, remedy)

    def mix(self, block: np.ndarray) -> np.ndarray:
        """One channel of [n, channels]; raises AudioError for NaN and Inf."""
        if self.audio.channel is not None:
            block = block[:, [self.audio.channel]]
        if not np.isfinite(block).all():
            raise AudioError("audio holds NaN or Inf", self.audio)
        if block.shape[1] == 1:
            return block[:, 0]
        wide = block.astype(np.float64)  # in 32 bits a sum of large floats is Inf
        mean = wide.mean(axis=1)
        self.energy += wide.var(axis=0).mean() * len(block)
        self.energy_of_mean += mean.var() * len(block)
        return mean.astype(np.float32)

    def notes(self) -> Iterator[str]:
        """Warnings about the mean, once all blocks are mixed."""
        if self.energy_of_mean < CANCELLED * self.energy:
            yield "the channels cancel each other out: their mean is silent"


def _is_cut(audio: Audio) -> bool:
    return bool(audio.start) or audio.end is not None


def _opened(audio: Audio, allow_pipes: bool) -> AbstractContextManager[OpenRecording]:
    """Open a recording: to read it from its start, or, if it is cut, so that it can be sought."""
    return (opened_for_cuts if _is_cut(audio) else opened)(audio, allow_pipes)


def _blocks(audio: Audio, recording: OpenRecording, dtype: str) -> Iterator[np.ndarray]:
    """Samples [n, channels] of the utterance."""
    if not _is_cut(audio):
        return recording.blocks(dtype)
    return recording.blocks(dtype, *_cut(audio, recording.rate, recording.length()))


def _cut(audio: Audio, rate: int, total: int) -> tuple[int, int]:
    """Return the first sample of the utterance, and the one to stop before."""
    first = round((audio.start or 0.0) * rate)
    last = total if audio.end is None else round(audio.end * rate)
    if first >= total or last > total + TOLERANCE * rate:
        detail = f"{first / rate:.2f} to {last / rate:.2f} s of {total / rate:.2f} s"
        raise SegmentError("segment is beyond the end of the recording", audio, detail)
    last = min(last, total)
    if last <= first:
        raise SegmentError("segment holds no sample", audio)
    return first, last
