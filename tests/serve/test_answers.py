"""What the official client gets: every format, streams, models, errors."""

import io
import json
import urllib.request
from pathlib import Path

import numpy as np
import openai
import pytest
import soundfile

import speechllm
from speechllm.transcribe.formats import srt, vtt
from speechllm.transcribe.transcript import Transcript
from tests.helpers.served import Served


@pytest.fixture(scope="module")
def client(served: Served) -> openai.OpenAI:
    return served.client()


@pytest.fixture(scope="module")
def expected(packed: Path, visit: Path) -> Transcript:
    """The transcript that `speechllm transcribe` writes."""
    model = speechllm.load(packed)
    found = model.transcribe(visit, "farm", max_seconds=2.0, vad="energy")[0]
    assert len(found.pieces) == 6 and len({piece.text for piece in found.pieces}) > 1
    return found


def test_models_are_the_domains(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["base", "farm", "music"]
    assert client.models.retrieve("farm").owned_by == "speechllm"


def test_json(client: openai.OpenAI, visit: Path, expected: Transcript) -> None:
    said = client.audio.transcriptions.create(model="farm", file=visit)
    assert said.text == expected.text and said.usage.seconds == 10


def test_text_and_subtitles(client: openai.OpenAI, visit: Path, expected: Transcript) -> None:
    def asked(response_format: str) -> str:
        with visit.open("rb") as file:
            return client.audio.transcriptions.create(
                model="farm", file=file, response_format=response_format
            )

    assert asked("text") == f"{expected.text}\n"
    assert asked("srt") == srt(expected)
    assert asked("vtt") == vtt(expected)


def test_verbose_json(client: openai.OpenAI, visit: Path, expected: Transcript) -> None:
    said = client.audio.transcriptions.create(
        model="farm",
        file=visit,
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        temperature=0,
    )
    assert said.text == expected.text and said.duration == 9.75
    assert [(s.id, s.start, s.end, s.text) for s in said.segments] == [
        (number, round(p.start, 3), round(p.end, 3), p.text)
        for number, p in enumerate(expected.pieces)
    ]


def test_a_stream_has_a_delta_for_each_piece(
    client: openai.OpenAI, visit: Path, expected: Transcript
) -> None:
    stream = client.audio.transcriptions.create(model="farm", file=visit, stream=True)
    *deltas, done = list(stream)
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert len(deltas) == sum(bool(piece.text) for piece in expected.pieces)
    assert "".join(event.delta for event in deltas) == done.text == expected.text
    assert done.type == "transcript.text.done"


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3", "aiff"])
def test_formats_of_audio_and_rates(client: openai.OpenAI, kind: str) -> None:
    content = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, (22050, 2))
    soundfile.write(content, samples, 22050, format=kind.upper())
    said = client.audio.transcriptions.create(
        model="base", file=("../../etc/passwd|", content.getvalue())
    )
    assert said.text


def test_silence_says_nothing(client: openai.OpenAI) -> None:
    content = io.BytesIO()
    soundfile.write(content, np.zeros(16000), 16000, format="WAV")
    assert client.audio.transcriptions.create(model="base", file=("a", content)).text == ""
    stream = client.audio.transcriptions.create(model="base", file=("a", content), stream=True)
    assert [event.type for event in stream] == ["transcript.text.done"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no audio|empty|recogni[sz]ed"),
        (b"this is no audio" * 100, "cannot be read"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "cannot be read|truncated"),
    ],
)
def test_no_audio(client: openai.OpenAI, content: bytes, said: str) -> None:
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        client.audio.transcriptions.create(model="base", file=("a.wav", content))
    assert caught.value.code == "invalid_audio" and caught.value.param == "file"
    assert "/dev" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"response_format": "xml"}, "response_format", "give one of json"),
        ({"response_format": "srt", "stream": True}, "response_format", "events have text"),
        ({"prompt": "gentamicin, sepsis"}, "prompt", "takes no hotwords"),
        ({"language": "en"}, "language", "of its training"),
        ({"temperature": 0.7}, "temperature", "without chance"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities[]", "only segments"),
        ({"include": ["logprobs"]}, "include[]", "no log-probabilities"),
        ({"extra_body": {"promt": "x"}}, "promt", "did you mean 'prompt'"),
    ],
)
def test_a_field_that_cannot_be_served_is_named(
    client: openai.OpenAI, visit: Path, fields: dict, param: str, said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        client.audio.transcriptions.create(model="base", file=visit, **fields)
    assert caught.value.param == param and caught.value.type == "invalid_request_error"


def test_no_such_model(client: openai.OpenAI, visit: Path) -> None:
    with pytest.raises(openai.NotFoundError, match="did you mean 'farm'") as caught:
        client.audio.transcriptions.create(model="farms", file=visit)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("whisper-1")


def post(url: str, content: bytes, kind: str) -> tuple[int, dict]:
    """Status and JSON of what no client of OpenAI's would send."""
    request = urllib.request.Request(url, content, {"Content-Type": kind})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    return caught.value.code, json.load(caught.value)["error"]


def test_no_form(served: Served) -> None:
    url = f"{served.url}/v1/audio/transcriptions"
    status, error = post(url, b"{}", "application/json")
    assert status == 415 and "multipart/form-data" in error["message"]
    status, error = post(url, b"no parts", "multipart/form-data; boundary=x")
    assert status == 400
    status, error = post(url, b"--x--\r\n", "multipart/form-data; boundary=x")
    assert status == 400 and error["param"] == "file"
    assert post(f"{served.url}/v1/audio/speech", b"{}", "application/json")[0] == 404


def test_health_and_metrics(served: Served, client: openai.OpenAI, visit: Path) -> None:
    client.audio.transcriptions.create(model="farm", file=visit)
    with urllib.request.urlopen(f"{served.url}/health") as answer:
        assert json.load(answer) == {"status": "ok"}
    with urllib.request.urlopen(f"{served.url}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
    assert float(lines['speechllm_requests_total{status="200"}']) >= 1
    assert float(lines['speechllm_audio_seconds_total{domain="farm"}']) >= 7
    assert lines["speechllm_requests_open"] == "0.0"
