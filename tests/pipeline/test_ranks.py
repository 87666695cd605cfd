"""Any number of processes trains as one does, from step to step, also with sharded weights."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from speechllm.train.loop import CHECKPOINT
from tests.helpers.forkserver import run_ranks
from tests.helpers.waiting import is_alive, wait_until
from tests.pipeline.test_stages import TRAIN, adapt_command, base_command, run, work  # noqa: F401

STEPS = [
    "train.global_batches=4",
    "train.log_every=1",
    "train.precision=fp32",
    "train.checkpoint_every=100",
    "monitor.every=2",
]
WEIGHTS = "model/trained.safetensors"


def trained(warm: Path, command: Sequence[str], folder: Path, sizes: Sequence[int]) -> Path:
    """Train in `folder`: a step with each of `sizes` processes but the last, which end the run."""
    for size in sizes[:-1]:
        run_ranks(warm, [*command, "--max_time", "0"], size, code=75)
    run_ranks(warm, command, sizes[-1])
    return folder


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return [line["train"]["loss"] for line in lines if "train" in line]


def assert_same_training(one: Path, many: Path) -> None:
    assert losses(many) == pytest.approx(losses(one), abs=1e-5)
    assert len(losses(one)) == TRAIN["steps"]
    mine, theirs = load_file(one / WEIGHTS), load_file(many / WEIGHTS)
    for name in mine:
        assert_close(mine[name], theirs[name], atol=1e-4, rtol=1e-3)
    seen = [json.loads((folder / "run.json").read_text())["seen"] for folder in (one, many)]
    assert seen[0] == seen[1]


@pytest.fixture(scope="module")
def base_alone(work: Path) -> Path:  # noqa: F811
    run(*base_command(work, "alone", *STEPS))
    return work / "exp/alone"


@pytest.mark.parametrize(("sizes", "shard"), [([2], False), ([2, 1, 4], False), ([2, 1, 4], True)])
def test_a_whole_llm_trains_as_in_one_process(
    work: Path,  # noqa: F811
    warm_folder: Path,
    base_alone: Path,
    sizes: list[int],
    shard: bool,
) -> None:
    name = f"{shard}-{'-'.join(map(str, sizes))}"
    command = base_command(work, name, *STEPS, f"train.shard={shard}")
    folder = trained(warm_folder, command, work / "exp" / name, sizes)
    assert_same_training(base_alone, folder)


def test_lora_over_sharded_weights_trains_as_in_one_process(
    work: Path,  # noqa: F811
    warm_folder: Path,
) -> None:
    """With dropout, the KL's second pass, and activations that are computed twice."""
    knobs = {
        "tau": 0.5,
        "noise": {"kind": "projector"},  # read off the base's projector by the first process alone
        "kl": {"rows": "speech"},
        "train": {**TRAIN, "batch_positions": 150, "gradient_checkpointing": True},
        "monitor": {"decode": True},
    }
    command = [*adapt_command(work, "denoise", **knobs)[:-1], f"{work}/exp/base/lora", *STEPS]
    run(*command)
    command[command.index("--exp") + 1] = f"{work}/exp/base/sharded"
    folder = trained(warm_folder, [*command, "train.shard=true"], work / "exp/base/sharded", [2, 4])
    assert_same_training(work / "exp/base/lora", folder)


def rank_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((w.decode().removeprefix("RANK=") for w in words if w.startswith(b"RANK=")), "")


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def steps(folder: Path) -> int:
    return json.loads((folder / "train.jsonl").read_text().splitlines()[-1])["step"]


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_and_one_process_goes_on(work: Path) -> None:  # noqa: F811
    """SIGKILL of one of two real processes, then of their launcher: nothing is lost."""
    overrides = ["train.global_batches=2", "train.checkpoint_every=5", "train.steps=200"]
    command = base_command(work, "killed-rank", *overrides, "train.log_every=1")
    words = [sys.executable, "-m", "speechllm", "launch", "--nproc", "2", *command]
    folder = work / "exp/killed-rank"
    launcher = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    wait_until((folder / CHECKPOINT).is_file)
    second = next(pid for pid in children(launcher.pid) if rank_of(pid) == "1")
    os.kill(second, signal.SIGKILL)
    _, said = launcher.communicate(timeout=60)
    assert launcher.returncode == 1 and "Traceback" not in said
    message, remedy = said.splitlines()[-2:]
    assert message.startswith("speechllm launch: error: rank 1 of 2 on ")
    assert message.endswith(" was killed by SIGKILL")
    assert remedy.startswith(f"  -> see {folder}/log/rank1.log;")
    done = steps(folder)
    assert 5 <= done < 200
    launcher = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    wait_until(lambda: steps(folder) > done + 5, "it did not go on")
    ranks = children(launcher.pid)
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not any(map(is_alive, ranks)), "processes outlive their launcher")
    run(*command)
    assert len(losses(folder)) == 200
    assert json.loads((folder / "run.json").read_text())["processes"] == 1
