"""A real server on a free port of this machine, in a thread of the test or as a process."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.helpers.paths import ROOT


class Served:
    """A server that runs in a thread.

    Attributes:
        url: of the server, without a path.
        desk, worker, engine: its parts.
    """

    def __init__(self, engine: Any, keys: Sequence[bytes] = (), **limits: Any):
        import uvicorn

        from speechllm.serve.limits import ServeLimits
        from speechllm.serve.server import Server, bind
        from speechllm.serve.web.app import make_app
        from speechllm.serve.web.transcription import Desk
        from speechllm.serve.worker import Worker
        from speechllm.transcribe.recogniser import CutConfig

        bounds = ServeLimits(**limits)
        self.engine, self.worker = engine, Worker(engine, bounds)
        self.desk = Desk(engine, self.worker, bounds, CutConfig(max_seconds=2.0, vad="energy"))
        app = make_app(self.desk, engine.metrics, keys)
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        self.server = Server(config, self.desk.admission)
        self._listener = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self.server.run, args=([self._listener],))

    def __enter__(self) -> "Served":
        self.worker.start()
        self._thread.start()
        wait_until(lambda: self.server.started)
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.should_exit = self.server.force_exit = True
        self._thread.join()
        self.desk.close()
        self.worker.end()
        self._listener.close()

    def client(self, key: str = "none", **settings: Any) -> Any:
        """The official client."""
        from openai import OpenAI

        return OpenAI(api_key=key, base_url=f"{self.url}/v1", max_retries=0, **settings)


@contextlib.contextmanager
def served_process(model: Path, *options: str, **environment: str) -> Iterator[tuple[Any, str]]:
    """`speechllm serve` as a process of its own; gives it and its address."""
    command = [sys.executable, "-m", "speechllm", "serve", "--model", str(model), "--port", "0"]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.search(r"listening on (\S+),", line):
                break
        else:
            raise AssertionError(f"no server: exit code {process.wait()}")
        yield process, found[1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


def spoken_to(url: str) -> socket.socket:
    """A connection, for what no client would send."""
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)
