"""Commands of `speechllm`, each in a process forked from this one, which has the imports done."""

import importlib
import os
import pkgutil
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.deaths import Calls, Death, count_calls
from tests.helpers.paths import ROOT

LONGEST_SECONDS = 300.0
STILL = Path(__file__).with_name("still")


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


def start_fork(work: Callable[[], int | None]) -> int:
    """Do something in a forked process, which ends in the code that it returns.

    This process stays as it was. Returns the number of the new one.
    """
    sys.stdout.flush()  # else the child would write it too
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = work() or 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wait_for(pid: int) -> int:
    """Exit code of a forked process; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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


def run_script(recipe: Path, options: Sequence[str], seconds: float | None = None) -> Ended:
    """Run a recipe's `run.sh`, with its jobs, their runner and its watchdog, as a user does.

    Args:
        recipe: its folder.
        options: options of `run.sh`.
        seconds: time after which SIGKILL comes to the whole process group; None: never.
    """
    path = os.pathsep.join([str(STILL), str(ROOT)])
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [recipe / "run.sh", *options],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds or LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        took = time.monotonic() - started
        output.seek(0)
        return Ended(process.returncode, output.read().decode(errors="replace"), 0, took)


def _run(
    words: Sequence[str], folder: Path, calls: Calls, death: Death | None, started: float
) -> tuple[int, str]:
    reader, writer = os.pipe()
    pid = start_fork(lambda: _child(words, folder, calls, death, writer))
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
    return wait_for(pid), output.decode(errors="replace")


def _child(
    words: Sequence[str], folder: Path, calls: Calls, death: Death | None, writer: int
) -> None:
    """Run one command as a program does."""
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM):  # our caller may ignore them
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["speechllm", *words]
    runpy.run_path(str(STILL / "sitecustomize.py"))
    os.chdir(folder)
    from speechllm.cli import main

    count_calls(calls, folder, death)
    main()
