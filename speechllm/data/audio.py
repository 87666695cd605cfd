"""Audio of an utterance: read, cut, mixed down to one channel, resampled.

Reads what libsndfile reads: wav, flac, ogg, mp3, NIST sphere (not shorten-compressed), ...
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from speechllm.data.kaldi import Audio
from speechllm.errors import DataError
from speechllm.files import whole_file

SAMPLE_RATE = 16000
TOLERANCE = 0.05  # seconds that a segment may end beyond its recording
PIPE_BYTES = 1 << 30  # most that a command in wav.scp may write
PIPE_SECONDS = 600.0  # longest that it may run


class AudioError(DataError):
    """Audio that cannot be used.

    Attributes:
        reason: what is wrong in general terms, equal for all utterances with the same fault.
    """

    def __init__(self, reason: str, audio: Audio, detail: str = "", remedy: str | None = None):
        self.reason = reason
        self.detail = detail
        message = f"wav.scp entry '{audio}': {reason}"
        super().__init__(f"{message}: {detail}" if detail else message, remedy=remedy)


class SegmentError(AudioError):
    """The cut is at fault, not the recording."""


class AudioHeader(NamedTuple):
    """What a recording says of itself, and the cut that was asked of it.

    Attributes:
        sample_rate: Hz.
        channels: number of channels.
        seconds: length of the utterance (the cut, where there is one).
        is_float: samples are stored as floats, so they may be NaN or Inf.
    """

    sample_rate: int
    channels: int
    seconds: float
    is_float: bool


def load_audio(
    audio: Audio, sample_rate: int = SAMPLE_RATE, allow_pipes: bool = False
) -> np.ndarray:
    """Read the samples of one utterance.

    Only the frames of the cut are read. Channels are averaged. Another rate is resampled with
    soxr at quality HQ.

    Args:
        audio: where the samples are.
        sample_rate: wanted rate in Hz.
        allow_pipes: run `audio.source` in bash when it ends in `|`. Such a command can do all
            that you can do: allow it only for a wav.scp that you trust.

    Returns:
        float32 [samples], nominally in -1..1.

    Raises:
        AudioError: missing, unreadable or truncated file, zero length, a cut beyond the end, NaN
            or Inf; a command that is not allowed, fails, or writes too much.
    """
    with _opened(audio, allow_pipes) as recording:
        samples = _read(audio, recording, "float32")
        if not np.isfinite(samples).all():
            raise AudioError("audio holds NaN or Inf", audio)
        mono = samples.mean(axis=1)
        if recording.samplerate != sample_rate:
            mono = soxr.resample(mono, recording.samplerate, sample_rate, quality="HQ")
    return mono


def read_header(audio: Audio, allow_pipes: bool = False) -> AudioHeader:
    """Read the header of one utterance's recording and check the cut against it.

    Raises:
        AudioError: as `load_audio`, as far as a header can tell.
    """
    with _opened(audio, allow_pipes) as recording:
        _, frames = _cut(audio, recording)
        return AudioHeader(
            recording.samplerate,
            recording.channels,
            frames / recording.samplerate,
            recording.subtype in ("FLOAT", "DOUBLE"),
        )


def audio_duration(audio: Audio, allow_pipes: bool = False) -> float:
    """Length of one utterance in seconds, from the header.

    Raises:
        AudioError: as `read_header`.
    """
    return read_header(audio, allow_pipes).seconds


def copy_utterance(audio: Audio, stem: Path, allow_pipes: bool = False) -> Path:
    """Write the samples of one utterance to a file of its own, `<stem>.flac`.

    Rate, channels and bits stay as they are; what FLAC cannot hold (floats, 32 bits) becomes
    `<stem>.wav`, lossy formats become 16 bits.

    Raises:
        AudioError: as `load_audio`, but for NaN and Inf.
    """
    with _opened(audio, allow_pipes) as recording:
        dtype, subtype, suffix = _COPIES.get(recording.subtype, ("int16", "PCM_16", "flac"))
        samples = _read(audio, recording, dtype)
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_audio(path, samples, recording.samplerate, subtype)
    return path


def write_audio(path: Path, samples: np.ndarray, rate: int, subtype: str | None = None) -> None:
    """Write samples, float32 or integers [samples] or [samples, channels], as the suffix says.

    Raises:
        OSError: names `path`.
    """
    content = BytesIO()  # to a file, libsndfile cannot say what the system refuses
    soundfile.write(content, samples, rate, subtype, format=path.suffix[1:].upper())
    with whole_file(path, "wb") as stream:
        stream.write(content.getbuffer())


_COPIES = {
    "PCM_24": ("int32", "PCM_24", "flac"),
    "PCM_32": ("int32", "PCM_32", "wav"),
    "FLOAT": ("float32", "FLOAT", "wav"),
    "DOUBLE": ("float64", "DOUBLE", "wav"),
}


@contextmanager
def _opened(audio: Audio, allow_pipes: bool) -> Iterator[soundfile.SoundFile]:
    if audio.is_pipe:
        if not allow_pipes:
            remedy = "write the audio to files, or give --allow_pipes if you trust the wav.scp"
            raise AudioError("shell commands are not allowed", audio, remedy=remedy)
        source: str | BytesIO = BytesIO(_output_of(audio))
    elif not Path(audio.source).is_file():
        remedy = "correct the path (relative ones start at the current directory)"
        raise AudioError("audio file is missing", audio, remedy=remedy)
    else:
        source = audio.source
    try:
        recording = soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        # A TypeError is soundfile's answer to a name that ends in .raw, which has no header.
        raise AudioError("audio file cannot be read", audio, str(error)) from error
    with recording:
        yield recording


def _read(audio: Audio, recording: soundfile.SoundFile, dtype: str) -> np.ndarray:
    """Return the samples of the utterance, [samples, channels]."""
    first, frames = _cut(audio, recording)
    try:
        recording.seek(first)
        samples = recording.read(frames, dtype=dtype, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError("audio cannot be decoded", audio, str(error)) from error
    if len(samples) < frames - TOLERANCE * recording.samplerate or not len(samples):
        detail = f"{len(samples)} of {frames} samples"
        raise AudioError("audio file is truncated", audio, detail)
    return samples


def _cut(audio: Audio, recording: soundfile.SoundFile) -> tuple[int, int]:
    """Return the first frame and the number of frames of the utterance."""
    rate, total = recording.samplerate, recording.frames
    if total == 0:
        raise AudioError("audio has zero length", audio)
    if not audio.is_pipe and _missing_share(recording) * total > TOLERANCE * rate:
        raise AudioError("audio file is truncated", audio, f"it ends after {total / rate:.2f} s")
    first = round((audio.start or 0.0) * rate)
    last = total if audio.end is None else round(audio.end * rate)
    if first >= total or last > total + TOLERANCE * rate:
        detail = f"{first / rate:.2f} to {last / rate:.2f} s of {total / rate:.2f} s"
        raise SegmentError("segment is beyond the end of the recording", audio, detail)
    last = min(last, total)
    if last <= first:
        raise SegmentError("segment holds no sample", audio)
    return first, last - first


def _missing_share(recording: soundfile.SoundFile) -> float:
    """Return how much more audio a wav header promises, relative to what the file holds.

    libsndfile takes a half-copied wav for a short one and only says so in its log. Files written
    by a pipe promise 2 or 4 GiB, which means "unknown".
    """
    found = re.search(r"^data : (\d+) \(should be (\d+)\)", recording.extra_info, re.MULTILINE)
    if not found:
        return 0.0
    promised, held = map(int, found.groups())
    return (promised - held) / max(held, 1) if promised < 0x7FFF0000 else 0.0


def _output_of(audio: Audio) -> bytes:
    """Run the command of a wav.scp line and return what it writes to its standard output."""
    command = audio.source.rstrip().removesuffix("|")
    # A session of its own, so that the time limit ends everything that the command started.
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    # Its complaints are read beside its output, or a full pipe would stop it; the tail is kept.
    complaint: deque[bytes] = deque(maxlen=2)
    pieces = iter(partial(process.stderr.read1, 4096), b"")
    reader = threading.Thread(target=complaint.extend, args=(pieces,), daemon=True)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(PIPE_SECONDS, expire)
    reader.start()
    timer.start()
    try:
        output = process.stdout.read(PIPE_BYTES + 1)
        if len(output) > PIPE_BYTES:
            raise AudioError(f"command wrote more than {PIPE_BYTES} bytes", audio)
        status = process.wait()
        if expired.is_set():
            raise AudioError(f"command ran longer than {PIPE_SECONDS:g} s", audio)
    finally:
        timer.cancel()
        _kill(process)
        process.wait()
        process.stdout.close()
        reader.join(timeout=1)
    if status != 0:
        tail = b"".join(complaint)[-500:].decode("utf-8", errors="replace").strip()
        raise AudioError("command failed", audio, f"exit status {status}: {tail}")
    return output


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # Once it has been waited for, its number may belong to another process.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
