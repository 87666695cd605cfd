"""A Slurm cluster of two nodes on this machine, made for tests and taken down after them.

Debian's packages slurm-wlm and munge are enough; accounting is off. All daemons run in the
foreground as root, with sockets, ports and files of their own, so that a Slurm that the machine
already has is left alone.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.waiting import wait_until

NODES = ("one", "two")
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that goes back into the queue waits there for as long as credentials last.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=5
KillWait=5
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
NodeName={one} NodeHostname={host} NodeAddr=127.0.0.1 Port={port_one} CPUs=2 RealMemory=1000
NodeName={two} NodeHostname={host} NodeAddr=127.0.0.1 Port={port_two} CPUs=2 RealMemory=1000
PartitionName=usual Nodes=ALL Default=YES State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL State=UP PriorityTier=9
"""


def absent() -> str | None:
    """Reason why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    needed = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
    if missing := [name for name in needed if not shutil.which(name)]:
        return f"not installed: {' '.join(missing)} (apt-get install slurm-wlm munge)"
    return None


class Cluster:
    """A running cluster.

    Attributes:
        folder: its files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen] = {}

    def start(self) -> None:
        with ExitStack() as free:
            sockets = [free.enter_context(socket.socket()) for _ in range(3)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            controller, port_one, port_two = (one.getsockname()[1] for one in sockets)
        host = socket.gethostname().split(".")[0]
        names = dict(zip(("one", "two"), NODES, strict=True))
        text = CONFIG.format(
            folder=self.folder,
            host=host,
            controller=controller,
            port_one=port_one,
            port_two=port_two,
            **names,
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "state").mkdir()
        key = self.folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {"key-file": "key", "socket": "munge.socket", "seed-file": "seed"}
        files |= {"pid-file": "munge.pid"}
        options = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self._start("munge", "munged", "--foreground", *options)
        wait_until((self.folder / "munge.socket").exists, "munged does not start")
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.states() == ["idle"] * len(NODES), "the nodes do not come up")

    def start_controller(self) -> None:
        self._start("controller", "slurmctld", "-D")

    def start_node(self, node: str) -> None:
        self._start(node, "slurmd", "-D", "-N", node)

    def kill(self, daemon: str) -> None:
        """Kill a node's daemon, or end the `controller`.

        A controller that is killed forgets its last seconds, and then gives a job's id twice.
        """
        process = self._daemons[daemon]
        process.terminate() if daemon == "controller" else process.kill()
        process.wait()

    def stop(self) -> None:
        """End all jobs, if the controller can do it, and all daemons."""
        self.call("scancel", "--user=root", check=False)
        deadline = time.monotonic() + 15
        while self.call("squeue", "--noheader", check=False) and time.monotonic() < deadline:
            time.sleep(0.1)
        for daemon in self._daemons.values():
            daemon.kill()
            daemon.wait()

    def call(self, *words: str, check: bool = True) -> str:
        """Output of one of Slurm's commands."""
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def states(self) -> list[str]:
        """States of the nodes."""
        text = self.call("sinfo", "--noheader", "--Node", "--partition=usual", "--format=%t")
        return text.split()

    def queue(self, states: str = "") -> dict[str, str]:
        """Tasks that wait or run, or are in some states: their ids and nodes."""
        only = [f"--states={states}"] if states else []
        words = ["squeue", "--noheader", "--array", "--format=%i %N", *only]
        lines = self.call(*words).splitlines()
        return dict(line.partition(" ")[::2] for line in lines)

    def running(self, number: int = 1) -> dict[str, str]:
        """Tasks that run, once there are so many."""
        wait_until(lambda: len(self.queue("RUNNING")) == number, "the jobs do not start")
        return self.queue("RUNNING")

    def _start(self, name: str, *words: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as output:
            self._daemons[name] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")},
            )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster, which Slurm's commands find while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a socket's path must be short
    folder.chmod(0o755)  # munged wants its socket to be open to all
    made = Cluster(folder)
    before = dict(os.environ)
    path = f"{ROOT}:{before['PYTHONPATH']}" if "PYTHONPATH" in before else str(ROOT)
    os.environ |= {"SLURM_CONF": str(folder / "slurm.conf"), "PYTHONPATH": path}
    try:
        made.start()
        yield made
    finally:
        try:
            made.stop()
        finally:
            os.environ.clear()
            os.environ.update(before)
            shutil.rmtree(folder)
