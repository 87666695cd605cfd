"""A job array on a Slurm cluster: the backend of `speechllm run --slurm conf/slurm.yaml`.

Beside the logs, in a hidden folder, each array that is submitted has a file `<name>.json` with its
jobs. It is written before the array is submitted, so that a runner that was killed leaves no array
that nobody knows: the next one finds it in Slurm's queue by that name, and waits for it.

A job has ended when its done file is there. Slurm is asked only now and then, for jobs that wait,
and for those that ended without one: killed, cancelled, on a node that went down.
"""

import functools
import logging
import os
import re
import secrets
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from speechllm.errors import SpeechLLMError, shell_word
from speechllm.files.locks import LOCK, locked
from speechllm.files.own import read_mapping
from speechllm.files.progress import Progress
from speechllm.files.signals import Stopped, caught_signals
from speechllm.files.whole import beside, write_json
from speechllm.jobs import scheduler
from speechllm.jobs.on_node import refresh
from speechllm.jobs.resources import Resources, SlurmConfig
from speechllm.jobs.runner import Backend, Job, array_path, finish, forget, note, open_log
from speechllm.jobs.scheduler import TaskState

log = logging.getLogger(__name__)

FOLDER = ".slurm"
"""Ending of the folder beside the logs."""
CACHE_SECONDS = 15.0
"""Time after a job's end in which its done file may still appear: the caches of a file system like
NFS lag behind."""
CANCEL_SECONDS = 60.0
"""Longest time in which cancelled jobs are waited for; Slurm kills them after its KillWait."""
LOOK_SECONDS, ASK_SECONDS = 5.0, 30.0
"""Longest time between two looks for done files, and between two questions to Slurm. Both begin
short, so that short jobs are not held up."""

Place = tuple[str, int]
"""Name of an array, and number of a task in it."""


@dataclass
class Submitted:
    """A job in Slurm's queue, or running there."""

    job: Job
    since: float = field(default_factory=time.monotonic)
    running: float | None = None
    """Time at which it was first seen running; None while it waits."""
    lost: float | None = None
    """Time since which Slurm has it no more, though it left no done file."""


def slurm_backend(config: SlurmConfig, whole: Sequence[Job]) -> Backend:
    """Backend that runs jobs on a cluster, with the resources of a config; `whole`: the array."""
    return functools.partial(run_slurm, config=config, whole=whole)


def run_slurm(
    jobs: Sequence[Job], max_jobs_run: int, config: SlurmConfig, whole: Sequence[Job]
) -> None:
    """Run jobs on Slurm, `max_jobs_run` at once; each leaves a log and a done file.

    Jobs of an earlier runner that still wait or run are waited for, if they are the same. SIGINT,
    SIGHUP and SIGTERM cancel all jobs; SIGKILL leaves them to Slurm and to the next runner.

    Args:
        jobs: jobs to run; paths are understood on all nodes, from the current folder.
        max_jobs_run: most jobs that run at once.
        config: resources of the jobs.
        whole: all jobs of the array. Those that an earlier runner has left are waited for, too.

    Raises:
        SpeechLLMError: another runner is at work on these jobs, or Slurm refuses them.
        Stopped: a signal came.
    """
    array = array_path(jobs)
    array.parent.mkdir(parents=True, exist_ok=True)
    with (
        locked(beside(array, LOCK), f"the array of jobs {array}"),
        Progress(array.name, len(jobs), "jobs") as progress,
        caught_signals() as caught,
    ):
        queue = Queue(array, config.resources_of(array.name), progress)
        waiting = queue.adopt(jobs, whole)
        most = scheduler.largest_array()
        try:
            while (waiting or queue.tasks) and not caught:
                if not queue.tasks:
                    queue.submit(waiting[:most], max_jobs_run)
                    waiting = waiting[most:]
                queue.look()
        finally:
            if queue.tasks:
                queue.cancel(caught)
        if caught:
            raise Stopped(caught[0])


