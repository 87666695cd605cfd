"""What the cases of gpu.py share: their settings, a synchronised clock, and how they tell."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GIB = 2**30


@dataclass(frozen=True)
class Settings:
    """Of one run of gpu.py.

    Attributes:
        work: folder of all that is made.
        shape: sizes of models and data, one of `shapes.SHAPES`.
        seconds: that a measurement takes at least, after its warm-up.
        batch_seconds: padded seconds of a batch of the encoder.
        batch_positions: padded LLM positions of a training batch.
        decode_positions: of a batch in the search, over all beams.
        beam: hypotheses of an utterance in the search.
        tokens_per_second: bound of a hypothesis.
        profile: write what took the device's time, kernel by kernel.
        rate: FLOPs in a second of bf16 matrix products here; None where it was not measured.
    """

    work: Path
    shape: str
    seconds: float
    batch_seconds: float
    batch_positions: int
    decode_positions: int
    beam: int
    tokens_per_second: float
    profile: bool
    rate: float | None = None

    @property
    def encoder(self) -> Path:
        return self.work / self.shape / "encoder"

    @property
    def llm(self) -> Path:
        return self.work / self.shape / "llm"

    @property
    def data(self) -> Path:
        return self.work / self.shape / "noise"

    @property
    def dump(self) -> Path:
        return self.work / self.shape / "dump"


def figure(what: str, seen: float, unit: str = "", asked: float | None = None) -> None:
    """Tell gpu.py what was found; a later figure of the same name replaces an earlier one.

    Args:
        asked: the least that it should be.
    """
    print(json.dumps({"figure": {"what": what, "seen": seen, "unit": unit, "asked": asked}}))


def fact(name: str, value: object) -> None:
    """Tell gpu.py something of the machine."""
    print(json.dumps({"fact": {name: value}}))


def say(text: str) -> None:
    """A line of progress."""
    print(text)


def now() -> float:
    """Wall seconds, once the device has done all that it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def forget_peak() -> None:
    """Let `peak` be that of what comes next; on a CPU it is that of the process in any case."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak() -> int:
    """Most bytes that tensors took on the GPU; on a CPU, that the process took."""
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def profiled(settings: Settings, case: str) -> Iterator[None]:
    """Write work/<case>.profile.txt about the block, where a profile is wanted."""
    if not settings.profile:
        yield
        return
    with torch.profiler.profile() as profile:
        yield
        now()
    order = f"self_{DEVICE}_time_total".replace("cuda", "device")
    table = profile.key_averages().table(sort_by=order, row_limit=40, max_name_column_width=90)
    (settings.work / f"{case}.profile.txt").write_text(table)
    say(f"profile in {case}.profile.txt")
