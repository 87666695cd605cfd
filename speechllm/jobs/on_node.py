"""One job of an array on a node of a cluster: `python -m speechllm.jobs.on_node ARRAY.json`.

Slurm runs this as the script of each task. It runs the task's command, and writes log and done file
as on one machine. Slurm's signal before a time limit (SIGUSR1) becomes SIGTERM for the command,
which saves what it has; then the task is put back into the queue.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from speechllm.files.own import read_mapping
from speechllm.files.signals import caught_signals
from speechllm.jobs.runner import Job, cores, finish, note, open_log
from speechllm.jobs.scheduler import is_running, put_back

CACHE_SECONDS = 30.0
"""Longest time in which a file is waited for that another machine has just written: the cache of a
file system like NFS may not know it yet."""
CACHE_POLL_SECONDS = 0.5
SIGNAL_SECONDS = 2.0
"""Longest time by which Slurm's signal reaches this process later than the command."""


def main() -> None:
    """Run the task that Slurm's variables name; exit as its command does."""
    path = Path(sys.argv[1])
    number = os.environ["SLURM_ARRAY_TASK_ID"]
    if not appears(path):  # a runner that was killed gave this array up
        sys.exit(f"{path} is gone: this array is not wanted any more")
    told = read_mapping(path)
    os.chdir(told["folder"])
    row = told["jobs"][int(number)]
    job = Job(row["number"], row["command"], Path(row["log"]))
    code = job.code()  # of a run whose node went down just after it had ended
    sys.exit(run_task(job, told["requeues"]) if code is None else code)


def run_task(job: Job, requeues: int) -> int:
    """Run a job's command; return its exit code.

    Args:
        job: the job.
        requeues: most times that it is put back into the queue.
    """
    environment = dict(os.environ)
    own = environment.get("SLURM_CPUS_PER_TASK") or str(cores())
    environment.setdefault("OMP_NUM_THREADS", own)
    started = time.monotonic()
    with caught_signals() as caught:
        with open_log(job) as stream:
            try:
                # It stays in this process group, all of which Slurm kills.
                process = subprocess.Popen(
                    job.command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            except OSError as error:
                print(f"{job.command[0]}: {error.strerror}", file=stream, flush=True)
                finish(job, 127, 0.0)
                return 127
        asked = 0
        while (code := _wait(process)) is None:
            if len(caught) > asked:
                asked = len(caught)
                process.terminate()
        # scancel signals all processes, one by one.
        deadline = time.monotonic() + SIGNAL_SECONDS
        while code == -signal.SIGTERM and not caught and time.monotonic() < deadline:
            time.sleep(0.05)
        if not caught or code == 0:
            finish(job, code, time.monotonic() - started)
            return code if code >= 0 else 128 - code
        return _stopped(job, caught[0], requeues, time.monotonic() - started)


def _wait(process: subprocess.Popen) -> int | None:
    """Wait a moment for the end of a process."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(0.2)
    return None


def _stopped(job: Job, number: int, requeues: int, seconds: float) -> int:
    """Put a job that a signal stopped back into the queue, unless Slurm itself ends it."""
    task = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if number != signal.SIGUSR1 and not is_running(task):  # cancelled; or preempted, and put back
        note(job, f"Stopped at {time.ctime()}")
        return 128 + number
    times = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    hindrance = f"that was done {times} times" if times >= requeues else None
    if hindrance is None:
        note(job, f"Stopped at {time.ctime()}; it goes back into the queue")
        hindrance = put_back(task)
    if hindrance:
        why = f"stopped before its time was over, and not put back into the queue: {hindrance}"
        finish(job, 128 + number, seconds, why)
    return 128 + number


def appears(path: Path) -> bool:
    """Whether a file is there, once the caches of a shared file system know it."""
    deadline = time.monotonic() + CACHE_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(CACHE_POLL_SECONDS)
        refresh(path.parent)
    return True


def refresh(folder: Path) -> None:
    """List a folder, which makes NFS ask its server what is in it."""
    with suppress(OSError):
        os.listdir(folder)


if __name__ == "__main__":
    main()
