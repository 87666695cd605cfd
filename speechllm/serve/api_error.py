"""Errors as OpenAI's clients read them."""

from typing import Any

from speechllm.data.speech.audio_error import AudioError
from speechllm.errors import bounded

GONE = 499
"""Status of a request whose client has gone; only metrics see it."""


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        message: what is wrong, and what helps.
        code: for programs, in OpenAI's words where they have one.
        param: field of the request at fault.
    """

    def __init__(self, status: int, message: str, code: str, param: str | None = None):
        self.status, self.message, self.code, self.param = status, bounded(message), code, param
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """JSON of the answer."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        fields = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": fields}


def bad_field(message: str, param: str) -> ApiError:
    """Error of a field that cannot be used."""
    return ApiError(400, message, "invalid_value", param)


def no_audio(error: AudioError) -> ApiError:
    """Answer about audio that cannot be used."""
    said = ": ".join(filter(None, (error.reason, error.detail)))
    return ApiError(400, said, "invalid_audio", "file")
