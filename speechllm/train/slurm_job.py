"""A Slurm job that trains on several machines, and queues itself again until the run has ended."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechllm.errors import shell_word
from speechllm.files.layout import RUN

JOB = """#!/usr/bin/env bash
# One task on each machine starts its processes, which meet at the first machine. If a process or a
# machine fails, all end. Before the job's time is over, or if Slurm wants its place (SIGTERM: 143),
# training saves and ends; the job then queues itself again, and goes on where it was.
{directives}
#SBATCH --requeue
set -euo pipefail
trap : TERM # a shell would end at once, and take those along that save
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    bash -c 'trap : TERM; speechllm launch "$@" || (($? == 75 || $? == 143))' launch \\
    --nnodes "$SLURM_JOB_NUM_NODES" --nproc {processes} \\
    --rdzv "${{nodes[0]}}:{port}" --rdzv_id "$SLURM_JOB_ID" --log_dir {logs} \\
    {command}
# One that was cancelled stays so; one that Slurm has put back is in the queue.
state=$(scontrol show job "$SLURM_JOB_ID")
if [[ ! -e {end} && $state == *JobState=RUNNING* ]]; then scontrol requeue "$SLURM_JOB_ID"; fi
"""
PORT = "$((20000 + SLURM_JOB_ID % 10000))"


@dataclass(frozen=True)
class SlurmJob:
    """Resources of a job.

    Attributes:
        nodes: machines.
        processes: processes on each machine, with a GPU each.
        cores: cores of each process.
        seconds: time of the job.
        training_seconds: time after which training saves and stops.
        port: port on the first machine where all meet; None: by the job's id, so that jobs that
            share a machine do not meet.
        gpus: whether to ask for GPUs.
        resources: further options of sbatch, by name.
    """

    nodes: int
    processes: int
    cores: int
    seconds: int
    training_seconds: int
    port: int | None
    gpus: bool
    resources: Mapping[str, str]


def slurm_job(job: SlurmJob, command: Sequence[str], exp: Path, logs: Path) -> str:
    """Text of the job, for sbatch.

    Args:
        job: its resources.
        command: words of the training's command, without `speechllm`.
        exp: folder of the model.
        logs: folder of the logs; the job's own log goes there too.
    """
    minutes = -(-job.seconds // 60)
    escaped = str(logs).replace("%", "%%")  # a backslash would end the meaning of %j
    options = {
        "job-name": f"speechllm-{command[0]}",
        "nodes": job.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": job.cores * job.processes,
        **({"gpus-per-node": job.processes} if job.gpus else {}),
        "time": minutes,
        "output": os.devnull if "\\" in str(logs) else f"{escaped}/slurm.%j.log",
        "open-mode": "append",
        **job.resources,
    }
    lines = [f"#SBATCH --{name}={shlex.quote(str(value))}" for name, value in options.items()]
    name, *rest = command
    words = [name, "--max_time", str(job.training_seconds), *rest]
    return JOB.format(
        directives="\n".join(lines),
        processes=job.processes,
        port=job.port or PORT,
        logs=shell_word(logs),
        end=shell_word(exp / RUN),
        command=shlex.join(words),
    )
