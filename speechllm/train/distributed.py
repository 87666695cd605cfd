"""Distributed training: several processes of torchrun, or one; the loop treats both alike."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from speechllm.environment import environment_number


@dataclass(frozen=True)
class World:
    """This process among all that train together."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

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

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process, in all processes."""
        if self.size == 1:
            return flag
        tensor = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(tensor)
        return bool(tensor)

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Run the block in the first process, then in all others: for files that one must make."""
        if not self.is_first:
            self.barrier()
        yield
        if self.is_first:
            self.barrier()

    def leave(self) -> None:
        """Leave the process group, once all common work is done."""
        if self.size > 1:
            dist.destroy_process_group()


def join_world() -> World:
    """Join the processes that torchrun started; without torchrun, a world of one process."""
    size = environment_number("WORLD_SIZE", 1)
    cuda = torch.cuda.is_available()
    local_rank = environment_number("LOCAL_RANK", 0)
    device = f"cuda:{local_rank}" if cuda else "cpu"
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        return World(device=device)
    if not dist.is_initialized():
        # The others wait while the first makes data, which may take hours.
        dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(days=1))
    return World(dist.get_rank(), size, device)
