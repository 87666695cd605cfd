"""A job array on this machine, with the interface and the logs of Kaldi's run.pl.

A job's log starts with `# command` and the date, and ends with `# Accounting: time=..` and
`# Ended (code 0)`. When the job has ended, `<log>.done` appears beside it with the command, the
exit code and the seconds; `pick` reads it. Another backend (speechllm.jobs.slurm) replaces
`run_local` alone: names, picks and reports of jobs stay.
"""

import logging
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from speechllm.errors import DataError, SpeechLLMError, Unfinished, shortened
from speechllm.files.locks import LOCK, locked
from speechllm.files.os_errors import naming
from speechllm.files.own import read_mapping
from speechllm.files.processes import UNFINISHED, Process, process_of
from speechllm.files.progress import Progress
from speechllm.files.signals import Stopped, caught_signals
from speechllm.files.utf8 import read_text
from speechllm.files.whole import beside, write_json
from speechllm.jobs.warm import WarmProcess, is_own, start_warm
from speechllm.jobs.watchdog import GRACE_SECONDS, POLL_SECONDS, Watchdog, announce, end_groups

log = logging.getLogger(__name__)

PICKS = ("all", "incomplete", "failed")
MOST_JOBS = 1_000_000
TAIL_LINES = 20


def cores() -> int:
    """Number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Job:
    """One command of an array, and the path of its log."""

    number: int
    command: list[str]
    log: Path

    @property
    def done_file(self) -> Path:
        return self.log.with_name(self.log.name + ".done")

    @property
    def running_file(self) -> Path:
        """File that identifies the job's process while it runs."""
        return self.log.with_name(self.log.name + ".running")

    def code(self) -> int | None:
        """Exit code of the last run of this same command; None if it has not ended."""
        if not self.done_file.exists():
            return None
        done = read_mapping(self.done_file)
        return done["code"] if done["command"] == self.command else None

    @property
    def ending(self) -> str:
        """How the last run ended; code 128 + n means by signal n, as in shells."""
        code = self.code()
        if code is None:
            return "not ended"
        why = read_mapping(self.done_file).get("why")
        if code == 128 + signal.SIGKILL and not why:
            why = "killed; perhaps this machine is short of memory"
        if code == UNFINISHED:
            why = "its time was over; it goes on when it is run again"
        return f"code {code} ({why})" if why else f"code {code}"


Backend = Callable[[Sequence[Job], int], None]
"""Runs jobs, a number of them at once, until all have ended; each leaves a log and a done file."""


