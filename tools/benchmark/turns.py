"""Workers that take turns, so that what else the machine does meets all of them alike."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch

BUILD = Path(__file__).resolve().parents[2]
"""The checkout that this file is part of."""


class Worker:
    """A process of one build; whenever it is told to, it does its work once.

    Args:
        script: beside this file; takes its settings as JSON in its argument.
        build: checkout whose `speechllm` it imports.
        threads: that it computes with.
        settings: for the script.

    Attributes:
        said: what its last turn gave beside its rate, to be compared with others'.
    """

    def __init__(self, script: str, build: Path, threads: int, settings: dict[str, Any]):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(build, threads),
        )
        self.said: Any = None

    def turn(self, **options: Any) -> float:
        """Let it work once, with these options; returns what it did in a second."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            print(json.dumps(options), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = self._process.wait()
            raise SystemExit(f"a worker has failed (exit code {code}; -9 is mostly memory)")
        rate, self.said = json.loads(answer)
        return rate

    def end(self) -> None:
        """It ends when its input does."""
        with suppress(BrokenPipeError):
            self._process.communicate()


def environment(build: Path, threads: int) -> dict[str, str]:
    """In which a process imports a build's `speechllm` and computes with so many threads."""
    quiet = {"PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    own = {"PYTHONPATH": str(build), "OMP_NUM_THREADS": str(threads)}
    return {**os.environ, **quiet, **own}


def in_turn(workers: dict[Any, Worker], rounds: int) -> dict[Any, float]:
    """The median rate of each over so many rounds, after one that does not count; then they end."""
    with at_work(workers):
        return medians(workers, rounds)


def medians(workers: dict[Any, Worker], rounds: int, **options: Any) -> dict[Any, float]:
    """As `in_turn`, with options for each turn; the workers go on."""
    turns = [{name: w.turn(**options) for name, w in workers.items()} for _ in range(rounds + 1)]
    return {name: median(turn[name] for turn in turns[1:]) for name in workers}


@contextmanager
def at_work(workers: dict[Any, Worker]) -> Iterator[None]:
    """End the workers when the block does."""
    try:
        yield
    finally:
        for worker in workers.values():
            worker.end()


def figure(case: str, what: str, dtype: str, before: float, now: float, unit: str) -> dict:
    """A row of the table: two rates of one run, and their ratio."""
    ratio = now / before
    return dict(case=case, what=what, dtype=dtype, unit=unit, before=before, now=now, ratio=ratio)


def seconds() -> float:
    """Processor time of this process for each of its threads; others cannot take away from it."""
    return time.process_time() / torch.get_num_threads()


def serve(work: Any) -> None:
    """The script's side: do `work(**options)` at each line, and print what it returns: its rate, or
    that and what is to be compared.
    """
    for line in sys.stdin:
        found = work(**json.loads(line))
        answer = found if isinstance(found, tuple) else (found, None)
        print(json.dumps(answer), flush=True)
