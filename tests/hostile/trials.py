"""Trials of a kind: hypothesis damages its inputs; a child of this process reads them.

A case ends in success or in an error that a user can mend. A child that takes too long is ended
with a trace of where it stood, one that wants too much memory is refused it: both are faults.
"""

import contextlib
import faulthandler
import functools
import multiprocessing
import os
import resource
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import IO

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.hostile.damage import overrides
from tests.hostile.folders import OUTSIDE, Content, damaged_files, put
from tests.hostile.kinds import Kind
from tests.hostile.sandbox import attempt, copied, names_a_file, watched

SECONDS = 120
"""A case that takes longer hangs: it takes 0.1 s, on a machine with nothing else to do."""
MEMORY = 1 << 30
"""Bytes that the cases of a kind may take more than what was imported before."""


@dataclass(frozen=True)
class Outcome:
    """How the cases of a kind ended.

    Attributes:
        read: cases that ended in success.
        refused: cases that ended in an error that a user can mend.
        seconds: of all.
        megabytes: most memory, above what was there before the first case.
        fault: the traceback of a case that ended in another way; "" if none did.
    """

    name: str
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    megabytes: int = 0
    fault: str = ""

    @property
    def cases(self) -> int:
        return self.read + self.refused


def try_whole(kind: Kind, whole: Path, work: Path) -> int:
    """Read the undamaged inputs of a kind in this process; return the exit code."""
    (work / kind.name).mkdir(parents=True, exist_ok=True)
    place = copied(whole / kind.folder, work / kind.name / "box")
    with watched(place, list(kind.may_write)):
        return attempt(functools.partial(kind.run, []), kind.command)[0]


def try_all(
    kinds: Sequence[Kind], whole: Path, work: Path, cases: int, start: int, jobs: int = 1
) -> Iterator[Outcome]:
    """Try damaged inputs of each kind, each in a child of its own.

    Args:
        kinds: what is tried.
        whole: valid inputs, by kind (`make_all`).
        work: gets the inputs of each kind's last case, which is the fault if there is one.
        cases: of each kind.
        start: seed; equal ones give equal cases.
        jobs: children at a time.
    """
    context = multiprocessing.get_context("fork")
    waiting = list(kinds)[::-1]
    running: dict[connection.Connection, tuple[str, multiprocessing.process.BaseProcess]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            kind = waiting.pop()
            receiver, sender = context.Pipe(duplex=False)
            child = context.Process(
                target=_child, args=(sender, kind, whole, work / kind.name, cases, start)
            )
            child.start()
            sender.close()
            running[receiver] = kind.name, child
        for receiver in connection.wait(list(running)):
            name, child = running.pop(receiver)
            try:
                yield receiver.recv()
            except EOFError:
                child.join()
                said = "".join(_stuck(work / name).open().readlines()[:15])
                how = f"no end within {SECONDS} s" if said else f"exit code {child.exitcode}"
                yield Outcome(name, fault=f"the child died: {how}\n{said}")
            child.join()


def _stuck(work: Path) -> Path:
    return work / "stuck"


def _child(
    sender: connection.Connection, kind: Kind, whole: Path, work: Path, cases: int, start: int
) -> None:
    shutil.rmtree(work, ignore_errors=True)
    (work / OUTSIDE).mkdir(parents=True)
    (work / OUTSIDE / "secret").write_text("a-1 hello\n")
    before = _resident()
    limit = _virtual() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with _stuck(work).open("w") as log, open(os.devnull, "w") as nowhere:
        for stream in (1, 2):  # libraries in C write there
            os.dup2(nowhere.fileno(), stream)
        outcome = _try(kind, whole / kind.folder, work, cases, start, log)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sender.send(replace(outcome, megabytes=max(0, most - before)))
    sender.close()


def _try(kind: Kind, source: Path, work: Path, cases: int, start: int, log: IO[str]) -> Outcome:
    paths = sorted(path for pattern in kind.damage for path in source.glob(pattern))
    files = {str(p.relative_to(source)): p.read_bytes() for p in paths if p.is_file()}
    words = overrides(list(kind.keys)) if kind.keys else st.just([])
    codes: list[int] = []

    @seed(f"{start} {kind.name}")
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged_files(files), words)
    def try_one(changes: dict[str, Content], given: list[str]) -> None:
        place = copied(source, work / "box")
        put(place, changes)
        with _no_longer_than(SECONDS, log), watched(place, list(kind.may_write)):
            code, said = attempt(functools.partial(kind.run, given), kind.command)
        assert code != 1 or given or names_a_file(said, place, source), said
        secret = work / OUTSIDE / "secret"
        assert sorted(os.listdir(work)) == sorted([OUTSIDE, "box", _stuck(work).name])
        assert os.listdir(work / OUTSIDE) == ["secret"] and secret.read_text() == "a-1 hello\n"
        codes.append(code)

    begin, fault = time.monotonic(), ""
    try:
        try_one()
    except BaseException as error:  # a library in Rust panics with one that is no Exception
        fault = "".join(traceback.format_exception(error))
    read = codes.count(0)
    return Outcome(kind.name, read, len(codes) - read, time.monotonic() - begin, 0, fault)


@contextlib.contextmanager
def _no_longer_than(seconds: float, log: IO[str]) -> Iterator[None]:
    """End this process, with a trace in `log`, if the block takes longer, in C code too."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=log)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20
