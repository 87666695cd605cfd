"""run an array of jobs, each with its own log: `speechllm run JOB=1:4 log/x.JOB.log cmd JOB`

They run on this machine, or with --slurm on the nodes of a Slurm cluster (docs/scaling.md).
"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import whole
from speechllm.errors import SpeechLLMError, shell_word
from speechllm.jobs.runner import (
    MOST_JOBS,
    PICKS,
    Job,
    cores,
    make_jobs,
    parse_range,
    read_tasks,
    run_jobs,
)

USAGE = """speechllm run [--max_jobs_run N] [--pick incomplete] [JOB=1:4] log/x.JOB.log cmd args
       speechllm run [--max_jobs_run N] [--pick incomplete] --tasks FILE log/x.JOB.log"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    parser.add_argument(
        "--max_jobs_run",
        type=whole(1),
        help=f"jobs that run at once (default: on this machine the cores, {cores()}, which are "
        "shared out to them through OMP_NUM_THREADS, unless that is set; on Slurm all)",
    )
    parser.add_argument(
        "--slurm",
        type=Path,
        metavar="CONFIG",
        help="run the jobs on Slurm; CONFIG (conf/slurm.yaml) holds their resources, under the "
        "name of the logs: features for features.JOB.log",
    )
    parser.add_argument(
        "--pick",
        choices=PICKS,
        default="all",
        help="which jobs to run: all; incomplete: those that have not ended in code 0; "
        "failed: those that ended in another code (default: %(default)s)",
    )
    parser.add_argument(
        "--tasks", type=Path, metavar="FILE", help="run each line of FILE, a command with its words"
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="[JOB=1:4] LOG COMMAND ...",
        help="the range of the jobs, the log of each, and the command, which is run without a "
        "shell; the word JOB is replaced by the job's number in the log's name and in the command",
    )


def run(args: argparse.Namespace) -> None:
    """Run the jobs; those that failed are named, with the end of the first one's log.

    Raises:
        SpeechLLMError: some jobs failed, or there is no config of Slurm.
        Unfinished: none failed, but the time of some was over (--max_time).
    """
    jobs = _jobs(args)
    if args.slurm is None:
        run_jobs(jobs, args.max_jobs_run or cores(), args.pick)
        return
    if not args.slurm.exists():
        made = f"cp ../TEMPLATE/conf/slurm.yaml {shell_word(args.slurm)}, and adjust it"
        raise SpeechLLMError(f"there is no {args.slurm}, with the resources of jobs", made)
    from speechllm.config import load
    from speechllm.jobs.resources import SlurmConfig
    from speechllm.jobs.slurm import slurm_backend

    backend = slurm_backend(load(SlurmConfig, args.slurm), jobs)
    run_jobs(jobs, args.max_jobs_run or MOST_JOBS, args.pick, backend)


def _jobs(args: argparse.Namespace) -> list[Job]:
    """Jobs that the words of the command line ask for."""
    words = list(args.words)
    if args.tasks:
        if len(words) != 1:
            raise SpeechLLMError("--tasks needs the name of the logs alone", f"usage: {USAGE}")
        return read_tasks(args.tasks, Path(words[0]))
    numbers = parse_range(words[0]) if words else None
    if numbers is not None:
        words.pop(0)
    if len(words) < 2:
        raise SpeechLLMError("a log file and a command are needed", f"usage: {USAGE}")
    log_path, *command = words
    return make_jobs(numbers, Path(log_path), command)
