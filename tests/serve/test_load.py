"""Many clients, clients that go away, limits, stopping."""

import asyncio
import io
import signal
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import soundfile

from speechllm.serve.engine import Engine
from tests.helpers.served import Served, spoken_to, wait_until
from tests.serve.conftest import held


def asked(client: openai.OpenAI, path: Path, model: str = "base") -> str:
    return client.audio.transcriptions.create(model=model, file=path).text


def test_32_clients_at_once_get_what_each_gets_alone(
    engine: Engine, served: Served, recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = [(path, domain) for path in recordings for domain in ("farm", "music")] * 2
    client = served.client()
    alone = [asked(client, *ask) for ask in asks[:16]] * 2
    assert len(set(alone)) == 16
    rounds: list[int] = []
    transcribe = engine.transcribe
    monkeypatch.setattr(engine, "transcribe", lambda s: (rounds.append(len(s)), transcribe(s)))
    ready = threading.Barrier(32)

    def one(ask: tuple[Path, str]) -> str:
        own = served.client()
        ready.wait()
        return asked(own, *ask)

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(one, asks)) == alone
    assert sum(rounds) == 32 and max(rounds) > 2


def test_a_client_that_goes_away_frees_its_work(
    engine: Engine, served: Served, visit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = engine.metrics.pieces._value.get
    with held(engine, monkeypatch) as let_go:

        async def leave(stream: bool) -> None:
            client = openai.AsyncOpenAI(api_key="none", base_url=f"{served.url}/v1", max_retries=0)
            call = asyncio.ensure_future(
                client.audio.transcriptions.create(model="base", file=visit, stream=stream)
            )
            await asyncio.sleep(0.01)
            while not served.desk.admission.open:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            call.cancel()
            await asyncio.wait([call])
            if not call.cancelled():
                await (await call).close() if stream else None
            await client.close()

        for stream in (False, True):
            asyncio.run(leave(stream))
        wait_until(lambda: not served.desk.admission.open)
        before = pieces()
        let_go.set()
        wait_until(lambda: not served.worker._jobs)
    assert pieces() == before
    assert asked(served.client(), visit)


def test_a_full_queue_says_so(
    engine: Engine, recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(engine, queue=2) as served, held(engine, monkeypatch) as let_go:
        with ThreadPoolExecutor(2) as pool:
            first = [pool.submit(asked, served.client(), path) for path in recordings[:2]]
            wait_until(lambda: served.desk.admission.open == 2)
            with pytest.raises(openai.RateLimitError, match="2 requests are open") as caught:
                asked(served.client(), recordings[2])
            assert caught.value.response.headers["retry-after"]
            let_go.set()
            assert all(one.result() for one in first)
        assert asked(served.client(), recordings[2])


def test_what_takes_too_long_is_told_so(
    engine: Engine, recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(engine, timeout=0.5) as served, held(engine, monkeypatch):
        with pytest.raises(openai.InternalServerError, match="not finished within") as caught:
            asked(served.client(), recordings[0])
        assert caught.value.status_code == 504
        stream = served.client().audio.transcriptions.create(
            model="base", file=recordings[0], stream=True
        )
        with pytest.raises(openai.APIError, match="not finished within"):
            list(stream)
        wait_until(lambda: not served.desk.admission.open)


def test_an_upload_that_is_too_large(engine: Engine, recordings: list[Path]) -> None:
    with Served(engine, most_mb=0.1) as served:
        with pytest.raises(openai.APIStatusError, match=r"larger than 0\.1 MB") as caught:
            served.client().audio.transcriptions.create(model="base", file=("a", bytes(3_000_000)))
        assert caught.value.status_code == 413 and caught.value.code == "file_too_large"

        with spoken_to(served.url) as line:  # without a length, in chunks
            line.sendall(
                b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for part in (head, *[bytes(50_000)] * 4):
                line.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            line.sendall(b"0\r\n\r\n")
            assert line.recv(1000).startswith(b"HTTP/1.1 413")
        assert not served.desk.admission.open
        assert asked(served.client(), recordings[0])


def test_ten_hours_are_too_long(served: Served, tmp_path: Path) -> None:
    with pytest.raises(openai.APIStatusError, match="longer than 7200 s") as caught:
        asked(served.client(), ten_hours(tmp_path / "long.wav"))
    assert caught.value.status_code == 413 and caught.value.code == "audio_too_long"


def ten_hours(path: Path) -> Path:
    """A recording of ten hours, 36 MB."""
    with soundfile.SoundFile(path, "w", 1000, 1, subtype="PCM_U8") as file:
        for _ in range(600):
            file.write(np.zeros(60_000))
    return path


def test_a_length_that_no_header_tells_is_bounded(engine: Engine) -> None:
    content = io.BytesIO()
    soundfile.write(content, np.random.default_rng(0).normal(0, 0.1, 48000), 16000, format="OGG")
    with Served(engine, most_seconds=2) as served:
        with pytest.raises(openai.APIStatusError, match="longer than 2 s") as caught:
            served.client().audio.transcriptions.create(model="base", file=("a", content))
        assert caught.value.status_code == 413


def test_a_round_that_fails_is_told_and_the_next_goes_on(
    engine: Engine, served: Served, recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(shares: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "transcribe", fail)
        with pytest.raises(openai.InternalServerError, match="memory did not suffice"):
            asked(served.client(), recordings[0])
    assert asked(served.client(), recordings[0])


def test_audio_that_the_encoder_cannot_take_fails_alone(
    engine: Engine, served: Served, visit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = engine._encoder.encode, iter(range(100))

    def overflow(waves: list[np.ndarray]) -> list[np.ndarray]:
        frames = encode(waves)
        return [frames[0] * np.nan] if next(calls) == 1 else frames

    with monkeypatch.context() as patch:
        patch.setattr(engine._encoder, "encode", overflow)
        stream = iter(
            served.client().audio.transcriptions.create(model="base", file=visit, stream=True)
        )
        assert next(stream).delta
        with pytest.raises(openai.APIError, match="the encoder gives NaN or Inf"):
            next(stream)
    assert asked(served.client(), visit)


def test_keys(engine: Engine, recordings: list[Path]) -> None:
    with Served(engine, keys=[b"one-key-of-many-letters", b"another-key-of-letters"]) as served:
        assert asked(served.client("another-key-of-letters"), recordings[0])
        with pytest.raises(openai.AuthenticationError, match="no valid API key"):
            asked(served.client("a-wrong-key"), recordings[0])
        with pytest.raises(openai.AuthenticationError):
            served.client("a-wrong-key").models.list()
        with urllib.request.urlopen(f"{served.url}/health") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://foreign.example"}, {"Host": "rebound.example:80"}]
)
def test_without_keys_no_foreign_page_may_call(served: Served, headers: dict[str, str]) -> None:
    request = urllib.request.Request(f"{served.url}/v1/models", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403


def test_a_stop_finishes_what_runs_and_refuses_what_is_new(
    engine: Engine, recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(engine) as served, held(engine, monkeypatch) as let_go:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(asked, served.client(), recordings[0])
            wait_until(lambda: served.worker._jobs)
            served.server.handle_exit(signal.SIGTERM, None)
            with pytest.raises(openai.InternalServerError, match="is stopping") as caught:
                asked(served.client(), recordings[1])
            assert caught.value.status_code == 503
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(f"{served.url}/health")
            let_go.set()
            assert running.result()
        served._thread.join(10)
        assert not served._thread.is_alive()


def test_a_slow_sender_does_not_hold_up_others(served: Served, recordings: list[Path]) -> None:
    with spoken_to(served.url) as line:
        line.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
        wait_until(lambda: served.desk.admission.open == 1)
        assert asked(served.client(), recordings[0])
    wait_until(lambda: not served.desk.admission.open)
