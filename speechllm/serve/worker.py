"""Worker: the one thread that owns the model, and gives it a round at a time."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from speechllm.errors import SpeechLLMError, out_of_memory, shortened
from speechllm.serve.api_error import ApiError
from speechllm.serve.engine import Engine
from speechllm.serve.job import SpeechJob
from speechllm.serve.limits import ServeLimits
from speechllm.serve.rounds import Share, choose_round

log = logging.getLogger(__name__)

MOST_LINGERS = 10
"""Waits for one more job that an idle model makes before it begins."""


class Worker(threading.Thread):
    """Thread that transcribes jobs, in rounds of one domain, without holding up the requests.

    Args:
        engine: the model, which no other thread may use.
        limits: size of a round, and how long an idle model waits for more jobs.
    """

    def __init__(self, engine: Engine, limits: ServeLimits):
        super().__init__(name="model", daemon=True)
        self._engine, self._limits = engine, limits
        self._jobs: list[SpeechJob] = []  # in the order in which they have waited
        self._expected = 0
        self._changed = threading.Condition()
        self._is_ended = False

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Tell an idle model, for as long as the block runs, that a job is about to come."""
        with self._changed:
            self._expected += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1
                self._changed.notify()

    def submit(self, job: SpeechJob) -> None:
        """Hand a job over; its samples are closed here."""
        if not job.cuts:  # nothing but silence
            job.wave.close()
            job.tell(None)
            return
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def end(self) -> None:
        """End the thread after the round that runs."""
        with self._changed:
            self._is_ended = True
            self._changed.notify()
        self.join()

    def run(self) -> None:
        while shares := self._next():
            self._transcribe(shares)
            self._put_last(shares)
        for job in self._jobs:
            job.tell(ApiError(503, "the server is stopping", "stopping"))
            job.wave.close()

    def _next(self) -> list[Share]:
        """Wait for the next round; nothing at the end."""
        with self._changed:
            while not self._is_ended:
                self._sweep()
                if self._jobs:
                    return choose_round(self._jobs, self._limits.batch_seconds)
                while not (self._jobs or self._is_ended):
                    self._changed.wait()
                self._linger()
        return []

    def _linger(self) -> None:
        """Wait until nothing has come for a while, so that what comes together is one round."""
        linger = self._limits.linger / 1000
        until = last = time.monotonic() + MOST_LINGERS * linger
        seen: tuple[int, int] | None = None
        while not self._is_ended:
            if seen != (here := (len(self._jobs), self._expected)):
                seen, until = here, time.monotonic() + linger
            left = (last if self._expected else min(until, last)) - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _sweep(self) -> None:
        """Take out jobs that are finished or that nobody waits for."""
        for job in [job for job in self._jobs if job.is_dropped or job.is_taken]:
            self._jobs.remove(job)
            job.wave.close()

    def _put_last(self, shares: Sequence[Share]) -> None:
        """Jobs that had a turn wait behind those that had none."""
        with self._changed:
            served = [job for job, _ in shares]
            rest = [job for job in self._jobs if job not in served]
            self._jobs = rest + [job for job in self._jobs if job in served]

    def _transcribe(self, shares: Sequence[Share]) -> None:
        before = {job: len(job.transcript.pieces) for job, _ in shares}
        try:
            self._engine.transcribe(shares)
        except Exception as error:  # the server outlives whatever one round does
            answer = _answer(error)
            for job, _ in shares:
                job.tell(answer)
                job.drop()
            return
        for job, _ in shares:
            for piece in job.transcript.pieces[before[job] :]:
                job.tell(piece)
            if job.is_taken:
                job.tell(None)


def _answer(error: Exception) -> ApiError:
    """Answer to the requests of a round that failed; the log says more."""
    said = out_of_memory(error)
    if said:
        log.error("out of memory: %s; make --batch_seconds or --max_seconds smaller", said)
        return ApiError(500, "the server's memory did not suffice", "out_of_memory")
    if isinstance(error, SpeechLLMError):
        log.error("%s", error)
        return ApiError(500, error.message, "model_error")
    log.error("a bug of speechllm", exc_info=error)
    return ApiError(500, f"a bug of speechllm: {shortened(str(error), 300)}", "internal_error")
