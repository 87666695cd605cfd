"""Door: what every request passes, whatever its route."""

import time
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speechllm.serve.api_error import ApiError
from speechllm.serve.metrics import ServeMetrics
from speechllm.serve.web.keys import check_key, check_origin

TRANSCRIPTIONS = "/v1/audio/transcriptions"
OPEN = ("/", "/health")
"""Paths that need no key."""


class Door:
    """Middleware that checks keys and origins, counts transcriptions, and adds headers.

    Args:
        app: what lies behind.
        keys: API keys; with none, only this machine's own clients may enter.
        metrics: counts transcriptions.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[bytes], metrics: ServeMetrics):
        self._app, self._keys, self._metrics = app, keys, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        try:
            try:
                self._check(scope)
            except ApiError as error:
                await JSONResponse(error.body(), error.status)(scope, receive, send_on)
            else:
                await self._app(scope, receive, send_on)
        finally:
            if scope["path"] == TRANSCRIPTIONS:
                self._metrics.requests.labels(str(status)).inc()
                self._metrics.seconds.observe(time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._keys:
            check_origin(headers.get("host", ""), headers.get("origin", ""))
        elif scope["path"] not in OPEN:
            check_key(self._keys, headers.get("authorization", ""))
