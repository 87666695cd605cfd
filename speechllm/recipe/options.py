"""Options of a recipe's run.sh, read and checked."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from speechllm.errors import ConfigError
from speechllm.experiment import Experiment
from speechllm.recipe.duration import seconds_of
from speechllm.recipe.words import shell_words

DATA_SCRIPT = Path("local/data.sh")
STANDINS = Path("conf/standins")
"""Folder of the configs that stand-ins have in the place of those of conf/."""
MODES = {"list", "dry_run", "quick", "sample"}
"""Options of utils/recipe.sh that change no command."""
_CONFIGS = ("base_config", "adapt_configs", "decode_config")
_CONFIGS += ("lm_configs", "extra_decode_configs", "compare")


@dataclass(frozen=True, kw_only=True)
class Recipe(Experiment):
    """Recipe: an experiment, and how its stages run.

    Attributes are options of run.sh, under the names that utils/recipe.sh explains, and four more.

    Attributes:
        corpus_options: options that only run.sh and local/data.sh know.
        jobs_cmd: command that runs arrays of jobs.
        name: name of the recipe's folder.
        command: run.sh, as it was called, and its options.
    """

    stage: str
    stop_stage: str
    nj: int
    nproc: int
    max_time: str
    verify: bool
    standins: bool
    encoder_package: str
    llm_package: str
    whisper_alone: bool
    whisper_command: tuple[str, ...]
    encoder: str
    llm: str
    speech_llm: str
    compare: str
    data_opts: tuple[str, ...]
    base_opts: tuple[str, ...]
    compare_opts: tuple[str, ...]
    score_opts: tuple[str, ...]
    report_opts: tuple[str, ...]
    pack_opts: tuple[str, ...]
    batch_seconds: str
    allow_pipes: bool
    corpus_options: Mapping[str, str]
    jobs_cmd: tuple[str, ...]
    name: str
    command: tuple[str, ...]

    @property
    def on_cluster(self) -> bool:
        """Whether jobs run on the nodes of a cluster, and not on this machine."""
        return any(word.split("=")[0] == "--slurm" for word in self.jobs_cmd)

    @property
    def made(self) -> dict[str, str]:
        """Models that stage 1 makes, as none is given: their names, by `encoder` and `llm`."""
        if self.speech_llm:
            return {}
        given = {"encoder": self.encoder, "llm": self.llm}
        names = {"encoder": self.encoder_package, "llm": self.llm_package}
        if self.standins:
            names = {part: part for part in given}
        return {part: name for part, name in names.items() if name and not given[part]}

    @property
    def packages(self) -> list[str]:
        """Models of utils/pretrained.tsv that stage 1 makes."""
        return [] if self.standins else list(self.made.values())

    @property
    def models(self) -> dict[str, str]:
        """Models that are not for the base config to name: their options, folders or hub ids."""
        made = {part: self.made_folder(name) for part, name in self.made.items()}
        given = {"encoder": self.encoder, "llm": self.llm, "speech_llm": self.speech_llm}
        return {part: model for part, model in (given | made).items() if model}

    def made_folder(self, name: str) -> str:
        """Folder of a model that stage 1 makes."""
        return f"{self.root}pretrained/{name}"

    @property
    def remark(self) -> str | None:
        """Remark on an option that has no effect."""
        if self.whisper_alone and self.encoder and not is_whisper(self.encoder):
            return f"no Whisper is decoded alone, as {self.encoder} is none"
        return None

    @property
    def whisper(self) -> str | None:
        """Folder of what the encoder's whole Whisper decodes; None if it is not asked to."""
        asked = self.whisper_alone and not self.standins and not self.remark
        encoder = self.models.get("encoder")
        return f"{self.exp}/{Path(encoder).name}" if asked and encoder else None


_OTHERS = ("cells", "redecoded", "corpus_options", "jobs_cmd", "name", "command")
OPTIONS = {field.name: field.type for field in fields(Recipe) if field.name not in _OTHERS}
"""Options that every recipe has, with their types."""


