"""Work on items in several threads, whose results come in the items' order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T, U = TypeVar("T"), TypeVar("U")


def in_order(work: Callable[[T], U], items: Iterable[T], threads: int) -> Iterator[U]:
    """What `work` makes of each item; the first error ends it.

    Args:
        work: may be called by several threads at once, unless `threads` is 1.
        items: of which no more are in work or waiting to be taken than there are threads, so that
            memory is bounded.
        threads: that work; 1 is the caller's own.
    """
    if threads == 1:
        yield from map(work, items)
        return
    coming: deque[Future[U]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                if len(coming) == threads:
                    yield coming.popleft().result()
                coming.append(pool.submit(work, item))
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()
