"""Upload: a body of bounded size, kept in a file without a name."""

import asyncio
import os
from contextlib import suppress
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.types import Message, Receive

from speechllm.serve.api_error import ApiError

DISCARD_SECONDS = 5.0
"""Time in which a body that is too large is still read: most clients hear the answer only then."""


async def with_bound(request: Request, most: int) -> Request:
    """The request, which raises 413 as soon as its body proves larger than `most` bytes.

    Raises:
        ApiError: 413 already now, by the header.
    """
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > most:
            await _discard(request.receive)
            raise _too_large(most)
        return message

    length = request.headers.get("content-length", "")
    if length.isdigit() and (len(length) > 18 or int(length) > most):
        if "expect" not in request.headers:  # who waits for a go-ahead has sent nothing
            await _discard(request.receive)
        raise _too_large(most)
    return Request(request.scope, receive)


def owned(file: UploadFile) -> BinaryIO:
    """Another descriptor of an upload, for a thread that may outlive the request.

    The file has no name: its content goes with its last descriptor, also when the process is
    killed.
    """
    return os.fdopen(os.dup(file.file.fileno()), "rb")


async def _discard(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while (await receive()).get("more_body"):
                pass


def _too_large(most: int) -> ApiError:
    message = f"the upload is larger than {most / 1e6:g} MB: send a shorter one, or FLAC or Opus"
    return ApiError(413, message, "file_too_large", "file")
