"""Bounds that keep a server alive whatever its clients send."""

from typing import Annotated

from pydantic import Field

from speechllm.config import PositiveInt, Section


class ServeLimits(Section):
    """Bounds of a server; each is an option of `speechllm serve`."""

    queue: PositiveInt = 64
    """Requests that may be open at once, those that are still sent included; others get 429."""
    most_mb: Annotated[float, Field(gt=0)] = 200.0
    """Largest upload in MB."""
    most_seconds: Annotated[float, Field(gt=0)] = 7200.0
    """Longest recording."""
    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds until a request gets 504, counted from its first byte."""
    batch_seconds: Annotated[float, Field(gt=0)] = 120.0
    """Seconds of audio that are decoded together; a newcomer waits for one such round at most."""
    linger: Annotated[float, Field(ge=0, le=1000)] = 20.0
    """Milliseconds without a new request after which an idle model begins; it waits for ten times
    as long at most, also for recordings that are still being read."""

    @property
    def most_bytes(self) -> int:
        return round(self.most_mb * 1e6)
