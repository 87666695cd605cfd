"""Open recordings: how many samples they hold, and their samples in blocks.

A header is believed only where its container guarantees it. Elsewhere samples are counted by
decoding them, and a cut is taken from a recording that was decoded from its beginning.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio_error import AudioError
from speechllm.data.speech.containers import Layout, layout_of, mp3
from speechllm.data.speech.pipe import output_of

TOLERANCE = 0.05  # seconds that a recording may lack of what was promised
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000  # Hz; others are damage
BLOCK = 1 << 18  # samples of all channels that are decoded at once
MOST = 1 << 40  # samples; libsndfile's "unknown" is more
WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
WIDTHS |= {"ULAW": 1, "ALAW": 1}  # bytes of a sample, where each is coded by itself
STRETCHES = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST")


class Stream(soundfile.SoundFile):
    """SoundFile that claims not to be seekable, so that it is only read on.

    soundfile makes a seekable file seek after every read, to where it is. A FLAC file of unknown
    length cannot do that, and an Opus file decodes wrongly from there on.
    """

    def seekable(self) -> bool:
        return False


class OpenRecording:
    """A recording that is open.

    Attributes:
        rate: Hz.
        channels: number of channels.
        subtype: libsndfile's name for how samples are coded.
        is_exact: the number of samples is known, and any sample can be sought.
        is_decoded: samples are neither coded one by one nor as FLAC, so a decoder makes them.
        is_counted: the number of samples is known.
        guess: samples of each channel by the header, true or not; 0 if it does not tell.
        notes: oddities of the file.
    """

    def __init__(self, audio: Audio, file: soundfile.SoundFile, layout: Layout):
        self.audio, self._file, self._layout = audio, file, layout
        self.rate, self.channels, self.subtype = file.samplerate, file.channels, file.subtype
        coded = file.format in STRETCHES and file.subtype in WIDTHS
        frames = file.frames
        if coded and layout.size is not None:
            frames = min(frames, layout.size // (WIDTHS[file.subtype] * self.channels))
        self.is_exact = layout.seekable and (coded or file.format == "FLAC")
        self.is_decoded = not (coded or file.format == "FLAC")
        # A container may promise that samples can be sought; blocks of a codec still cannot.
        is_known = layout.known and self.is_exact == layout.seekable
        self._count = frames if layout.counted is None else layout.counted
        self.guess = self._count if self._count < MOST else 0
        self.is_counted = is_known or layout.counted is not None
        self.notes = [layout.note] if layout.note else []
        seconds = frames / self.rate
        if layout.behind * seconds > TOLERANCE:
            self.notes.append(
                "bytes that the header does not count are not read: are they samples?"
            )
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            remedy = "correct the header, if the samples are right"
            raise AudioError(f"no audio of speech has {self.rate} Hz", audio, remedy=remedy)
        if layout.missing * seconds > TOLERANCE:
            raise AudioError("audio file is truncated", audio, f"it ends after {seconds:.2f} s")

    def length(self) -> int:
        """Number of samples of each channel; decodes them where nothing else tells.

        Raises:
            AudioError: there are no samples, or they cannot be decoded.
        """
        if not self.is_counted:
            self._count = sum(len(block) for block in self.blocks("float32"))
            self.is_counted = True
        if not self._count:
            raise AudioError("audio has zero length", self.audio)
        return self._count

    def can_seek(self, seconds: float) -> bool:
        """Whether a cut can begin at a time; if not, the recording must be opened again."""
        try:
            self._file.seek(min(round(seconds * self.rate), self._count))
        except soundfile.LibsndfileError:
            return False
        return True

    def blocks(self, dtype: str, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """Samples [n, channels] in order, a bounded number at a time.

        Args:
            dtype: type of the samples.
            first: the first sample; other than 0 only if `is_exact`.
            last: the sample to stop before; None is the end.

        Raises:
            AudioError: the samples cannot be decoded, or are fewer than promised.
        """
        if last is None and self.is_exact:
            last = self._count
        promised = self._layout.promised if last is None else last
        position, skip = first, self._layout.skip
        most = max(1, BLOCK // self.channels)
        try:
            if first:
                self._file.seek(first)
            while last is None or position < last:
                wanted = most if last is None else min(most, last - position)
                block = self._file.read(wanted, dtype, always_2d=True)
                if not len(block):
                    break
                position += len(block) - skip
                yield block[skip:]
                skip = 0
        except soundfile.LibsndfileError as error:
            raise AudioError("audio cannot be decoded", self.audio, str(error)) from error
        if promised is not None and position < promised - TOLERANCE * self.rate:
            detail = f"{position - first} of {promised - first} samples"
            raise AudioError("audio file is truncated", self.audio, detail)


@contextmanager
def opened(audio: Audio, allow_pipes: bool = False) -> Iterator[OpenRecording]:
    """Open a recording.

    Args:
        audio: the recording; its cut is ignored.
        allow_pipes: run the source, if it is a command.

    Raises:
        AudioError: the recording is missing or truncated, cannot be read, or is a command that is
            not allowed or fails.
    """
    with ExitStack() as stack:
        source, stream = _source(audio, allow_pipes)
        with stream:
            layout = layout_of(stream)
            if layout.content is not None:
                source = layout.content
        if isinstance(source, bytes):
            source = stack.enter_context(_in_memory(source))
        try:
            file = stack.enter_context(Stream(source))
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            # soundfile raises TypeError for a name that ends in .raw, which has no header.
            # error_string leaves out the name: our message has it, or it is an object's.
            detail = getattr(error, "error_string", str(error))
            raise AudioError("audio file cannot be read", audio, detail) from error
        yield OpenRecording(audio, file, layout)


def _source(audio: Audio, allow_pipes: bool) -> tuple[str | bytes, BinaryIO]:
    """Name or bytes for libsndfile to open, and a stream of the same bytes."""
    if audio.is_pipe:
        if not allow_pipes:
            remedy = "write the audio to files, or give --allow_pipes if you trust the wav.scp"
            raise AudioError("shell commands are not allowed", audio, remedy=remedy)
        content = output_of(audio)
        return content, BytesIO(content)
    if not Path(audio.source).is_file():
        remedy = "correct the path (relative ones start at the current directory)"
        raise AudioError("audio file is missing", audio, remedy=remedy)
    try:
        return audio.source, open(audio.source, "rb")
    except OSError as error:
        raise AudioError("audio file cannot be read", audio, str(error)) from error


@contextmanager
def _in_memory(content: bytes) -> Iterator[BinaryIO | str]:
    """Wrap bytes so that libsndfile opens them; its MP3 reader takes only files with a name."""
    if not mp3.may_be(content[:12]):
        yield BytesIO(content)
        return
    with tempfile.NamedTemporaryFile(suffix=".mp3") as stream:
        stream.write(content)
        stream.flush()
        yield stream.name
