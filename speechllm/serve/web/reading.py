"""Reading of an upload: samples and cuts, in a thread beside the event loop."""

import asyncio
import logging
from typing import BinaryIO

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import SAMPLE_RATE, AudioError, guessed_duration
from speechllm.data.speech.samples import Samples, TooLong
from speechllm.data.speech.segmentation import cut_at_pauses
from speechllm.serve.api_error import ApiError, no_audio
from speechllm.serve.job import SpeechJob
from speechllm.serve.web.fields import Wanted
from speechllm.task import Task
from speechllm.transcribe.recogniser import SHORTEST, CutConfig
from speechllm.transcribe.recordings import Recording
from speechllm.transcribe.transcript import Transcript

log = logging.getLogger(__name__)

NAME = "upload"


def read_job(
    upload: BinaryIO,
    wanted: Wanted,
    task: Task,
    cut: CutConfig,
    most_seconds: float,
    loop: asyncio.AbstractEventLoop,
) -> SpeechJob:
    """Read a recording to its end, and cut it at its pauses.

    Args:
        upload: file of the recording; it is closed here.
        wanted: what the request asks for.
        task: of the model.
        cut: segmentation of long recordings.
        most_seconds: length of the longest recording.
        loop: of the request.

    Raises:
        ApiError: 400, no audio that can be used; 413, it is too long.
    """
    with upload:
        # The path is that of a descriptor: no word of the client's is in it.
        audio = Audio(f"/dev/fd/{upload.fileno()}", recording=NAME)
        wave = _read(audio, most_seconds)
    transcript = Transcript(Recording(NAME, audio), wanted.domain, task, notes=wave.notes)
    for note in wave.notes:
        log.warning("%s: %s", NAME, note)
    try:
        if wave.size < SHORTEST * SAMPLE_RATE:
            detail = f"{wave.size / SAMPLE_RATE:.3f} s"
            raise no_audio(AudioError(f"audio is shorter than {SHORTEST} s", audio, detail))
        cuts = []  # nothing to hear, so nothing to invent
        if not wave.is_flat:
            cuts = cut_at_pauses(wave, cut.max_seconds, cut.min_pause, cut.vad)
    except BaseException:
        wave.close()
        raise
    return SpeechJob(transcript, wave, cuts, wanted.hotwords, wanted.is_streamed, loop)


def _read(audio: Audio, most_seconds: float) -> Samples:
    try:
        if guessed_duration(audio) > most_seconds:
            raise TooLong(audio, most_seconds)
        return Samples(audio, most_seconds=most_seconds)
    except TooLong as error:
        raise ApiError(413, error.reason, "audio_too_long", "file") from error
    except AudioError as error:
        raise no_audio(error) from error
