"""Run a server until it is told to stop."""

import logging
import socket
from collections.abc import Sequence

import uvicorn

from speechllm.serve.engine import Engine
from speechllm.serve.limits import ServeLimits
from speechllm.serve.server import Server
from speechllm.serve.web.app import make_app
from speechllm.serve.web.transcription import Desk
from speechllm.serve.worker import Worker
from speechllm.transcribe.recogniser import CutConfig

log = logging.getLogger(__name__)


def serve(
    engine: Engine,
    listener: socket.socket,
    keys: Sequence[bytes],
    limits: ServeLimits,
    cut: CutConfig,
) -> None:
    """Serve a model; returns after SIGTERM or SIGINT, when open requests are answered.

    Args:
        engine: the model; from now on its thread's.
        listener: bound socket.
        keys: API keys; none where only this machine reaches the socket.
        limits: bounds of the server.
        cut: segmentation of long recordings.
    """
    worker = Worker(engine, limits)
    desk = Desk(engine, worker, limits, cut)
    app = make_app(desk, engine.metrics, keys)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off"
    )
    host, port = listener.getsockname()[:2]
    worker.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        log.info("listening on http://%s:%d, models %s", shown, port, ", ".join(engine.domains))
        Server(config, desk.admission).run([listener])
        log.info("stopped: all requests that were open are answered")
    finally:
        desk.close()
        worker.end()
