"""Signals that ask a command to stop."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Signals that ask to stop; SIGUSR1 is what clusters send some time before a time limit."""
AGAIN_SECONDS = 1.0
"""Seconds within which a repeated signal is ignored; `timeout` sends its signal twice."""


class Stopped(KeyboardInterrupt):
    """Raised when a signal asks this process to stop, so that half-made files are cleaned up."""

    def __init__(self, number: int = signal.SIGINT):
        self.number = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def raised_signals() -> Iterator[None]:
    """Raise Stopped inside the block on a signal to stop; a second one ends the process at once."""
    first = 0.0

    def stop(number: int, frame: object) -> None:
        nonlocal first
        if not first:
            first = time.monotonic()
            raise Stopped(number)
        if time.monotonic() - first > AGAIN_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    with _handled(stop):
        yield


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Collect signals to stop instead of raising, so that none separates a job from its record."""
    caught: list[int] = []
    with _handled(lambda number, frame: caught.append(number)):
        yield caught


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Collect a signal to stop, which raises Stopped at the block's end, or when it comes again.

    The block looks into the list at places where it can stop without loss.

    Raises:
        Stopped: a signal came.
    """
    caught: list[int] = []
    first = 0.0

    def stop(number: int, frame: object) -> None:
        nonlocal first
        if not caught:
            first = time.monotonic()
            caught.append(number)
        elif time.monotonic() - first > AGAIN_SECONDS:
            raise Stopped(number)

    with _handled(stop):
        yield caught
    if caught:
        raise Stopped(caught[0])


@contextmanager
def _handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Handle `NUMBERS` by a function, except ignored ones: nohup ignores SIGHUP on purpose."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in NUMBERS}
    before = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
