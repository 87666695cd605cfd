"""Samples of a recording that need not be in memory: those of a long one are kept in a file."""

from contextlib import closing
from tempfile import SpooledTemporaryFile

import numpy as np

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import SAMPLE_RATE, AudioError, AudioReader

IN_MEMORY = 32 << 20  # bytes, eight minutes; longer recordings go to a temporary file
WIDTH = np.dtype(np.float32).itemsize


class TooLong(AudioError):
    """The recording is longer than whoever reads it allows."""

    def __init__(self, audio: Audio, most_seconds: float):
        super().__init__(f"audio is longer than {most_seconds:g} s", audio)


class Samples:
    """Samples of one recording, float32 at 16 kHz; slices of them are read when asked for.

    It has what is used of an array: `size`, and slices without a step. A context manager: the
    file goes at its end, and, since it has no name, also when the process is killed.

    Attributes:
        notes: oddities of the recording, as in `Sound`.
        mixed: number of channels that were averaged, as in `Sound`.
        is_flat: all samples are equal.
    """

    def __init__(self, audio: Audio, allow_pipes: bool = False, most_seconds: float | None = None):
        """Read a recording to its end, block by block.

        Args:
            audio: place of the samples.
            allow_pipes: as for `load_audio`.
            most_seconds: length of the longest recording; by default any.

        Raises:
            AudioError: as `load_audio`; or there is no room for the samples of a long recording.
            TooLong: the recording is longer than `most_seconds`, whatever its header says.
        """
        self._stream = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  (see `close`)
        self.size = 0
        low, high = np.inf, -np.inf
        reader = AudioReader(audio, SAMPLE_RATE, allow_pipes)
        try:
            with closing(reader.blocks()) as blocks:
                for block in blocks:
                    self._keep(block, audio)
                    if most_seconds is not None and self.size > most_seconds * SAMPLE_RATE:
                        raise TooLong(audio, most_seconds)
                    low = min(low, block.min(initial=np.inf))
                    high = max(high, block.max(initial=-np.inf))
        except BaseException:
            self._stream.close()
            raise
        self.notes, self.mixed, self.is_flat = tuple(reader.notes), reader.mixed, low == high

    def _keep(self, block: np.ndarray, audio: Audio) -> None:
        try:
            self._stream.write(np.ascontiguousarray(block).data)
        except OSError as error:
            remedy = "make room in the folder for temporary files (TMPDIR)"
            message = "decoded audio cannot be kept"
            raise AudioError(message, audio, str(error), remedy) from error
        self.size += len(block)

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self.size)
        self._stream.seek(start * WIDTH)
        content = self._stream.read(max(stop - start, 0) * WIDTH)
        return np.frombuffer(content, np.float32).copy()  # the copy can be written to

    def __enter__(self) -> "Samples":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        self._stream.close()
