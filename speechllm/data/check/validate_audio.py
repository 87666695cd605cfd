"""Checks of the audio that a data dir names: can it be read, and is it what one expects?"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Literal, NamedTuple

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import (
    SAMPLE_RATE,
    AudioError,
    AudioHeader,
    SegmentError,
    mixed,
    read_audio,
    read_header,
)
from speechllm.data.speech.audio_error import LEAST_SECONDS, too_short
from speechllm.data.speech.threads import in_order
from speechllm.files.progress import track

MIN_SECONDS = 0.1
AMPLE = 1.0  # seconds; enough for every encoder
CHANNELS_REMEDY = (
    "if each channel is a speaker, name one for each recording in a table reco2channel"
)
AT_ONCE = 64  # utterances that a thread takes
THREADS = 4  # reading headers waits for the filesystem, not for the processor


class AudioFault(NamedTuple):
    """Something wrong with the audio of one utterance; `message` is the same for all like it.

    Attributes:
        of_segment: the cut is at fault, not the recording.
        remedy: "" when nothing special mends it.
        fix_option: with which `speechllm data fix` drops such utterances.
    """

    severity: Literal["error", "warning"]
    message: str
    detail: str = ""
    remedy: str = ""
    of_segment: bool = False
    fix_option: str = ""


def check_audio(
    audio: Mapping[str, Audio],
    allow_pipes: bool,
    full: bool,
    max_seconds: float,
    least_seconds: Callable[[], float] = lambda: LEAST_SECONDS,
) -> Iterator[tuple[str, AudioHeader | None, list[AudioFault]]]:
    """Yield (utterance, header or None, faults), in order, while showing progress.

    Args:
        audio: utterance -> place of its samples.
        allow_pipes: run the commands in `wav.scp`.
        full: decode all samples, not only those of float formats and those that must be counted.
        max_seconds: longer utterances are warned about.
        least_seconds: gives the length of the shortest utterance that can be used; asked only
            where one is shorter than `AMPLE`.
    """

    def check(item: tuple[str, Audio]) -> tuple[str, AudioHeader | AudioError]:
        utt, entry = item
        try:
            header = read_header(entry, allow_pipes)
            if full or header.is_float:
                notes = read_audio(entry, SAMPLE_RATE, allow_pipes).notes
                header = header._replace(notes=notes)
        except AudioError as error:
            return utt, error
        return utt, header

    items = iter(audio.items())
    batches = iter(lambda: list(islice(items, AT_ONCE)), [])
    checked = in_order(lambda batch: list(map(check, batch)), batches, THREADS)
    for utt, header in track(chain.from_iterable(checked), "checking audio", len(audio)):
        if isinstance(header, AudioError):
            yield utt, None, [_error(header)]
        elif header.seconds < AMPLE and _is_shorter(header.seconds, least := least_seconds()):
            detail = f"{header.seconds:.4f} s"
            option = "" if least == LEAST_SECONDS else f"--min_seconds {least:g} "
            fault = AudioFault("error", too_short(least), detail, "", True, option)
            yield utt, None, [fault]
        else:
            named = audio[utt].channel is not None
            yield utt, header, list(_warnings(header, named, max_seconds))


def _is_shorter(seconds: float, least: float) -> bool:
    """Whether a length is below the least, compared in whole samples as the encoder gets them."""
    return round(seconds * SAMPLE_RATE) < round(least * SAMPLE_RATE)


def _error(error: AudioError) -> AudioFault:
    of_segment = isinstance(error, SegmentError)
    return AudioFault("error", error.reason, error.detail, error.remedy or "", of_segment)


def _warnings(header: AudioHeader, named: bool, max_seconds: float) -> Iterator[AudioFault]:
    if header.sample_rate != SAMPLE_RATE:
        yield AudioFault(
            "warning",
            f"audio of {header.sample_rate} Hz is resampled to {SAMPLE_RATE} Hz",
            remedy="nothing to do if that is meant",
        )
    if header.channels != 1 and not named:
        yield AudioFault("warning", mixed(header.channels), remedy=CHANNELS_REMEDY)
    if not MIN_SECONDS <= header.seconds <= max_seconds:
        yield AudioFault(
            "warning",
            f"utterance is not between {MIN_SECONDS:g} and {max_seconds:g} s long",
            f"{header.seconds:.2f} s",
            "cut it anew in a segments file, or see --max_seconds",
            of_segment=True,
        )
    for note in header.notes:
        yield AudioFault("warning", note, remedy="listen to it; drop it if it is damaged")