class Queue:
    """Jobs of this runner in Slurm's queue.

    Args:
        array: path that stands for the array, see `array_path`.
        resources: resources of each job.
        progress: tells how many jobs have ended.

    Attributes:
        tasks: jobs that have not ended.
    """

    def __init__(self, array: Path, resources: Resources, progress: Progress):
        self.folder = beside(array, FOLDER).absolute()
        self.resources, self.progress = resources, progress
        self.label = re.sub(r"[^A-Za-z0-9_.-]+", "_", array.name)[:40]
        self.tasks: dict[Place, Submitted] = {}
        self._states: dict[Place, TaskState] = {}
        self._said: set[str] = set()
        self._since = self._looked = self._asked = time.monotonic()
        self.folder.mkdir(exist_ok=True)

    def adopt(self, jobs: Sequence[Job], whole: Sequence[Job]) -> list[Job]:
        """Take over what an earlier runner left in the queue; return the jobs to be submitted.

        An array with other commands under the same logs is cancelled.

        Args:
            jobs: jobs to run.
            whole: all jobs of the array.

        Raises:
            SpeechLLMError: Slurm's controller does not answer.
        """
        refresh(self.folder)
        waiting = list(jobs)
        for path in sorted(self.folder.glob("*.json")):
            name, told = path.stem, _jobs_of(path)
            live = self._live(name)
            if live and all(told.get(number) in whole for number in live):
                ended = [job for job in told.values() if job in jobs and job.code() == 0]
                tasks = {(name, n): Submitted(told[n]) for n in live if told[n] not in ended}
                self.tasks |= tasks
                self.progress.total += sum(task.job not in jobs for task in tasks.values())
                taken = [*ended, *(task.job for task in tasks.values())]
                waiting = [job for job in waiting if job not in taken]
                self.progress.advance(len(ended))
                log.info(
                    "an earlier runner's jobs are still in Slurm's queue: %d are waited for, "
                    "%d have ended well",
                    len(tasks),
                    len(ended),
                )
                continue
            if live:
                log.warning("%d other jobs of an earlier runner are cancelled", len(live))
                scheduler.cancel(name)
                self._wait_until_gone([name], ())
            _forget_array(path)
        return waiting

    def submit(self, jobs: Sequence[Job], max_jobs_run: int) -> None:
        """Submit jobs as an array.

        Raises:
            SpeechLLMError: Slurm refuses it.
        """
        for job in jobs:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            forget(job)
        name = f"{self.label}.{secrets.token_hex(6)}"
        path = self.folder / f"{name}.json"
        rows = [{**asdict(job), "log": str(job.log)} for job in jobs]
        told = {"folder": os.getcwd(), "requeues": self.resources.requeues, "jobs": rows}
        write_json(path, told)
        words = [sys.executable, "-m", "speechllm.jobs.on_node", str(path)]
        output = _escaped(self.folder / f"{name}.%a.out")
        options = [f"--chdir={os.getcwd()}", f"--output={output}", *self.resources.options]
        script = f"#!/bin/sh\nexec {shlex.join(words)}\n"
        try:
            number = scheduler.submit(name, f"0-{len(jobs) - 1}%{max_jobs_run}", script, options)
        except SpeechLLMError:
            path.unlink()
            raise
        log.info("%s: %d jobs on Slurm, array %s: %s", self.label, len(jobs), number, _logs(jobs))
        self.tasks |= {(name, place): Submitted(job) for place, job in enumerate(jobs)}
        self._since = self._asked = time.monotonic()

    def look(self) -> None:
        """Wait a moment; then see which jobs have ended."""
        time.sleep(0.1)
        now = time.monotonic()
        passed = now - self._since
        if now - self._looked >= min(LOOK_SECONDS, passed / 20):
            self._looked = now
            self._find_done()
        if self.tasks and now - self._asked >= min(ASK_SECONDS, max(0.5, passed / 10)):
            self._ask()
            self._asked = time.monotonic()

    def cancel(self, caught: Sequence[int] = ()) -> None:
        """Cancel all jobs, and wait until Slurm has ended them, or for one more signal."""
        names = sorted({name for name, _ in self.tasks})
        log.warning("the jobs are cancelled")
        for name in names:
            if not scheduler.cancel(name):
                log.error("Slurm does not answer; to cancel: scancel --me --name=%s", name)
                return
        self._wait_until_gone(names, caught)
        for name in names:
            _forget_array(self.folder / f"{name}.json")

    def _find_done(self) -> None:
        for folder in {task.job.log.parent for task in self.tasks.values()}:
            refresh(folder)
        for place, task in list(self.tasks.items()):
            code = task.job.code()
            if code is None:
                continue
            if code and task.lost is None:
                log.error("job %d failed, %s: %s", task.job.number, task.job.ending, task.job.log)
            del self.tasks[place]
            self.progress.advance()
            if all(place[0] != name for name, _ in self.tasks):
                _forget_array(self.folder / f"{place[0]}.json")

    def _ask(self) -> None:
        """Ask Slurm for the states of the jobs; say what they wait for."""
        states = scheduler.find(sorted({name for name, _ in self.tasks}))
        now = time.monotonic()
        if states is None:
            self._say("Slurm's controller does not answer; it is asked again")
            return
        for place, task in list(self.tasks.items()):
            state = states.get(place)
            if state and not state.is_over:
                self._note_state(task, state)
                self._states[place] = state
                continue
            self._states[place] = state or self._states.get(place) or TaskState("?", "UNKNOWN")
            task.lost = task.lost or now
            if now - task.lost > CACHE_SECONDS:
                self._end(task, self._states[place], place)
        live = [states[place] for place in self.tasks if place in states]
        self._say(summary(state for state in live if not state.is_over))

    def _note_state(self, task: Submitted, state: TaskState) -> None:
        task.lost = None
        if state.state == "RUNNING":
            task.running = task.running or time.monotonic()
        elif state.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD") and task.running:
            task.running = None
            log.warning("job %d is in the queue again: %s", task.job.number, state)

    def _end(self, task: Submitted, last: TaskState, place: Place) -> None:
        """Write down the end of a job that could not do so itself."""
        job, state = task.job, scheduler.ending_of(last)
        if not job.log.exists():
            with open_log(job):
                pass
        output = self.folder / f"{place[0]}.{place[1]}.out"
        with suppress(OSError):
            for line in output.read_text(errors="replace").splitlines()[-5:]:
                note(job, line)
        seconds = task.lost - task.running if task.lost and task.running else 0.0
        finish(job, state.code, seconds, str(state))

    def _say(self, text: str) -> None:
        """Show the states of the jobs; in a log, once for each kind of news."""
        self.progress.advance(0, text)
        kind = re.sub(r"\d+ ", "", text)
        if text and kind not in self._said:
            self._said.add(kind)
            log.info("%s: %s", self.label, text)

    def _live(self, name: str) -> dict[int, TaskState]:
        """Tasks of an array that wait or run; those that are just being ended are waited for."""
        deadline = time.monotonic() + CANCEL_SECONDS
        while True:
            found = scheduler.find([name])
            if found is None:
                raise SpeechLLMError(
                    "Slurm's controller does not answer, and may still run an earlier array",
                    "give the command again once `squeue --me` answers",
                )
            live = {number: state for (_, number), state in found.items() if not state.is_over}
            ending = any(state.state == "COMPLETING" for state in live.values())
            if not ending or time.monotonic() > deadline:
                return live
            time.sleep(0.5)

    def _wait_until_gone(self, names: Sequence[str], caught: Sequence[int]) -> None:
        deadline, signals = time.monotonic() + CANCEL_SECONDS, len(caught)
        while time.monotonic() < deadline and len(caught) == signals:
            found = scheduler.find(names)
            if found is None or all(state.is_over for state in found.values()):
                return
            time.sleep(0.2)
        log.warning("some jobs have not ended yet: squeue --me shows them")


