"""Work on items in several threads, with results in the items' order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T, U = TypeVar("T"), TypeVar("U")


def in_order(work: Callable[[T], U], items: Iterable[T], threads: int) -> Iterator[U]:
    """Yield the result of `work` for each item, in order; the first error ends it.

    At most `threads` results are in work or waiting to be taken, so that memory is bounded.

    Args:
        work: may be called by several threads at once, unless `threads` is 1.
        items: taken one by one, as threads become free.
        threads: number of threads; with 1, the caller's own does the work.
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
