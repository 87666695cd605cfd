"""run an array of jobs, each with its own log: `speechllm run JOB=1:4 log/x.JOB.log cmd JOB`"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import whole
from speechllm.errors import SpeechLLMError
from speechllm.jobs.runner import PICKS, cores, make_jobs, parse_range, read_tasks, run_jobs

USAGE = """speechllm run [--max_jobs_run N] [--pick incomplete] [JOB=1:4] log/x.JOB.log cmd args
       speechllm run [--max_jobs_run N] [--pick incomplete] --tasks FILE log/x.JOB.log"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    parser.add_argument(
        "--max_jobs_run",
        type=whole(1),
        default=cores(),
        help="jobs that run at once (default: the cores, %(default)s); the cores are shared out "
        "to them through OMP_NUM_THREADS, unless that is set",
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
    words = list(args.words)
    if args.tasks:
        if len(words) != 1:
            raise SpeechLLMError("--tasks needs the name of the logs alone", f"usage: {USAGE}")
        run_jobs(read_tasks(args.tasks, Path(words[0])), args.max_jobs_run, args.pick)
        return
    numbers = parse_range(words[0]) if words else None
    if numbers is not None:
        words.pop(0)
    if len(words) < 2:
        raise SpeechLLMError("a log file and a command are needed", f"usage: {USAGE}")
    log_path, *command = words
    run_jobs(make_jobs(numbers, Path(log_path), command), args.max_jobs_run, args.pick)
