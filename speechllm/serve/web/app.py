"""App: the routes of OpenAI's audio API, health, metrics and the page."""

import time
from collections.abc import Sequence

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from speechllm.serve.api_error import ApiError
from speechllm.serve.metrics import ServeMetrics
from speechllm.serve.web.door import TRANSCRIPTIONS, Door
from speechllm.serve.web.fields import check_model
from speechllm.serve.web.page import page
from speechllm.serve.web.transcription import Desk


def make_app(desk: Desk, metrics: ServeMetrics, keys: Sequence[bytes]) -> FastAPI:
    """Make the ASGI app.

    Args:
        desk: takes the transcription requests.
        metrics: of the server.
        keys: API keys; none where only this machine reaches the server.
    """
    # No pages of FastAPI's own, which load scripts from elsewhere.
    app = FastAPI(openapi_url=None, middleware=[Middleware(Door, keys=keys, metrics=metrics)])
    created = int(time.time())
    domains = desk.engine.domains

    def described(name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": created, "owned_by": "speechllm"}

    @app.post(TRANSCRIPTIONS)
    async def transcriptions(request: Request) -> Response:
        return await desk.transcribe(request)

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        return {"object": "list", "data": [described(name) for name in domains]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, object]:
        return described(check_model(name, domains))

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": desk.state}, 200 if desk.state == "ok" else 503)

    @app.get("/metrics")
    async def counts() -> Response:
        metrics.open.set(desk.admission.open)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.get("/")(page)

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> Response:
        headers = {"Retry-After": "1"} if error.status in (429, 503) else None
        return JSONResponse(error.body(), error.status, headers)

    @app.exception_handler(HTTPException)
    async def misused(request: Request, error: HTTPException) -> Response:
        """Routes that do not exist, and forms that cannot be parsed."""
        said = ApiError(error.status_code, str(error.detail), "bad_request")
        return JSONResponse(said.body(), error.status_code, error.headers)

    return app
