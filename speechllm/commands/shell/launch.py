"""train by several processes, on one machine or many: speechllm launch --nproc 4 base ..."""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import whole

TRAINING = ("base", "adapt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm launch`."""
    add_fleet_arguments(parser)
    parser.add_argument("--rdzv", metavar="HOST:PORT", help="where the machines meet")
    parser.add_argument(
        "--rdzv_id", default="speechllm", help="name of the meeting, of this run alone"
    )


def add_fleet_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `speechllm sbatch` has too."""
    parser.add_argument(
        "--nproc", type=whole(1), default=1, help="processes on each machine, one for each GPU"
    )
    parser.add_argument("--nnodes", type=whole(1), default=1, help="machines")
    parser.add_argument(
        "--log_dir", type=Path, help="folder of the logs (default: log/ in the folder of --exp)"
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="COMMAND ...",
        help=f"speechllm's {' or '.join(TRAINING)}, with its options",
    )


def training_command(args: argparse.Namespace) -> tuple[argparse.Namespace, Path]:
    """Arguments of the command to run, and the folder of its logs.

    Wrong use of it is so told once, before any process starts.

    Raises:
        ConfigError: it does not train, or names no folder.
    """
    from speechllm.commands.options.parser import parse
    from speechllm.commands.options.register import load_command
    from speechllm.errors import ConfigError

    name, *rest = args.words or [""]
    if name not in TRAINING:
        raise ConfigError(
            f"'{name}' does not train with several processes",
            f"give {' or '.join(TRAINING)} and its options after those of launch",
        )
    training = parse(name, load_command(name), rest)
    return training, args.log_dir or training.exp / "log"


def run(args: argparse.Namespace) -> None:
    """Start the processes, and wait for them.

    Raises:
        ConfigError: the command does not train, or several machines have no place to meet.
        SpeechLLMError: a process has failed; the error names it.
    """
    import os
    import sys

    from speechllm.errors import ConfigError

    _, logs = training_command(args)
    if args.nnodes > 1 and not args.rdzv:
        raise ConfigError(
            f"{args.nnodes} machines need a place to meet",
            "give --rdzv HOST:PORT with one of them, or let `speechllm sbatch` write the job",
        )
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # it writes stacks of lost connections
    os.environ["OMP_NUM_THREADS"] = threads(args.nproc)
    from speechllm.train.launch import Fleet, launch

    fleet = Fleet(args.nproc, args.nnodes, args.rdzv, args.rdzv_id, logs)
    launch(fleet, [sys.executable, "-m", "speechllm", *args.words])


def threads(processes: int) -> str:
    """OMP_NUM_THREADS of each process: as it is set, but at most its share of the cores.

    A job on Slurm may have it set to all of its cores.
    """
    from speechllm.environment import environment_number
    from speechllm.jobs.runner import cores

    share = max(1, environment_number("SLURM_CPUS_PER_TASK", cores()) // processes)
    return str(min(environment_number("OMP_NUM_THREADS", share), share))
