"""conf/slurm.yaml: what a stage takes from the default, and what is refused."""

from pathlib import Path

import pytest

from speechllm.config import load
from speechllm.errors import ConfigError
from speechllm.jobs.resources import SlurmConfig

TEXT = """
default: {time: "4:00:00", mem: 16G, partition: cpu}
base: {time: "1-12:30:00", gres: "gpu:1", flags: [--exclude=node7], cpus_per_task: 8}
"""


def read(tmp_path: Path, text: str) -> SlurmConfig:
    (tmp_path / "slurm.yaml").write_text(text)
    return load(SlurmConfig, tmp_path / "slurm.yaml")


def test_a_stage_takes_from_the_default_what_it_does_not_name(tmp_path: Path) -> None:
    config = read(tmp_path, TEXT)
    assert list(config.resources_of("base").options) == [
        *("--partition=cpu", "--time=1-12:30:00", "--mem=16G", "--cpus-per-task=8"),
        *("--gres=gpu:1", "--signal=B:USR1@120", "--exclude=node7"),
    ]
    assert config.resources_of("base").seconds == 131400
    others = ["--partition=cpu", "--time=4:00:00", "--mem=16G", "--cpus-per-task=1"]
    for array in ("decode", "of_my_own"):
        assert list(config.resources_of(array).options) == [*others, "--signal=B:USR1@120"]
    assert list(read(tmp_path, "").resources_of("lm").options) == [
        *("--cpus-per-task=1", "--signal=B:USR1@120")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("decod: {mem: 1G}", "unknown key 'decod', did you mean 'decode'"),
        ("base: {partion: gpu}", "unknown key 'base.partion', did you mean 'partition'"),
        ("base: {time: 12:30:00}", "a time stands in quotes"),
        ("base: {time: 90}", "a time stands in quotes"),
        ("base: {time: soon}", "hours:minutes:seconds"),
        ("base: {mem: 16 GB}", "memory is a number with"),
        ("base: {flags: [exclude=node7]}", "begins with a dash"),
        ("base: {flags: ['--exclude node7']}", "one word"),
        ("base: {flags: [--array=1-9]}", "--array is set by speechllm run itself"),
        ("base: {flags: [--job=x]}", "--job is set by speechllm run itself"),
        ("base: {flags: [-Jx]}", "-Jx is set by speechllm run itself"),
        ("base: {flags: [--no-requeue]}", "--no-requeue is set by speechllm run itself"),
        ("base: {cpus_per_task: 0}", "cpus_per_task"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_jobs_have_time_to_work_before_they_are_told_to_save(tmp_path: Path) -> None:
    config = read(tmp_path, "base: {time: '0:02:00'}\nlm: {time: '0:02:00', warn_seconds: 30}")
    with pytest.raises(ConfigError, match="jobs of base have a time of 120 s"):
        config.resources_of("base")
    assert config.resources_of("lm").seconds == 120
