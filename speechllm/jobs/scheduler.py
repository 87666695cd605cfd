"""Slurm's own commands, as functions: submit, ask, cancel, put back."""

import logging
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from speechllm.errors import SpeechLLMError, shortened

log = logging.getLogger(__name__)

CALL_SECONDS = 120.0
"""Longest time that Slurm's controller is waited for."""
_OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}


@dataclass(frozen=True)
class TaskState:
    """State of a task of an array, as Slurm tells it.

    Attributes:
        id: id of the task, such as 123_4.
        state: RUNNING, PENDING, NODE_FAIL, ...
        reason: reason for it, such as Resources; empty where there is none.
        exit_code: Slurm's two numbers, code:signal; empty where it is not known.
    """

    id: str
    state: str
    reason: str = ""
    exit_code: str = ""

    @property
    def is_over(self) -> bool:
        return self.state.split(" ")[0] in _OVER  # CANCELLED by 1000

    @property
    def code(self) -> int:
        """Exit code as a shell would tell it; never 0."""
        code, _, number = self.exit_code.partition(":")
        if self.state == "OUT_OF_MEMORY":
            return 137
        if number.isdigit() and 0 < int(number) < 65:
            return 128 + int(number)
        if self.state.startswith(("CANCELLED", "TIMEOUT", "PREEMPTED")):
            return 143
        return int(code) if code.isdigit() and int(code) else 1

    def __str__(self) -> str:
        reason = f", {self.reason}" if self.reason not in ("", "None", self.state) else ""
        code = f", exit code {self.exit_code}" if self.exit_code not in ("", "0:0") else ""
        return f"Slurm job {self.id}: {self.state}{reason}{code}"


def submit(name: str, tasks: str, script: str, options: Iterable[str]) -> str:
    """Submit an array; return its id.

    Args:
        name: name of the array in Slurm's queue.
        tasks: numbers of its tasks, as sbatch reads them: 0-9%2.
        script: text of the script that each task runs.
        options: further options of sbatch.

    Raises:
        SpeechLLMError: Slurm refuses it.
    """
    # What sbatch reads from variables (SBATCH_...) gives way to these.
    words = ["sbatch", "--parsable", "--export=ALL", "--requeue", "--open-mode=append"]
    done = _call([*words, f"--job-name={name}", f"--array={tasks}", *options], script)
    if done.returncode:
        said = shortened(" ".join(done.stderr.split()), 300)
        raise SpeechLLMError(
            f"sbatch refused the jobs: {said}",
            "correct the resources in conf/slurm.yaml: sinfo shows partitions and their limits",
        )
    return done.stdout.strip().split(";")[0]


def find(names: Sequence[str]) -> dict[tuple[str, int], TaskState] | None:
    """Tasks of arrays in Slurm's queue, by name and number; None if the controller is silent.

    Tasks that are over stay there for a while (MinJobAge of slurm.conf).
    """
    form = "%j|%F|%K|%T|%r"
    words = ["squeue", "--me", "--noheader", "--array", "--states=all"]
    done = _call([*words, f"--name={','.join(names)}", f"--format={form}"])
    if done.returncode:
        return None
    found = {}
    for line in done.stdout.splitlines():
        name, array, number, state, reason = line.split("|", 4)
        if number.isdigit():
            found[name, int(number)] = TaskState(f"{array}_{number}", state, reason.strip())
    return found


def cancel(name: str) -> bool:
    """Cancel an array; return whether Slurm took the order."""
    return _call(["scancel", "--me", f"--name={name}"]).returncode == 0


def largest_array() -> int:
    """Most tasks of an array."""
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", _call(["scontrol", "show", "config"]).stdout)
    return max(1, int(match[1])) if match else 1000


def put_back(task: str) -> str | None:
    """Put a running task back into the queue; return what hinders it, or None."""
    done = _call(["scontrol", "requeue", task])
    return " ".join(done.stderr.split()) or "no reason given" if done.returncode else None


def ending_of(known: TaskState) -> TaskState:
    """How a task ended: by Slurm's accounting; where that is off, as the controller remembers.

    Args:
        known: state of the task as it was seen last.
    """
    fields = "--format=State,ExitCode"
    words = ["sacct", "--noheader", "--parsable2", "--allocations", fields, f"--jobs={known.id}"]
    done = _call(words, missing_ok=True)
    if done.returncode == 0 and done.stdout.strip():
        state, _, code = done.stdout.strip().splitlines()[-1].partition("|")
        told = TaskState(known.id, state, known.reason, code)
        if told.is_over:  # the database may lag behind
            return told
    return _remembered(known.id) or known


def is_running(task: str) -> bool:
    """Whether Slurm lets a task run: it neither cancels it nor puts it back into the queue."""
    told = _remembered(task)
    return told is not None and told.state == "RUNNING"


def _remembered(task: str) -> TaskState | None:
    """State of a task as the controller remembers it; None if it does not."""
    done = _call(["scontrol", "--oneliner", "show", "job", task])
    told = dict(re.findall(r"\b(JobState|Reason|ExitCode)=(\S+)", done.stdout))
    if done.returncode or told.keys() != {"JobState", "Reason", "ExitCode"}:
        return None
    return TaskState(task, told["JobState"], told["Reason"], told["ExitCode"])


def _call(
    words: Sequence[str], script: str | None = None, missing_ok: bool = False
) -> subprocess.CompletedProcess[str]:
    """Call a command of Slurm; a silent controller gives an exit code other than 0."""
    try:
        return subprocess.run(
            words,
            input=script or "",
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=CALL_SECONDS,
            start_new_session=True,  # ctrl-C is for the caller alone
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", "no answer from Slurm's controller")
    except FileNotFoundError as error:
        if missing_ok:
            return subprocess.CompletedProcess(words, 127, "", "")
        raise SpeechLLMError(
            f"there is no {words[0]} on this machine",
            'run on a login node of the cluster, or set jobs_cmd="speechllm run" in cmd.sh',
        ) from error
