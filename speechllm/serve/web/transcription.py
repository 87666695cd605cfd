"""Transcription: one request from its first byte to the last of its answer."""

import asyncio
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from speechllm.serve.admission import Admission
from speechllm.serve.api_error import GONE, ApiError
from speechllm.serve.engine import Engine
from speechllm.serve.job import SpeechJob
from speechllm.serve.limits import ServeLimits
from speechllm.serve.web.fields import read_fields
from speechllm.serve.web.reading import read_job
from speechllm.serve.web.responses import answer, events
from speechllm.serve.web.upload import owned, with_bound
from speechllm.serve.worker import Worker
from speechllm.transcribe.recogniser import CutConfig

T = TypeVar("T")
READERS = 2
"""Recordings that are read at once; more would only take memory from the model."""


class Desk:
    """Takes requests, and gives their recordings to the model's thread.

    Args:
        engine: the model. Its thread alone uses it; here only its settings are asked.
        worker: the model's thread.
        limits: bounds of the server.
        cut: segmentation of long recordings.

    Attributes:
        admission: how many requests are open.
    """

    def __init__(self, engine: Engine, worker: Worker, limits: ServeLimits, cut: CutConfig):
        self.engine, self._worker, self._limits, self._cut = engine, worker, limits, cut
        self.admission = Admission(limits.queue)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    async def transcribe(self, request: Request) -> Response:
        """Answer a request; what it holds is given back, however it ends.

        Raises:
            ApiError: the request cannot be served.
        """
        until = asyncio.get_running_loop().time() + self._limits.timeout
        with ExitStack() as stack:
            stack.enter_context(self.admission.place())
            with self._on_time():
                async with asyncio.timeout_at(until):
                    request = await with_bound(request, self._limits.most_bytes)
                    job, response_format = await self._begin(request)
                    stack.callback(job.drop)
                    if not job.is_streamed:
                        await unless_gone(request, _finished(job))
                        return answer(job, response_format)
            return EventStream(job, until, self._limits.timeout, stack.pop_all())

    async def _begin(self, request: Request) -> tuple[SpeechJob, str]:
        """Read the request and its recording, and queue the job."""
        content = request.headers.get("content-type", "")
        if not content.lower().startswith("multipart/form-data"):
            message = f"send a form (multipart/form-data), not {content or 'nothing'}"
            raise ApiError(415, message, "unsupported_media_type")
        async with request.form(max_files=1, max_fields=20) as form:
            engine, loop = self.engine, asyncio.get_running_loop()
            wanted = read_fields(form, engine.configs, engine.task)
            most = self._limits.most_seconds
            with self._worker.expecting():
                reading = loop.run_in_executor(
                    self._readers,
                    read_job,
                    *(owned(wanted.file), wanted, engine.task, self._cut, most, loop),
                )
                job = await unless_gone(request, reading)
                self._worker.submit(job)
        return job, wanted.response_format

    @contextmanager
    def _on_time(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise too_late(self._limits.timeout) from error

    @property
    def state(self) -> str:
        """The server's health: ok, stopping or broken."""
        if not self._worker.is_alive():
            return "broken"
        return "stopping" if self.admission.stopping else "ok"

    def close(self) -> None:
        """End the threads that read."""
        self._readers.shutdown(cancel_futures=True)


class EventStream(StreamingResponse):
    """Response of events; its place and its job are given back at its end.

    Args:
        job: queued.
        until: the loop's time at which it is too late.
        timeout: seconds that this was, for the message.
        stack: gives back what the request holds.
    """

    def __init__(self, job: SpeechJob, until: float, timeout: float, stack: ExitStack):
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events(job), media_type="text/event-stream", headers=headers)
        self._job, self._until, self._timeout, self._stack = job, until, timeout, stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        late = loop.call_at(self._until, self._job.tell, too_late(self._timeout))
        with self._stack:
            try:
                await super().__call__(scope, receive, send)
            finally:
                late.cancel()


def too_late(timeout: float) -> ApiError:
    """Error of a request that took too long."""
    message = f"not finished within {timeout:g} s: send a shorter recording, or when it is quieter"
    return ApiError(504, message, "timeout")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Wait for work, for as long as the client is there.

    Raises:
        ApiError: nobody waits for an answer.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ApiError(GONE, "the client has gone", "gone")
    finally:
        task.cancel()
        watch.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _finished(job: SpeechJob) -> None:
    async for _ in job.pieces():
        pass
