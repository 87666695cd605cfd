"""Admission: how many requests are open, and whether more are taken."""

from collections.abc import Iterator
from contextlib import contextmanager

from speechllm.serve.api_error import ApiError


class Admission:
    """Bounded number of open requests. Used in the event loop's thread alone.

    Args:
        most: requests that may be open at once.

    Attributes:
        open: requests that are open.
        stopping: no more are taken; those that are open are finished.
    """

    def __init__(self, most: int):
        self.most, self.open, self.stopping = most, 0, False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places, for as long as the block runs.

        Raises:
            ApiError: 503 while stopping, 429 where no place is free.
        """
        if self.stopping:
            raise ApiError(503, "the server is stopping", "stopping")
        if self.open >= self.most:
            message = f"{self.most} requests are open, which is the most: try again later"
            raise ApiError(429, message, "rate_limit_exceeded")
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