def parse_range(word: str) -> tuple[str, range] | None:
    """Parse `JOB=1:4` or `JOB=3` into name and numbers; None if `word` is no range.

    Raises:
        SpeechLLMError: the range is empty, or too large.
    """
    match = re.fullmatch(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?", word)
    if match is None:
        return None
    if len(word) > 100 or int(match[3] or match[2]) > MOST_JOBS:
        raise SpeechLLMError(f"'{shortened(word, 100)}': {MOST_JOBS:,} jobs are the most")
    name, first, last = match[1], int(match[2]), int(match[3] or match[2])
    if first > last:
        raise SpeechLLMError(f"'{word}' is an empty range of jobs")
    return name, range(first, last + 1)


def make_jobs(
    numbers: tuple[str, range] | None, log_path: Path, command: Sequence[str]
) -> list[Job]:
    """Make the jobs of an array: fill in each job's number in `log_path` and `command`.

    `JOB` is replaced in `feats.JOB.ark`, `JOB/4` and `split_JOB`, and left alone in `JOBS`.

    Args:
        numbers: name to replace, and the numbers (see `parse_range`); None is a single job.
        log_path: path of the log, with the name in it.
        command: words of the command.

    Raises:
        SpeechLLMError: several jobs would share a log.
    """
    if numbers is None:
        return [Job(1, list(command), log_path)]
    name, values = numbers
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    if len(values) > 1 and not word.search(log_path.name):
        raise SpeechLLMError(
            f"the log '{log_path}' would be shared by {len(values)} jobs",
            f"put {name} in its name, as in x.{name}.log",
        )

    def fill(text: str, number: int) -> str:
        return word.sub(str(number), text)

    return [
        Job(
            number,
            [fill(part, number) for part in command],
            Path(fill(str(log_path), number)),
        )
        for number in values
    ]


def read_tasks(path: Path, log_path: Path) -> list[Job]:
    """Make a job of each line of a file: a command with words quoted as in a shell.

    Raises:
        DataError: a line is no command.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    jobs = make_jobs(("JOB", range(1, len(lines) + 1)), log_path, [])
    for job, line in zip(jobs, lines, strict=True):
        try:
            job.command.extend(shlex.split(line))
        except ValueError as error:
            raise DataError(f"cannot be split into words: {error}", path, job.number) from error
        if not job.command:
            raise DataError("holds no command", path, job.number)
    return jobs


def pick_jobs(jobs: Sequence[Job], pick: str) -> list[Job]:
    """Choose the jobs to run: `all`, `incomplete` (not ended in code 0) or `failed`."""
    if pick == "incomplete":
        return [job for job in jobs if job.code() != 0]
    if pick == "failed":
        return [job for job in jobs if job.code() not in (0, None)]
    return list(jobs)


def array_path(jobs: Sequence[Job]) -> Path:
    """Path that stands for an array: that of its logs, without number and ending."""
    return jobs[0].log.with_name(re.sub(r"(\.\d+)?\.log$", "", jobs[0].log.name))


def run_jobs(
    jobs: Sequence[Job], max_jobs_run: int, pick: str = "all", backend: Backend | None = None
) -> None:
    """Run the picked jobs and wait for all of them.

    Args:
        jobs: jobs of the array.
        max_jobs_run: most jobs that run at once.
        pick: which jobs to run, see `pick_jobs`.
        backend: where they run; None is this machine.

    Raises:
        SpeechLLMError: some jobs failed. The message names them and quotes the end of the first
            one's log.
        Unfinished: none failed, but the time of some was over.
    """
    picked = pick_jobs(jobs, pick)
    if len(picked) < len(jobs):
        log.info("%d of %d jobs picked (%s)", len(picked), len(jobs), pick)
    if not picked:
        return
    (backend or run_local)(picked, max_jobs_run)
    left = [job for job in picked if job.code() != 0]
    if left and all(job.code() == UNFINISHED for job in left):
        raise Unfinished(
            f"the time of {len(left)} of {len(picked)} jobs was over before they were done",
            "give the same command again: they go on",
        )
    if left:
        raise SpeechLLMError(failure_report(left, len(picked)))


def failure_report(failed: Sequence[Job], total: int) -> str:
    """List failed jobs with their exit codes, and the end of the first one's log."""
    lines = [f"{len(failed)} of {total} jobs failed:"]
    lines += [f"  job {job.number}, {job.ending}: {job.log}" for job in failed]
    lines += [f"the end of {failed[0].log}:", tail(failed[0].log)]
    return "\n".join(lines)


def tail(path: Path) -> str:
    """Return the last lines of a log, indented."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - 16384))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])


@dataclass
class Running:
    """A job that runs on this machine."""

    job: Job
    process: subprocess.Popen | WarmProcess
    started: float = field(default_factory=time.monotonic)


def run_local(jobs: Sequence[Job], max_jobs_run: int) -> None:
    """Run jobs on this machine, `max_jobs_run` at once; each leaves a log and a done file.

    If not all jobs run at once, those that are speechllm commands start warm (speechllm.jobs.warm).

    SIGINT, SIGHUP and SIGTERM end the jobs' whole process groups before they end this process.
    SIGKILL cannot be caught: then a watchdog ends the jobs, or at the latest the next runner does.

    Raises:
        SpeechLLMError: another runner is at work on these jobs.
        Stopped: a signal came.
    """
    at_once = min(max_jobs_run, len(jobs))
    environment = dict(os.environ)
    if at_once > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores() // at_once)))
    warm = len(jobs) > at_once
    waiting = list(reversed(jobs))
    running: list[Running] = []
    array = array_path(jobs)
    array.parent.mkdir(parents=True, exist_ok=True)
    with (
        locked(beside(array, LOCK), f"the array of jobs {array}"),
        Watchdog() as watchdog,
        Progress(array.name, len(jobs), "jobs") as progress,
        caught_signals() as caught,
    ):
        end_earlier(jobs)
        try:
            while (waiting or running) and not caught:
                while waiting and len(running) < at_once:
                    if one := start(waiting.pop(), environment, watchdog, warm):
                        running.append(one)
                    else:
                        progress.advance()
                time.sleep(POLL_SECONDS)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    watchdog.forget(one.process.pid)
                    finish(one.job, one.process.returncode, time.monotonic() - one.started)
                    progress.advance()
        finally:
            stop(running)
        if caught:
            raise Stopped(caught[0])


def end_earlier(jobs: Sequence[Job]) -> None:
    """End jobs that a dead runner left alive on this machine."""
    for job in jobs:
        if not job.running_file.is_file():
            continue
        with suppress(DataError, TypeError):  # damaged
            process = Process(**read_mapping(job.running_file))
            if process.is_here and not process.is_dead:
                log.warning("job %d of an earlier runner still ran: ended", job.number)
                end_groups([process.pid])
        job.running_file.unlink(missing_ok=True)


def start(
    job: Job, environment: dict[str, str], watchdog: Watchdog, warm: bool = False
) -> Running | None:
    """Start a job in a process group of its own; None if its command cannot be started.

    Args:
        job: the job.
        environment: variables of its environment.
        watchdog: with which the job registers its process group.
        warm: fork a speechllm command from a process with imports done, if it is one.
    """
    forget(job)
    with open_log(job) as stream:
        try:
            if warm and is_own(job.command):
                process = start_warm(job.command, job.log, environment, watchdog.pipe)
            else:
                process = subprocess.Popen(
                    job.command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                    preexec_fn=lambda: announce(watchdog.pipe),
                )
        except OSError as error:
            print(f"{job.command[0]}: {error.strerror}", file=stream, flush=True)
            finish(job, 127, 0.0)
            return None
    write_json(job.running_file, asdict(process_of(process.pid)))
    return Running(job, process)


def forget(job: Job) -> None:
    """Remove what an earlier run of a job left."""
    job.done_file.unlink(missing_ok=True)
    job.log.unlink(missing_ok=True)


@contextmanager
def open_log(job: Job) -> Iterator[TextIO]:
    """Open the log of a job that starts now, and write its header."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    # Append mode, so that the footer stays last.
    with naming(job.log), open(job.log, "a", encoding="utf-8") as stream:
        print(f"# {shlex.join(job.command)}", file=stream)
        started = f"# Started at {time.ctime()} on {socket.gethostname()}\n#"
        print(started, file=stream, flush=True)
        yield stream


def finish(job: Job, returncode: int, seconds: float, why: str | None = None) -> None:
    """Write the footer of the log, then the done file.

    Args:
        job: the job.
        returncode: that of the process; negative for a signal.
        seconds: time that it ran.
        why: reason for its end, if that is not its own doing.
    """
    code = returncode if returncode >= 0 else 128 - returncode
    note(job, f"Accounting: time={seconds:.1f}")
    note(job, f"Ended (code {code}) at {time.ctime()}")
    done = {"command": job.command, "code": code, "seconds": round(seconds, 3)}
    done |= {"host": socket.gethostname()} | ({"why": why} if why else {})
    write_json(job.done_file, done)
    job.running_file.unlink(missing_ok=True)
    if code != 0:
        log.error("job %d failed, %s: %s", job.number, job.ending, job.log)


def stop(running: Sequence[Running]) -> None:
    """End the process groups of running jobs by SIGTERM; after a grace period, by SIGKILL."""
    for one in running:
        signal_group(one.process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("job %d does not stop: killed", one.job.number)
        signal_group(one.process, signal.SIGKILL)
        one.process.wait()
        note(one.job, f"Stopped at {time.ctime()}")
        one.job.running_file.unlink(missing_ok=True)


def note(job: Job, text: str) -> None:
    """Add a line of the runner's own to a job's log."""
    with naming(job.log), open(job.log, "a", encoding="utf-8") as stream:
        print(f"# {text}", file=stream)


def signal_group(process: subprocess.Popen | WarmProcess, number: int) -> None:
    """Send a signal to the process group of a process."""
    with suppress(ProcessLookupError):  # the whole group may have ended
        os.killpg(process.pid, number)
