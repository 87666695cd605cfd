"""Commands of `speechllm`, each in a process forked from this one, which has the imports done."""

import importlib
import os
import pkgutil
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.deaths import Calls, Death, count_calls

LONGEST_SECONDS = 300.0
STILL = 1000.0
"""What the clocks of a command show; they stand still, so that no file tells how long it took."""


@dataclass(frozen=True)
class Ended:
    """How a stage's commands ended.

    Attributes:
        code: exit code of the last command that ran; negative for a signal.
        output: all that it wrote.
        calls: calls to the file system, of all commands.
        seconds: time, of all commands.
    """

    code: int
    output: str
    calls: int
    seconds: float


def preload() -> None:
    """Import once what commands need. No thread is started, and nothing is run."""
    import matplotlib.figure  # noqa: F401
    import peft.utils.transformers_weight_conversion  # noqa: F401
    import torch
    import transformers.models.auto  # noqa: F401
    from transformers import LlamaForCausalLM, Wav2Vec2BertForCTC  # noqa: F401

    import speechllm

    for module in pkgutil.walk_packages(speechllm.__path__, "speechllm."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    torch.set_num_threads(1)


def in_fork(work: Callable[[], object]) -> None:
    """Do something in a forked process, so that this one stays as it was."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def run_commands(
    commands: Sequence[Sequence[str]], folder: Path, death: Death | None = None
) -> Ended:
    """Run commands one after the other, until one does not end well.

    Args:
        commands: words of each, without `speechllm`.
        folder: folder to run in.
        death: when one of them is ended; None: never.
    """
    calls, started = Calls(), time.monotonic()
    output = ""
    for words in commands:
        code, output = _run(words, folder, calls, death, started)
        if code:
            break
    return Ended(code, output, calls.number, time.monotonic() - started)


def _run(
    words: Sequence[str], folder: Path, calls: Calls, death: Death | None, started: float
) -> tuple[int, str]:
    reader, writer = os.pipe()
    sys.stdout.flush()  # else the child would write it too
    pid = os.fork()
    if pid == 0:
        os._exit(_child(words, folder, calls, death, writer))
    os.close(writer)
    with suppress(OSError):  # the child may have done it, and ended
        os.setpgid(pid, pid)
    signals = [(LONGEST_SECONDS, signal.SIGKILL)]
    if death and death.seconds is not None:
        signals.insert(0, (death.seconds, death.signal))
    output = b""
    with open(reader, "rb", buffering=0) as stream:
        while True:
            left = started + signals[0][0] - time.monotonic()
            if left <= 0:
                os.killpg(pid, signals[0][1])
                signals = signals[1:] or [(2 * signals[0][0], signal.SIGKILL)]
            elif select.select([stream], [], [], left)[0]:
                if not (block := stream.read(1 << 16)):
                    break
                output += block
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, output.decode(errors="replace")


def _child(
    words: Sequence[str], folder: Path, calls: Calls, death: Death | None, writer: int
) -> int:
    """Run one command as a program does; its exit code."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # our caller may ignore it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["speechllm", *words]
    time.monotonic = time.perf_counter = lambda: STILL
    os.chdir(folder)
    code = 1
    try:
        from speechllm.cli import main

        count_calls(calls, folder, death)
        main()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
