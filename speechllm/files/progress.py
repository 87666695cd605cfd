"""Progress with an estimated time to the end: a bar on a terminal, sparse lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 15.0


class Progress:
    """Context manager that shows progress towards `total` units of work.

    On a terminal it draws a rich bar with ETA. Elsewhere (a job's log) it writes a line every
    `LOG_EVERY_SECONDS` seconds and one at the end.
    """

    def __init__(self, what: str, total: float, unit: str = "utt", done: float = 0):
        self.what, self.total, self.unit = what, total, unit
        self.done = self._first = done
        self._bar = None

    def __enter__(self) -> "Progress":
        self._start = self._last = time.monotonic()
        if sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                self.unit,
                TimeRemainingColumn(),
                "{task.fields[note]}",
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(
                self.what, total=self.total, completed=self.done, note=""
            )
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif exc[0] is None:
            took = timedelta(seconds=round(time.monotonic() - self._start))
            log.info("%s: %g/%g %s in %s", self.what, self.done, self.total, self.unit, took)

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Add `amount` units of finished work; `note` is shown at the end of the line."""
        self.done += amount
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)
            return
        now = time.monotonic()
        if now - self._last >= LOG_EVERY_SECONDS and self.done > self._first:
            self._last = now
            rate = (self.done - self._first) / (now - self._start)
            eta = timedelta(seconds=round(max(0.0, self.total - self.done) / rate))
            log.info(
                "%s: %g/%g %s, ETA %s %s", self.what, self.done, self.total, self.unit, eta, note
            )


def track(items: Iterable[T], what: str, total: int, unit: str = "utt") -> Iterator[T]:
    """Yield `items` while showing progress.

    Args:
        items: what is iterated over.
        what: name of the work.
        total: number of items.
        unit: name of an item.
    """
    with Progress(what, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
