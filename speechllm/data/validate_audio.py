"""Checks of the audio that a data dir names: can it be read, and is it what one expects?"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from speechllm.data.audio import (
    SAMPLE_RATE,
    AudioError,
    AudioHeader,
    SegmentError,
    load_audio,
    read_header,
)
from speechllm.data.kaldi import Audio
from speechllm.progress import track

MIN_SECONDS = 0.1
THREADS = 4  # reading headers waits for the filesystem, not for the processor


class AudioFault(NamedTuple):
    """Something wrong with the audio of one utterance; `message` is the same for all like it.

    Attributes:
        of_segment: the cut is at fault, not the recording.
        remedy: "" when nothing special mends it.
    """

    severity: Literal["error", "warning"]
    message: str
    detail: str = ""
    remedy: str = ""
    of_segment: bool = False


def check_audio(
    audio: Mapping[str, Audio], allow_pipes: bool, full: bool, max_seconds: float
) -> Iterator[tuple[str, AudioHeader | None, list[AudioFault]]]:
    """Yield (utterance, header or None, faults), in order, while showing progress.

    Args:
        audio: utterance -> where its samples are.
        allow_pipes: run the commands in `wav.scp`.
        full: decode all samples, not only those of float formats.
        max_seconds: longer utterances are warned about.
    """

    def check(item: tuple[str, Audio]) -> tuple[str, AudioHeader | None, list[AudioFault]]:
        utt, entry = item
        silent = False
        try:
            header = read_header(entry, allow_pipes)
            if full or header.is_float:
                silent = not load_audio(entry, header.sample_rate, allow_pipes).any()
        except AudioError as error:
            of_segment = isinstance(error, SegmentError)
            remedy = error.remedy or ""
            return utt, None, [AudioFault("error", error.reason, error.detail, remedy, of_segment)]
        return utt, header, list(_warnings(header, silent, max_seconds))

    with ThreadPoolExecutor(THREADS) as pool:
        yield from track(pool.map(check, audio.items()), "checking audio", len(audio))


def _warnings(header: AudioHeader, silent: bool, max_seconds: float) -> Iterator[AudioFault]:
    if header.sample_rate != SAMPLE_RATE:
        yield AudioFault(
            "warning",
            f"audio of {header.sample_rate} Hz is resampled to {SAMPLE_RATE} Hz",
            remedy="nothing to do if that is meant",
        )
    if header.channels != 1:
        yield AudioFault(
            "warning",
            f"{header.channels} channels are mixed down to their mean",
            remedy="if each channel is a speaker, split them into files first",
        )
    if not MIN_SECONDS <= header.seconds <= max_seconds:
        yield AudioFault(
            "warning",
            f"utterance is not between {MIN_SECONDS:g} and {max_seconds:g} s long",
            f"{header.seconds:.2f} s",
            "cut it anew in a segments file, or see --max_seconds",
            of_segment=True,
        )
    if silent:
        yield AudioFault(
            "warning", "all samples are zero", remedy="listen to it; drop it if it is empty"
        )
