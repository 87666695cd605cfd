"""Cache for the many cuts of one recording: its length, and its samples where a cut is possible
only after all of them are decoded. A file that changes is read anew.
"""

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

import soundfile

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio_error import AudioError
from speechllm.data.speech.containers import Layout
from speechllm.data.speech.recording import OpenRecording, Stream, opened

KEPT_FACTS = 1000  # recordings
KEPT_BYTES = 4 << 30  # of decoded samples, in temporary files

T = TypeVar("T")
Stamp = tuple[str, int, int]


class Facts(NamedTuple):
    """Properties of a recording; `length` is the number of samples of each channel."""

    rate: int
    channels: int
    subtype: str
    length: int
    notes: tuple[str, ...]


def facts(audio: Audio, allow_pipes: bool = False) -> Facts:
    """Properties of a recording, from the cache if it was opened before.

    Raises:
        AudioError: it cannot be opened, holds no sample, or must be decoded and cannot be.
    """

    def look() -> Facts:
        with opened(audio, allow_pipes) as r:
            return Facts(r.rate, r.channels, r.subtype, r.length(), tuple(r.notes))

    return _facts.get(_stamp(audio), look)


@contextmanager
def opened_for_cuts(audio: Audio, allow_pipes: bool = False) -> Iterator[OpenRecording]:
    """Open a recording so that any sample can be sought, if need be by decoding it first, once.

    Raises:
        AudioError: as `opened` and `OpenRecording.blocks`; or there is no room for its samples.
    """
    stamp = _stamp(audio)
    samples = _unpacked.peek(stamp)
    if samples is None:
        with opened(audio, allow_pipes) as recording:
            if not recording.is_exact:
                samples = _unpacked.get(stamp, lambda: _Unpacked(recording))
            elif recording.can_seek(audio.start or 0.0):
                yield recording
                return
    if samples is None:  # seeking failed
        samples = _unpacked.get(stamp, lambda: _unpack(audio, allow_pipes))
    with samples.opened(audio) as recording:
        yield recording


def _unpack(audio: Audio, allow_pipes: bool) -> "_Unpacked":
    with opened(audio, allow_pipes) as recording:
        return _Unpacked(recording)


class _Unpacked:
    """Decoded samples in a file without a name, which is removed together with this object."""

    def __init__(self, recording: OpenRecording):
        self.lock = threading.Lock()
        self.stream = tempfile.TemporaryFile()  # noqa: SIM115  (it goes with this object)
        self.subtype, self.notes = recording.subtype, recording.notes
        settings = (recording.rate, recording.channels, "FLOAT", None, "W64")
        try:
            with soundfile.SoundFile(self.stream, "w", *settings) as file:
                for block in recording.blocks("float32"):
                    file.write(block)
            self.size = self.stream.seek(0, os.SEEK_END)
        except (OSError, soundfile.LibsndfileError) as error:
            remedy = "make room in the folder for temporary files (TMPDIR)"
            message = "decoded audio cannot be kept for its cuts"
            raise AudioError(message, recording.audio, str(error), remedy) from error

    @contextmanager
    def opened(self, audio: Audio) -> Iterator[OpenRecording]:
        with self.lock:
            self.stream.seek(0)
            with Stream(self.stream) as file:
                recording = OpenRecording(audio, file, Layout(known=True, seekable=True))
                recording.subtype, recording.notes = self.subtype, self.notes
                recording.is_decoded = True
                yield recording


class _Kept(Generic[T]):
    """Cache of the latest entries; each is made once, even if several threads ask for it at once.

    Args:
        most: greatest sum of weights.
        weight: weight of an entry.
    """

    def __init__(self, most: int, weight: Callable[[T], int]):
        self.most, self.weight = most, weight
        self.made: OrderedDict[Stamp, T] = OrderedDict()
        self.weighs = 0
        self.lock = threading.Lock()
        self.making: dict[Stamp, threading.Lock] = {}

    def peek(self, stamp: Stamp | None) -> T | None:
        with self.lock:
            if stamp not in self.made:
                return None
            self.made.move_to_end(stamp)
            return self.made[stamp]

    def get(self, stamp: Stamp | None, make: Callable[[], T]) -> T:
        if stamp is None:
            return make()
        with self.lock:
            turn = self.making.setdefault(stamp, threading.Lock())
        with turn:
            try:
                found = self.peek(stamp)
                if found is not None:
                    return found
                made = make()
                with self.lock:
                    self.made[stamp] = made
                    self.weighs += self.weight(made)
                    while len(self.made) > 1 and self.weighs > self.most:
                        self.weighs -= self.weight(self.made.popitem(last=False)[1])
                return made
            finally:
                with self.lock:
                    self.making.pop(stamp, None)


_facts = _Kept[Facts](KEPT_FACTS, lambda facts: 1)
_unpacked = _Kept[_Unpacked](KEPT_BYTES, lambda unpacked: unpacked.size)


def _stamp(audio: Audio) -> Stamp | None:
    """Key that changes when a file does; None for a command, and for a file that is not there."""
    try:
        stat = os.stat(audio.source)
    except (OSError, ValueError):
        return None
    return None if audio.is_pipe else (audio.source, stat.st_size, stat.st_mtime_ns)
