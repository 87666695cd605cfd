"""The Slurm job that trains on many machines, run with stand-ins for Slurm's commands."""

import argparse
import os
import subprocess
from pathlib import Path

import pytest

from speechllm import cli
from speechllm.commands.options.duration import deadline_of
from speechllm.commands.shell import launch
from speechllm.files.processes import LAUNCHED

SCONTROL = """#!/usr/bin/env bash
case "$1 $2" in
    "show hostnames") printf 'node7\\nnode8\\n' ;;
    "show job") echo "JobState=$STATE" ;;
    *) echo "$@" >scontrol ;;
esac
"""
SRUN = """#!/usr/bin/env bash
[ "$1 $2" = "--kill-on-bad-exit=1 --cpus-per-task=32" ] || exit 9
shift 2
exec "$@"
"""
SPEECHLLM = """#!/usr/bin/env bash
printf '%s\\n' "$@" >words
if [ "$CODE" = 0 ]; then touch "a model/run.json"; fi
exit "$CODE"
"""
SETS = ["--dump", "dump", "--train", "a", "--dev", "b"]
COMMAND = ["base", "--config", "a b.yaml", *SETS, "--exp"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Path:
    monkeypatch.chdir(tmp_path)
    options = ["--nnodes", "2", "--nproc", "4", "--time", "1d", "--partition", "gpu"]
    cli.main(["sbatch", *options, *COMMAND, "a model", "train.lr=0.1"])
    path = tmp_path / "job.sh"
    path.write_text(capsys.readouterr().out)
    (tmp_path / "bin").mkdir()
    for name, text in (("scontrol", SCONTROL), ("srun", SRUN), ("speechllm", SPEECHLLM)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return path


def run(job: Path, code: int, state: str = "RUNNING") -> int:
    slurm = {"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2"}
    slurm["SLURM_CPUS_PER_TASK"] = "32"
    path = {"PATH": f"{job.parent}/bin:{os.environ['PATH']}", "CODE": str(code), "STATE": state}
    return subprocess.run(["bash", job], env={**os.environ, **slurm, **path}).returncode


def test_it_asks_for_machines_and_gpus(job: Path) -> None:
    lines = job.read_text().splitlines()
    for option in ("nodes=2", "ntasks-per-node=1", "gpus-per-node=4", "time=1440", "partition=gpu"):
        assert f"#SBATCH --{option}" in lines
    assert "#SBATCH --output='a model/log/slurm.%j.log'" in lines
    assert (job.parent / "a model/log").is_dir()  # which Slurm does not make


def test_all_machines_meet_at_the_first(job: Path) -> None:
    assert run(job, 0) == 0
    words = (job.parent / "words").read_text().splitlines()
    assert words == [
        *("launch", "--nnodes", "2", "--nproc", "4", "--rdzv", "node7:20017"),
        *("--rdzv_id", "17", "--log_dir", "a model/log"),
        *("base", "--max_time", "85800", *COMMAND[1:], "a model", "train.lr=0.1"),
    ]
    assert not (job.parent / "scontrol").exists()


def test_the_port_may_be_given_and_odd_letters_of_a_folder_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, output in (("5%j", "5%%j/log/slurm.%j.log"), ("a\\b", "/dev/null")):
        options = ["--time", "1d", "--port", "29400", *COMMAND, str(tmp_path / name)]
        cli.main(["sbatch", *options])
        said = capsys.readouterr().out
        [line] = [line for line in said.splitlines() if "--output=" in line]
        assert line.endswith(output)
        assert '--rdzv "${nodes[0]}:29400"' in said


@pytest.mark.parametrize(
    ("told", "threads"), [(None, "4"), ("8", "4"), ("1", "1")], ids=["unset", "all cores", "fewer"]
)
def test_each_process_has_at_most_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, told: str | None, threads: str
) -> None:
    """A job on Slurm has the variable set to all of its cores."""
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert launch.threads(2) == threads


def test_the_time_of_a_training_counts_from_its_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    args = argparse.Namespace(max_time=600.0)
    monkeypatch.setenv(LAUNCHED, "100.5")
    assert deadline_of(args) == 700.5


@pytest.mark.parametrize("code", [75, 143], ids=["its time", "a signal"])
def test_a_run_that_was_stopped_is_queued_again(job: Path, code: int) -> None:
    assert run(job, code) == 0
    assert (job.parent / "scontrol").read_text() == "requeue 17\n"


@pytest.mark.parametrize("state", ["CANCELLED", "PENDING"])
def test_a_job_that_was_cancelled_or_put_back_by_slurm_is_not(job: Path, state: str) -> None:
    assert run(job, 143, state) == 0
    assert not (job.parent / "scontrol").exists()


def test_a_run_that_fails_is_not(job: Path) -> None:
    assert run(job, 1) == 1
    assert not (job.parent / "scontrol").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sbatch", "--time", "1h", "decode"], "'decode' does not train with several processes"),
        (["sbatch", "--time", "1h", *COMMAND, "x", "--max_time", "5"], "leave it out"),
        (["launch", "--nnodes", "2", *COMMAND, "x"], "2 machines need a place to meet"),
        (["launch", "--nproc", "2", *COMMAND, "x", "--stepz", "1"], "unknown option --stepz"),
        (
            ["launch", "--nproc", "2", *COMMAND, "x", "--max_time", "soon"],
            "write 7000, 90m or 1d12h",
        ),
    ],
)
def test_wrong_use_is_told_once_before_anything_starts(
    words: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    assert message in capsys.readouterr().err
