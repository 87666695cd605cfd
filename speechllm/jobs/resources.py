"""Resources of jobs on Slurm: a recipe's conf/slurm.yaml."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import field_validator

from speechllm.config import PositiveInt
from speechllm.errors import ConfigError
from speechllm.section import Section

_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):(\d\d):(\d\d)")
_MEMORY = re.compile(r"\d+[KMGT]")
_OURS = (
    *("--array", "--chdir", "--error", "--job-name", "--no-requeue", "--open-mode", "--output"),
    *("--parsable", "--requeue", "--signal", "--wrap"),
)
_OUR_LETTERS = "aDeJo"


class Resources(Section):
    """Resources of each job of an array, by the names of sbatch's options."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    """Longest time of a job: "hours:minutes:seconds" or "days-hours:minutes:seconds", in quotes."""
    mem: str | None = None
    """Memory of a job: "16G"."""
    cpus_per_task: PositiveInt = 1
    gres: str | None = None
    """Devices of a job: "gpu:1"."""
    flags: tuple[str, ...] = ()
    """Further options of sbatch, each with its value: "--exclude=node7"."""
    warn_seconds: PositiveInt = 120
    """Time before its end at which a job is told to save what it has; then it is put back into the
    queue."""
    requeues: PositiveInt = 30
    """Most times that a job is put back into the queue as its time is over."""

    @field_validator("time", mode="before")
    @classmethod
    def _known_time(cls, value: Any) -> Any:
        if isinstance(value, int):  # yaml reads 12:30:00 as a number of seconds, Slurm as minutes
            raise ValueError('a time stands in quotes, as in "12:30:00"')
        if isinstance(value, str) and not _TIME.fullmatch(value):
            raise ValueError('a time is "hours:minutes:seconds" or "days-hours:minutes:seconds"')
        return value

    @field_validator("mem")
    @classmethod
    def _known_memory(cls, value: str | None) -> str | None:
        if value is not None and not _MEMORY.fullmatch(value):
            raise ValueError("memory is a number with K, M, G or T, as in 16G")
        return value

    @field_validator("flags")
    @classmethod
    def _known_flags(cls, flags: tuple[str, ...]) -> tuple[str, ...]:
        for flag in flags:
            if not flag.startswith("-") or len(flag.split()) > 1:
                raise ValueError("a flag is one word that begins with a dash, as --exclude=node7")
            if _is_ours(flag.split("=")[0]):
                raise ValueError(f"{flag.split('=')[0]} is set by speechllm run itself")
        return flags

    @property
    def seconds(self) -> int | None:
        """Longest time of a job; None is the partition's."""
        if self.time is None:
            return None
        match = _TIME.fullmatch(self.time)
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    @property
    def options(self) -> Iterator[str]:
        """Options of sbatch."""
        for name in ("partition", "account", "qos", "time", "mem", "cpus_per_task", "gres"):
            if (value := getattr(self, name)) is not None:
                yield f"--{name.replace('_', '-')}={value}"
        yield f"--signal=B:USR1@{self.warn_seconds}"
        yield from self.flags


class SlurmConfig(Section):
    """Resources of the jobs of each stage; what a stage does not name, it takes from `default`."""

    default: Resources = Resources()
    data: Resources = Resources()
    features: Resources = Resources()
    base: Resources = Resources()
    adapt: Resources = Resources()
    lm: Resources = Resources()
    decode: Resources = Resources()
    score: Resources = Resources()

    def resources_of(self, array: str) -> Resources:
        """Resources of an array, by its name: that of its logs, such as features.1.log.

        Raises:
            ConfigError: its jobs would be told to save as soon as they begin.
        """
        found = self.default
        if array in type(self).model_fields:
            own: Resources = getattr(self, array)
            named = {name: getattr(own, name) for name in own.model_fields_set}
            found = found.model_copy(update=named)
        if found.seconds is not None and found.seconds <= found.warn_seconds:
            raise ConfigError(
                f"jobs of {array} have a time of {found.seconds} s, all of which is warn_seconds",
                f"set a longer time, or warn_seconds below {found.seconds}, in conf/slurm.yaml",
            )
        return found


def _is_ours(option: str) -> bool:
    """Whether an option of sbatch, perhaps shortened (`--out`, `-Jname`), is set for every job."""
    if option.startswith("--"):
        return any(own.startswith(option) for own in _OURS)
    return option[1:2] in _OUR_LETTERS
