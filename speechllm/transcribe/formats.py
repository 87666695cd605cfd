"""Output formats of transcripts: plain text, JSON lines, and subtitles."""

import html
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command's help needs the formats, but no audio code
    from speechllm.transcribe.transcript import Transcript


def plain(transcript: "Transcript") -> str:
    """Format as one line, `id text`, like a Kaldi text file."""
    return f"{transcript.id} {transcript.text}".rstrip() + "\n"


def json_lines(transcript: "Transcript") -> str:
    """Format as a line for each piece, times in seconds; a task may add fields (`Task.fields`)."""
    lines = [
        {
            "id": transcript.id,
            "audio": transcript.recording.audio.source,
            "domain": transcript.domain,
            "start": round(piece.start, 3),
            "end": round(piece.end, 3),
            "text": piece.text,
            "truncated": piece.truncated,
            **transcript.task.fields(piece.text),
        }
        for piece in transcript.pieces
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def srt(transcript: "Transcript") -> str:
    """Format as SubRip: numbered cues, none for pieces with an empty transcript."""
    cues = [
        f"{_time(piece.start, ',')} --> {_time(piece.end, ',')}\n{piece.text}\n"
        for piece in transcript.pieces
        if piece.text
    ]
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(cues, 1))


def vtt(transcript: "Transcript") -> str:
    """Format as WebVTT; text is escaped, since `<` and `&` have a meaning there."""
    cues = [
        f"{_time(piece.start, '.')} --> {_time(piece.end, '.')}\n"
        f"{html.escape(piece.text, quote=False)}\n"
        for piece in transcript.pieces
        if piece.text
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"


FORMATS: dict[str, tuple[str, Callable[["Transcript"], str]]] = {
    "text": ("txt", plain),
    "jsonl": ("jsonl", json_lines),
    "srt": ("srt", srt),
    "vtt": ("vtt", vtt),
}
"""File ending and formatting function of each format."""

SUBTITLES = ("srt", "vtt")
"""Formats of subtitles, which need answers that people can read."""
ONE_FILE_EACH = ("srt", "vtt")
"""Formats whose files hold one recording each."""
