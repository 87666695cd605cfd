"""Distributed training: several processes of torchrun, or one; the loop treats both alike."""

import atexit
import gc
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from speechllm.environment import environment_number
from speechllm.files.processes import LAUNCHED

PATIENCE = timedelta(minutes=30)
"""Longest wait for a process in common work; one that is dead is noticed at once."""
LONG_PATIENCE = timedelta(days=7)
"""Longest wait for the first process while it makes data that all need."""
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class World:
    """This process among all that train together.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        device: device that it computes on.
        deadline: time of `time.monotonic` at which the run has to save and stop; None for no limit.
        waiting: process group on CPUs, for waits.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    deadline: float | None = None
    waiting: Any = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Add up tensors over all processes, in place, through one flat buffer."""
        tensors = list(tensors)
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, value: float) -> float:
        """Value of the first process, in all processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return float(tensor)

    def highest(self, value: int) -> int:
        """Highest of the processes' values, in all processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor(int(value), device=self.device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def is_out_of_time(self) -> bool:
        """Whether the deadline of any process has passed, in all processes."""
        if self.deadline is None:
            return False
        return bool(self.highest(time.monotonic() >= self.deadline))

    def barrier(self) -> None:
        """Wait for all processes; the error names those that do not come."""
        if self.size > 1:
            dist.monitored_barrier(self.waiting, PATIENCE, wait_all_ranks=True)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Run the block in the first process, then in all others: for files that one must make.

        That may take hours, which no other wait does.
        """
        if not self.is_first:
            dist.barrier(self.waiting)
        yield
        if self.is_first and self.size > 1:
            dist.barrier(self.waiting)

    def leave(self) -> None:
        """Leave the process group, once all common work is done."""
        if self.size > 1:
            dist.destroy_process_group()


def join_world(deadline: float | None = None) -> World:
    """Join the processes that torchrun started; without torchrun, a world of one process.

    Args:
        deadline: as in `World`.
    """
    size = environment_number("WORLD_SIZE", 1)
    cuda = torch.cuda.is_available()
    local_rank = environment_number("LOCAL_RANK", 0)
    device = f"cuda:{local_rank}" if cuda else "cpu"
    if cuda:
        torch.cuda.set_device(device)
    if LAUNCHED in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if size == 1:
        return World(device=device, deadline=deadline)
    # The last garbage collection takes seconds, in which the others would wait for this process.
    atexit.register(gc.freeze)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    waiting = dist.new_group(backend="gloo", timeout=LONG_PATIENCE)
    return World(dist.get_rank(), size, device, deadline, waiting)


def _end_with(launcher: int) -> None:
    """End this process when its launcher has been killed, as nobody would notice its death."""
    while os.getppid() == launcher:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)  # it may be waiting for another process, where no signal is seen
    os.kill(os.getpid(), signal.SIGKILL)
