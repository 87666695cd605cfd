"""The command: what it refuses, SIGTERM, kill -9."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from speechllm.cli import main
from tests.helpers.served import served_process, wait_until


def client_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)


def test_sigterm_ends_it_in_good_order(packed: Path, recordings: list[Path]) -> None:
    with served_process(packed, "beam=1", "--vad", "energy") as (process, url):
        client = client_of(url)
        assert client.audio.transcriptions.create(model="farm", file=recordings[0]).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "stopped: all requests that were open are answered" in process.stderr.read()


def test_kill_9_under_load_leaves_nothing(
    packed: Path, recordings: list[Path], tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    with served_process(packed, TMPDIR=str(tmp_path)) as (process, url):

        def ask(number: int) -> None:
            with pytest.raises(openai.APIConnectionError):
                while True:
                    content = recordings[number % 8].read_bytes() + bytes(2_000_000)
                    client_of(url).audio.transcriptions.create(model="base", file=("a", content))

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask, number) for number in range(8)]
            wait_until(lambda: f"/{tmp_path.name}" in descriptors(process.pid))
            process.kill()
            assert [one.result() for one in asking] == [None] * 8
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("*")} == before


def descriptors(pid: int) -> str:
    """Files that a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:  # closed in the meantime
            continue
    return "\n".join(found)


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--model", "nowhere", *argv])
    assert caught.value.code == 1
    return capsys.readouterr().err


def test_other_machines_need_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --api_key_file" in refused(["--host", "0.0.0.0"], capsys)
    keys = tmp_path / "keys"
    with_keys = ["--host", "0.0.0.0", "--api_key_file", str(keys)]
    assert f"{keys}: cannot be read" in refused(with_keys, capsys)
    keys.write_text("\n")
    assert f"{keys}: holds no key" in refused(with_keys, capsys)
    keys.write_text("long-enough-as-a-key\nshort\n")
    assert "key 2 has fewer than 16 characters" in refused(with_keys, capsys)


def test_wrong_use_is_said_before_a_model_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port} cannot be listened on" in refused(["--port", port], capsys)
    assert "beem" in refused(["beem=3"], capsys)
    assert "no folder 'nowhere'" in refused(["--port", "0"], capsys)
