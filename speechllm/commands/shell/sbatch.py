"""print a Slurm job that trains on many machines: speechllm sbatch --nnodes 2 --nproc 4 base ..."""

import argparse

from speechllm.commands.options.duration import duration
from speechllm.commands.options.numbers import whole
from speechllm.commands.shell.launch import add_fleet_arguments, training_command

MARGIN = 600
"""Seconds between the end of training and that of the job, to save and to be requeued."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm sbatch`."""
    parser.add_argument("--time", type=duration, required=True, help="of the job: 90m, 1d12h")
    parser.add_argument("--cpus", type=whole(1), default=8, help="cores for each process")
    parser.add_argument("--mem", help="memory of each machine, as Slurm writes it (64G)")
    parser.add_argument("--partition", help="partition of the job")
    parser.add_argument("--account", help="account of the job")
    parser.add_argument(
        "--port", type=whole(1, 65535), help="where machines meet (default: by the job's id)"
    )
    parser.add_argument("--no_gpus", action="store_true", help="train on CPUs")
    add_fleet_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Print the job; make the folder of its log, as Slurm does not.

    Raises:
        ConfigError: the command does not train, or has a limit of time of its own.
    """
    from speechllm.errors import ConfigError
    from speechllm.train.slurm_job import SlurmJob, slurm_job

    training, logs = training_command(args)
    if training.max_time is not None:
        raise ConfigError("--max_time follows from the time of the job", "leave it out")
    job = SlurmJob(
        nodes=args.nnodes,
        processes=args.nproc,
        cores=args.cpus,
        seconds=round(args.time),
        training_seconds=round(max(args.time - MARGIN, args.time / 2)),
        port=args.port,
        gpus=not args.no_gpus,
        resources={k: v for k in ("mem", "partition", "account") if (v := getattr(args, k))},
    )
    logs.mkdir(parents=True, exist_ok=True)
    print(slurm_job(job, args.words, training.exp, logs), end="")