def read_recipe(words: Sequence[str], command: Sequence[str], jobs_cmd: str, name: str) -> Recipe:
    """Read the options of a run.sh, all of which are given, and check them.

    Args:
        words: options, as name=value.
        command: run.sh, as it was called, and its words.
        jobs_cmd: command that runs arrays of jobs.
        name: name of the recipe's folder.

    Raises:
        ConfigError: an option is absent or cannot be used, or there is no such config.
    """
    text = dict(word.split("=", 1) for word in words if "=" in word)
    if absent := [option for option in OPTIONS if option not in text]:
        raise ConfigError(f"no {absent[0]}=... is given", "run.sh gives all: ./run.sh --dry_run")
    _check(text)
    text |= _standin_configs(text)
    text |= _further_configs(text)
    recipe = Recipe(
        **{option: _value(kind, text[option]) for option, kind in OPTIONS.items()},
        corpus_options={n: v for n, v in text.items() if n not in OPTIONS.keys() | MODES},
        jobs_cmd=shell_words(jobs_cmd),
        name=name,
        command=tuple(command),
    )
    _check_configs(recipe)
    return recipe


def asks_for(option: str) -> bool:
    """Whether local/data.sh has an option."""
    script = DATA_SCRIPT.read_text(errors="replace") if DATA_SCRIPT.exists() else ""
    return bool(re.search(rf"^{option}=", script, re.MULTILINE))


def is_whisper(model: str) -> bool:
    """Whether a model is a Whisper: by its config, or for one of the hub by its name."""
    config = Path(model, "config.json")
    if not config.exists():
        return "whisper" in model.lower()
    return bool(re.search(r'"model_type": *"whisper"', config.read_text(errors="replace")))


def _check(text: Mapping[str, str]) -> None:
    """Refuse options that cannot be meant."""
    if text["standins"] == "true" and not asks_for("standins"):
        raise ConfigError("this recipe has no stand-ins: leave out --standins")
    for option in ("nj", "nproc"):
        if not re.fullmatch(r"[1-9][0-9]*", text[option]):
            raise ConfigError(f"--{option} is a whole number from 1 on, not '{text[option]}'")
    if text["max_time"]:
        try:
            seconds_of(text["max_time"])
        except ValueError as error:
            raise ConfigError(f"--max_time is {error}") from error
    if not text["work"]:
        raise ConfigError("--work names no folder")
    targets = text["targets"].split()
    if twice := sorted({target for target in targets if targets.count(target) > 1}):
        raise ConfigError(f"--targets names a domain twice: {' '.join(twice)}")
    for option in ("source_train", "source_dev", "source_test"):
        if not text[option].strip():
            raise ConfigError(f"--{option} names no set")


def _standin_configs(text: Mapping[str, str]) -> dict[str, str]:
    """Configs of stand-ins, which are trained whole and by other rates, where there are some."""

    def own(config: str) -> str:
        path = f"{STANDINS}/{config.removeprefix('conf/')}"
        return path if glob.glob(path) else config

    options = _CONFIGS if text["standins"] == "true" else ()
    return {option: " ".join(map(own, text[option].split())) for option in options}


def _further_configs(text: Mapping[str, str]) -> dict[str, str]:
    """Configs of language models and further ways to decode; a pattern may match nothing.

    A grid is about adaptation: its cells decode in one way.
    """
    options = ("lm_configs", "extra_decode_configs")
    if text["compare"] or not text["targets"].strip():
        return dict.fromkeys(options, "")
    return {
        option: " ".join(w for w in text[option].split() if glob.glob(w) or not set("*?") & set(w))
        for option in options
    }


def _value(kind: object, text: str) -> object:
    """Value of an option: a flag, a number, one word or several."""
    if kind is bool:
        return text == "true"
    return {int: int, str: str}.get(kind, shell_words)(text)


def _check_configs(recipe: Recipe) -> None:
    """Refuse configs that are not there."""
    adapted = (recipe.compare,) if recipe.compare else recipe.adapt_configs
    if not (recipe.compare or recipe.targets):
        adapted = ()
    further = (*adapted, *recipe.lm_configs, *recipe.extra_decode_configs)
    for config in (recipe.base_config, recipe.decode_config, *further):
        if not Path(config).is_file():
            raise ConfigError(f"there is no config '{config}'")