def summary(states: Iterable[TaskState]) -> str:
    """Say how many jobs are in which state, and what they wait for."""
    kinds = Counter(
        f"{state.state.lower()}: {state.reason}"
        if state.state == "PENDING" and state.reason != "None"
        else state.state.lower()
        for state in states
    )
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))


def _jobs_of(path: Path) -> dict[int, Job]:
    """Jobs of an array that was submitted, by the numbers of their tasks."""
    remedy = f"rm {shell_word(path)}, once `squeue --me` shows no job of that name"
    rows = read_mapping(path, remedy)["jobs"]
    return {n: Job(r["number"], r["command"], Path(r["log"])) for n, r in enumerate(rows)}


def _forget_array(path: Path) -> None:
    """Remove what is kept of an array that is over."""
    for output in path.parent.glob(f"{path.stem}.*.out"):
        output.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    with suppress(OSError):  # another array is there
        path.parent.rmdir()


def _escaped(path: Path) -> str:
    """Path of tasks' output as sbatch reads it, with %a for the task's number.

    A backslash anywhere would end that meaning; then there is no such output.
    """
    if "\\" in str(path):
        return os.devnull
    return f"{str(path.parent).replace('%', '%%')}/{path.name}"


def _logs(jobs: Sequence[Job]) -> str:
    first, last = jobs[0].log, jobs[-1].log
    return str(first) if first == last else f"{first} to {last.name}"
