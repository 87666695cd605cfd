"""A GPU finds its next batch made; on a CPU nothing is made ahead. No GPU is needed here."""

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from speechllm.slot.mixture import Item
from speechllm.train import loop
from speechllm.train.ahead import Ahead
from speechllm.train.distributed import World
from tests.train.test_loop import Targets, trainer

ITEMS = [[Item(0, f"u{n}", n)] for n in range(4)]


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Devices that threads were set to; nothing is computed on any."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@dataclass
class Made:
    utt_id: str
    thread: int
    is_pinned: bool = False

    def pinned(self) -> "Made":
        return Made(self.utt_id, self.thread, True)


class Maker:
    """Remembers what was made, and can be waited for."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.done = threading.Semaphore(0)

    def __call__(self, items: list[Item], epoch: int) -> Made:
        if items[0].utt_id == "u3":
            raise ValueError("u3 cannot be read")
        self.made.append(items[0].utt_id)
        self.done.release()
        return Made(items[0].utt_id, threading.get_ident())


def test_the_next_batch_is_made_meanwhile_and_pinned(on_gpu: list[int]) -> None:
    make = Maker()
    batches = Ahead(make, "cuda:3")
    assert batches.batch(ITEMS[0], 0, ITEMS[1]).utt_id == "u0"
    assert make.done.acquire(timeout=30)
    assert make.done.acquire(timeout=30)  # without being asked for
    second = batches.batch(ITEMS[1], 0, None)
    assert make.made == ["u0", "u1"] and second.is_pinned
    assert second.thread != threading.get_ident() and on_gpu == [3]


def test_what_was_not_foreseen_is_made_at_once(on_gpu: list[int]) -> None:
    batches = Ahead(Maker(), "cuda")
    batches.batch(ITEMS[0], 0, ITEMS[1])
    assert batches.batch(ITEMS[2], 0, None).utt_id == "u2"  # the plan has changed
    batches.batch(ITEMS[0], 0, ITEMS[1])
    assert batches.batch(ITEMS[1], 1, None).utt_id == "u1"  # its noise is that of another epoch


def test_an_error_comes_when_the_batch_is_asked_for(on_gpu: list[int]) -> None:
    batches = Ahead(Maker(), "cuda")
    assert batches.batch(ITEMS[0], 0, ITEMS[3]).utt_id == "u0"
    with pytest.raises(ValueError, match="u3"):
        batches.batch(ITEMS[3], 0, None)


def test_on_a_cpu_nothing_is_made_ahead() -> None:
    make = Maker()
    batch = Ahead(make, "cpu").batch(ITEMS[0], 0, ITEMS[1])
    assert make.made == ["u0"] and not batch.is_pinned


def test_training_is_the_same(
    tmp_path: Path, on_gpu: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Targets, "pinned", lambda self: self, raising=False)
    monkeypatch.setattr(loop, "REHEARSED_ON", set())
    here = trainer(tmp_path / "cpu", steps=10)
    there = trainer(tmp_path / "gpu", World(device="cuda"), steps=10)
    assert here.train().seen == there.train().seen
    assert torch.equal(here.model.weight, there.model.weight)
    assert on_gpu == [3]
