"""Training on a real Slurm: the same figures as on this machine."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechllm.cli import main
from tests.helpers.paths import ROOT
from tests.helpers.slurm import Cluster
from tests.helpers.tiny import make_encoder, make_llm, make_set
from tests.helpers.waiting import wait_until

STEPS = 40
PAUSES = """
import os, signal, sys, time
from pathlib import Path
from speechllm.cli import main
from speechllm.train.loop import Trainer

step = Trainer._step

def step_or_pause(self):
    if self.position.step == 20:
        Path(sys.argv[1], f"paused.{self.world.rank}").touch()
        signal.pause()
    return step(self)

def save_slowly(self):
    time.sleep(6)
    save(self)

save, Trainer._save = Trainer._save, save_slowly
Trainer._step = step_or_pause
main(sys.argv[2:])
"""
"""The command line; a training in it waits for a signal after 20 steps, and saves slowly."""
LAUNCHES = """
import sys
from pathlib import Path
from speechllm.train.launch import Fleet, launch

folder = sys.argv[1]
launch(Fleet(2, logs=Path(folder, "log")), [sys.executable, f"{folder}/pauses.py", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a tiny base model is trained on."""
    work = tmp_path_factory.mktemp("work")
    make_encoder(work / "encoder")
    make_llm(work / "llm")
    sets = [make_set(work / f"data/{name}", name[:2], seed=1) for name in ("train", "dev")]
    features = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump"]
    for options in (["--job", "1/1"], ["--merge"]):
        main([*features, *options, *map(str, sets)])
    projector = {"downsampling": 2, "hidden": 16}
    config = {
        "model": {"encoder": f"{work}/encoder", "llm": f"{work}/llm", "projector": projector},
        "train": {"steps": STEPS, "batch_positions": 200, "precision": "fp32", "log_every": 1},
        "monitor": {"every": 20},
    }
    (work / "base.yaml").write_text(yaml.safe_dump(config))
    (work / "slurm.yaml").write_text("default: {mem: 400M}\nbase: {cpus_per_task: 2}\n")
    return work


def base_command(work: Path, name: str) -> list[str]:
    return [
        *("base", "--config", f"{work}/base.yaml", "--dump", f"{work}/dump", "--exp"),
        *(f"{work}/exp/{name}", "--train", f"{work}/data/train", "--dev", f"{work}/data/dev"),
    ]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_training_that_is_stopped_before_its_time_is_over_goes_on_bit_equal(
    work: Path, cluster: Cluster, ranks: int
) -> None:
    launcher = ["launch", "--nproc", "2"] if ranks > 1 else []
    whole, cut = work / f"exp/whole{ranks}", work / f"exp/cut{ranks}"
    alone = [sys.executable, "-m", "speechllm", *launcher, *base_command(work, whole.name)]
    subprocess.run(alone, cwd=ROOT, check=True)
    folder = work / f"ranks{ranks}"
    folder.mkdir()
    (folder / "pauses.py").write_text(PAUSES)
    (folder / "launches.py").write_text(LAUNCHES)
    program = folder / ("launches.py" if ranks > 1 else "pauses.py")
    runner = [sys.executable, "-m", "speechllm", "run", "--slurm", f"{work}/slurm.yaml"]
    job = [sys.executable, str(program), str(folder), *base_command(work, cut.name)]
    process = subprocess.Popen([*runner, f"{folder}/base.log", *job], cwd=ROOT)
    wait_until(lambda: len(list(folder.glob("paused.*"))) == ranks, "the training does not start")
    [task] = cluster.running()
    cluster.call("scancel", "--signal=USR1", "--batch", task)
    assert process.wait() == 0
    said = (folder / "base.log").read_text()
    assert "a signal came: step 21 is saved" in said and "resumed at step 21" in said
    assert said.count("# Started at") == 2 and "# Ended (code 0)" in said
    weights = "model/trained.safetensors"
    assert (cut / weights).read_bytes() == (whole / weights).read_bytes()


def job_on_two_machines(work: Path, cluster: Cluster, exp: Path, steps: int, **to: str) -> str:
    """The number of a job of `speechllm sbatch`, both of whose machines are this one.

    Args:
        to: what stands in the job instead of the values here; `max_time` is the only one.
    """
    options = ["--nnodes", "2", "--cpus", "1", "--time", "20m", "--no_gpus"]
    words = ["speechllm", "sbatch", *options, *base_command(work, exp.name), f"train.steps={steps}"]
    job = cluster.call(sys.executable, "-m", *words)
    for ours, theirs in (
        ("--max_time 600", f"--max_time {to.get('max_time', '600')}"),
        ("${nodes[0]}", "localhost"),
        ("speechllm launch", f"{sys.executable} -m speechllm launch"),
    ):
        assert job.count(ours) == 1
        job = job.replace(ours, theirs)
    path = work / f"{exp.name}.sh"
    path.write_text(job)
    return cluster.call("sbatch", "--parsable", str(path)).strip()


def test_a_training_on_two_machines_queues_itself_again(work: Path, cluster: Cluster) -> None:
    """The time is over after one of two steps."""
    exp = work / "exp/machines"
    number = job_on_two_machines(work, cluster, exp, steps=2, max_time="0")
    wait_until((exp / "run.json").is_file, "the training does not end")
    wait_until(lambda: number not in cluster.queue(), "the job does not end")
    assert "Restarts=1 " in cluster.call("scontrol", "show", "job", number)
    said = (exp / f"log/slurm.{number}.log").read_text()
    assert "stopped after 1 of 2 steps" in said and "resumed at step 1" in said


@pytest.fixture
def training(work: Path, cluster: Cluster, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A job on two machines whose training has begun, and its log."""
    exp = work / "exp" / request.node.name
    number = job_on_two_machines(work, cluster, exp, steps=100_000)
    log = exp / f"log/slurm.{number}.log"
    wait_until(lambda: log.is_file() and "step 5" in log.read_text(), "it does not train")
    return number, log


def test_a_training_on_two_machines_saves_when_it_is_told_to(
    cluster: Cluster, training: tuple[str, Path]
) -> None:
    number, log = training
    cluster.call("scancel", "--signal=TERM", number)
    shown = ("scontrol", "show", "job", number)
    wait_until(lambda: "Restarts=1 " in cluster.call(*shown), "it is not in the queue again")
    cluster.call("scancel", number)
    assert "a signal came: step" in log.read_text()


def test_a_training_on_two_machines_makes_way_for_an_urgent_job(
    cluster: Cluster, training: tuple[str, Path]
) -> None:
    number, log = training
    urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null"]
    cluster.call("sbatch", *urgent, "--wrap=sleep 1")
    shown = ("scontrol", "show", "job", number)
    wait_until(lambda: "Restarts=1 " in cluster.call(*shown), "it is not in the queue again")
    cluster.call("scancel", number)
    wait_until(lambda: "a signal came: step" in log.read_text(), "it has not saved")


def test_a_training_on_two_machines_that_is_cancelled_stays_so(
    cluster: Cluster, training: tuple[str, Path]
) -> None:
    number, _ = training
    cluster.call("scancel", number)
    wait_until(lambda: number not in cluster.queue(), "it does not end")
    assert "JobState=CANCELLED" in cluster.call("scontrol", "show", "job", number)
