"""When Python looks for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside the block nobody looks for cycles of objects that nothing else refers to.

    For work that makes millions of small objects, all of them needed and none of them in a cycle:
    the collector would go through them again and again, a quarter of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
