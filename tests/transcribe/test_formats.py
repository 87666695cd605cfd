import json

import pytest

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import AudioError
from speechllm.task import load_task
from speechllm.transcribe.formats import FORMATS
from speechllm.transcribe.recordings import Recording
from speechllm.transcribe.transcript import Piece, Transcript

HEARD = Transcript(
    Recording("rec1", Audio("talk.wav")),
    "farm",
    load_task("asr"),
    [
        Piece(0.0, 29.9996, "cows & <sheep>", False),
        Piece(31.25, 40.0, "", False),
        Piece(3599.5, 3661.0421, "naïve", True),
    ],
)


def render(name: str, transcript: Transcript = HEARD) -> str:
    return FORMATS[name][1](transcript)


def test_plain_text_is_a_line_of_kaldi() -> None:
    assert render("text") == "rec1 cows & <sheep> naïve\n"
    assert render("text", Transcript(HEARD.recording, "farm", HEARD.task)) == "rec1\n"


def test_json_lines_have_times_and_what_was_cut_short() -> None:
    lines = [json.loads(line) for line in render("jsonl").splitlines()]
    assert lines[2] == {
        "id": "rec1",
        "audio": "talk.wav",
        "domain": "farm",
        "start": 3599.5,
        "end": 3661.042,
        "text": "naïve",
        "truncated": True,
    }
    assert [line["text"] for line in lines] == ["cows & <sheep>", "", "naïve"]


def test_subrip() -> None:
    assert render("srt") == (
        "1\n00:00:00,000 --> 00:00:30,000\ncows & <sheep>\n\n"
        "2\n00:59:59,500 --> 01:01:01,042\nnaïve\n"
    )


def test_webvtt_escapes_what_would_be_markup() -> None:
    assert render("vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:30.000\ncows &amp; &lt;sheep&gt;\n\n"
        "00:59:59.500 --> 01:01:01.042\nnaïve\n"
    )
    assert render("vtt", Transcript(HEARD.recording, "farm", HEARD.task)) == "WEBVTT\n"


def test_a_recording_that_could_not_be_read_has_no_text() -> None:
    error = AudioError("audio has zero length", HEARD.recording.audio)
    with pytest.raises(AudioError, match="zero length"):
        print(Transcript(HEARD.recording, "farm", HEARD.task, error=error).text)
