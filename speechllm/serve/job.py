"""Job: one recording between the request that brought it and the model's thread."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from speechllm.data.speech.samples import Samples
from speechllm.serve.api_error import ApiError
from speechllm.transcribe.transcript import Piece, Transcript


@dataclass(eq=False)
class SpeechJob:
    """A recording that waits for the model, and the pieces that come back.

    Attributes:
        transcript: where the model's thread collects the pieces.
        wave: samples; the model's thread closes them.
        cuts: (start, end) of each piece in samples.
        hotwords: bias list.
        is_streamed: pieces are wanted as early as possible.
        loop: of the request.
        taken: number of pieces that the model's thread has taken.
        is_dropped: nobody waits for it any more.
    """

    transcript: Transcript
    wave: Samples
    cuts: list[tuple[int, int]]
    hotwords: tuple[str, ...]
    is_streamed: bool
    loop: asyncio.AbstractEventLoop
    taken: int = 0
    is_dropped: bool = False
    _events: asyncio.Queue[Piece | ApiError | None] = field(default_factory=asyncio.Queue)

    @property
    def kind(self) -> tuple[str, bool]:
        """Jobs of one kind can be decoded together: of a domain, with bias lists or without."""
        return self.transcript.domain, bool(self.hotwords)

    @property
    def is_taken(self) -> bool:
        """No piece is left to be taken."""
        return self.taken == len(self.cuts)

    def drop(self) -> None:
        """Say that nobody waits any more: no further piece is computed."""
        self.is_dropped = True

    def tell(self, event: Piece | ApiError | None) -> None:
        """Pass a piece, an error or the end (None) to the request, from the model's thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield pieces as they come; raises the error of the model's thread."""
        while (event := await self._events.get()) is not None:
            if isinstance(event, ApiError):
                raise event
            yield event
