"""Answers of a transcription in each response format, and the events of a stream."""

import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse

from speechllm.data.speech.audio import SAMPLE_RATE
from speechllm.serve.api_error import ApiError
from speechllm.serve.job import SpeechJob
from speechllm.transcribe.formats import srt, vtt


def answer(job: SpeechJob, response_format: str) -> Response:
    """Answer of a finished job."""
    return _ANSWERS[response_format](job)


async def events(job: SpeechJob) -> AsyncIterator[str]:
    """Server-sent events of a job: a delta for each piece, then the whole text.

    An error in the midst of it is an event, too: the status has been sent by then.
    """
    texts: list[str] = []
    try:
        async for piece in job.pieces():
            if piece.text:
                delta = f" {piece.text}" if texts else piece.text
                texts.append(piece.text)
                times = {"start": round(piece.start, 3), "end": round(piece.end, 3)}
                yield _event({"type": "transcript.text.delta", "delta": delta, **times})
        done = {"type": "transcript.text.done", "text": " ".join(texts), "usage": _usage(job)}
        yield _event(done)
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield _event(error.body())


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def _usage(job: SpeechJob) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(job.wave.size / SAMPLE_RATE)}


def _json(job: SpeechJob) -> Response:
    return JSONResponse({"text": job.transcript.text, "usage": _usage(job)})


def _verbose(job: SpeechJob) -> Response:
    """The fields of OpenAI's that this model knows; it has no log-probabilities of segments."""
    segments = [
        {
            "id": number,
            "start": round(piece.start, 3),
            "end": round(piece.end, 3),
            "text": piece.text,
            "truncated": piece.truncated,
            **job.transcript.task.fields(piece.text),
        }
        for number, piece in enumerate(job.transcript.pieces)
    ]
    fields = {
        "task": "transcribe",
        "language": "unknown",
        "duration": round(job.wave.size / SAMPLE_RATE, 3),
        "text": job.transcript.text,
        "segments": segments,
        "usage": _usage(job),
    }
    return JSONResponse(fields)


_ANSWERS: dict[str, Callable[[SpeechJob], Response]] = {
    "json": _json,
    "verbose_json": _verbose,
    "text": lambda job: PlainTextResponse(f"{job.transcript.text}\n"),
    "srt": lambda job: PlainTextResponse(srt(job.transcript)),
    "vtt": lambda job: Response(vtt(job.transcript), media_type="text/vtt"),
}
