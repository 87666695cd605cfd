"""Starts the processes of a training on this machine, by torchrun's agent.

The agent is torch's own: it gives each process its rank, meets the agents of other machines, and
ends the others once a process has died. Here its report becomes one message, which names the
process and its log. The first process of all writes to the console, the others to files.
"""

import atexit
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed.elastic.multiprocessing import LogsDest, LogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import create_backend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import (
    DynamicRendezvousHandler,
    RendezvousTimeout,
)
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from speechllm.errors import SpeechLLMError, Unfinished, shortened
from speechllm.files.processes import LAUNCHED, LOST, UNFINISHED
from speechllm.files.signals import Stopped

ENDED_BY_AGENT = {128 + signal.SIGTERM, -signal.SIGTERM}
MEETING = "speechllm"
"""Name of our way to meet, for torch."""
MEETING_SECONDS = 900
SAVING_SECONDS = 3600
"""Time after a signal for a process to end its step and save; then it is killed. A cluster kills
sooner, and so does a signal that comes again."""


@dataclass(frozen=True)
class Fleet:
    """Processes of a training.

    Attributes:
        processes: number of processes on this machine; the same on all.
        nodes: number of machines.
        meeting: "host:port" of one of them, where all meet; None for one machine.
        name: name of the meeting, the same on all machines and for no other run.
        logs: folder of the logs.
    """

    processes: int
    nodes: int = 1
    meeting: str | None = None
    name: str = "speechllm"
    logs: Path = Path("log")

    def log_of(self, rank: int) -> Path:
        """Log of a process; the first one of all writes to the console instead."""
        return self.logs / f"rank{rank}.log"


def launch(fleet: Fleet, command: Sequence[str]) -> None:
    """Run a command as all processes of a fleet that belong to this machine.

    Args:
        fleet: the processes.
        command: words of the command.

    Raises:
        SpeechLLMError: a process has failed; or the machines did not meet.
        Stopped: a signal has stopped this process; it has ended the others.
        SystemExit: a process has failed, and the first one has said why.
    """
    if not logging.getLogger("speechllm").isEnabledFor(logging.DEBUG):
        for name in list(logging.root.manager.loggerDict):
            if name.startswith("torch.distributed"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    atexit.register(gc.freeze)  # the last garbage collection takes seconds
    fleet.logs.mkdir(parents=True, exist_ok=True)
    config = LaunchConfig(
        min_nodes=fleet.nodes,
        max_nodes=fleet.nodes,
        nproc_per_node=fleet.processes,
        run_id=fleet.name,
        rdzv_backend=MEETING,
        rdzv_endpoint=fleet.meeting or "localhost:0",
        max_restarts=0,  # a run goes on when its command is given again
        shutdown_timeout=SAVING_SECONDS,
        logs_specs=_Logs(fleet),
    )
    rendezvous_handler_registry.register(MEETING, _meeting)
    program, *words = command
    try:
        elastic_launch(config, program)(*words)
    except ChildFailedError as error:
        _report(fleet, error.failures)
    except SignalException as error:
        raise Stopped(error.sigval) from error
    except RendezvousError as error:
        raise SpeechLLMError(
            f"{fleet.nodes} machines did not meet at {fleet.meeting}: {error}",
            "give the same --rdzv, --rdzv_id and --nnodes on all of them at about the same time",
        ) from error


def _report(fleet: Fleet, failures: dict[int, ProcessFailure]) -> None:
    """Say which process failed first.

    One that ended because others had is named only if there is no other here.
    """
    followed = {rank: f.exitcode in (LOST, *ENDED_BY_AGENT) for rank, f in failures.items()}
    rank = min(failures, key=lambda rank: followed[rank])  # the first that the agent has seen
    code, log = failures[rank].exitcode, fleet.log_of(rank)
    if code == UNFINISHED and 0 in failures and failures[0].exitcode != code:
        raise Unfinished(_last_words(log))  # the first one was ended before it could say so
    is_own = 0 < code < 128 and code != LOST  # of a signal, a rank says nothing
    if code == UNFINISHED or (is_own and 0 in failures and failures[0].exitcode == code):
        sys.exit(code)
    name = f"rank {rank} of {fleet.nodes * fleet.processes} on {socket.gethostname()}"
    if code < 0:
        name = f"{name} was killed by {failures[rank].signal_name()}"
    elif code > 128:
        name = f"{name} was stopped by {signal.Signals(code - 128).name}"
    elif code == LOST:
        name = f"{name} ended because a process of another machine had ended"
    else:
        name = f"{name} ended with exit code {code}: {_last_words(log)}"
    see = f"see {log}" if rank else "see its output above"
    raise SpeechLLMError(name, f"{see}; the same command goes on from the last checkpoint")


def _last_words(log: Path) -> str:
    """Last message in a log: an error of ours, or the last line."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines[-20:] if "error: " in line]
    return shortened([*lines[-1:], *errors][-1].strip(), 300) if lines else "it said nothing"


class _Meeting(DynamicRendezvousHandler):
    """torch's way to meet by a store on one machine, for a fixed number of machines.

    torch asks again and again whether more machines wait, and kills the processes if the store does
    not answer. But the machine that keeps it may be the first to end, in good order.
    """

    def get_backend(self) -> str:
        return MEETING

    def num_nodes_waiting(self) -> int:
        return 0


def _meeting(parameters: RendezvousParameters) -> _Meeting:
    backend, store = create_backend(parameters)
    return _Meeting.from_backend(
        parameters.run_id,
        store,
        backend,
        parameters.min_nodes,
        parameters.max_nodes,
        parameters.local_addr,
        RendezvousTimeout(join=timedelta(seconds=MEETING_SECONDS)),
    )


class _Logs(LogsSpecs):
    """Puts the stderr of each process but the first into a file of its own."""

    def __init__(self, fleet: Fleet):
        super().__init__(str(fleet.logs))
        self._fleet, self._began = fleet, str(time.monotonic())

    @property
    def root_log_dir(self) -> str:
        return str(self._fleet.logs)

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        for env in envs.values():
            env[LAUNCHED] = self._began
        ranks = {local: int(env["RANK"]) for local, env in envs.items()}
        logs = {
            local: str(self._fleet.log_of(rank)) if rank else "" for local, rank in ranks.items()
        }
        return LogsDest(
            stdouts=dict.fromkeys(ranks, ""),
            stderrs=logs,
            error_files=dict.fromkeys(ranks, os.devnull),
        )
