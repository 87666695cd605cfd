"""Prefetching: the next batch is made while a GPU computes with the present one.

Reading, checking and padding the frames of a batch takes a CPU about as long as a GPU takes to
train on them.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from speechllm.slot.collate import Batch
from speechllm.slot.mixture import Item

Make = Callable[[Sequence[Item], int], Batch]


class Ahead:
    """Makes batches; for a GPU, the next one in a thread. On a CPU a thread would gain nothing.

    Args:
        make: (items, epoch) -> Batch; a pure function, so that it does not matter when it runs.
        device: device of the training.
    """

    def __init__(self, make: Make, device: str):
        self._make, self._pool = make, None
        self._next: tuple[tuple[Sequence[Item], int], Future[Batch]] | None = None
        if torch.device(device).type == "cuda":
            self._make = lambda items, epoch: make(items, epoch).pinned()
            # A new thread uses the first GPU by default, and would take memory there.
            here = (torch.cuda.current_device(),)
            self._pool = ThreadPoolExecutor(1, "batch", torch.cuda.set_device, here)

    def batch(self, items: Sequence[Item], epoch: int, then: Sequence[Item] | None) -> Batch:
        """Batch of some items; starts making the next one.

        Args:
            items: items of the batch.
            epoch: epoch of the batch.
            then: items of the epoch's next batch, which need not be asked for; None at the end of
                the epoch.
        """
        coming, self._next = self._next, None
        foreseen = coming is not None and coming[0] == (items, epoch)
        batch = coming[1].result() if foreseen else self._make(items, epoch)
        if self._pool and then is not None:
            self._next = ((then, epoch), self._pool.submit(self._make, then, epoch))
        return batch
