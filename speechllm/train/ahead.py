"""The next batch, made while a GPU computes with the present one.

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
    """Makes batches; for a GPU, the next one in a thread of its own. On a CPU nobody would wait.

    Args:
        make: (items, epoch) -> Batch; a pure function, so that it does not matter when it is run.
        device: where batches are computed with.
    """

    def __init__(self, make: Make, device: str):
        self._make, self._pool = make, None
        self._next: tuple[tuple[Sequence[Item], int], Future[Batch]] | None = None
        if torch.device(device).type == "cuda":
            self._make = lambda items, epoch: make(items, epoch).pinned()
            # A thread begins on the first GPU, and would take memory there.
            here = (torch.cuda.current_device(),)
            self._pool = ThreadPoolExecutor(1, "batch", torch.cuda.set_device, here)

    def batch(self, items: Sequence[Item], epoch: int, then: Sequence[Item] | None) -> Batch:
        """The batch of some items.

        Args:
            then: items of the epoch's next batch, which may be asked for or not; None where the
                epoch ends.
        """
        coming, self._next = self._next, None
        foreseen = coming is not None and coming[0] == (items, epoch)
        batch = coming[1].result() if foreseen else self._make(items, epoch)
        if self._pool and then is not None:
            self._next = ((then, epoch), self._pool.submit(self._make, then, epoch))
        return batch
