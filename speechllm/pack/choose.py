"""Choice of a run for each domain: the one named, or the best on dev; test sets are never read."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechllm.errors import ConfigError, did_you_mean
from speechllm.experiment import runs_below
from speechllm.files.layout import DESCRIPTION, LOG, MODEL, RUN
from speechllm.files.own import made_again, read_mapping, read_objects
from speechllm.pack.manifest import BASE, domain_problem
from speechllm.report.tree import Model, read_model

log = logging.getLogger(__name__)

REMEDY = "name one of them with --models"


@dataclass(frozen=True)
class Choice:
    """Run chosen for a domain, and the reason."""

    model: Model
    reason: str


def choose(base: Path, patterns: Sequence[str] = ()) -> dict[str, Choice]:
    """Choose one finished run for each domain that a base was adapted to.

    Of several runs of a domain, take the best on its dev set: by the task's error rate (such as
    the WER) at the kept step if all have one, else by the loss. Ties go to less target audio, then
    to the first name.

    Args:
        base: folder of the base run.
        patterns: patterns of run folders below it, such as `denoise_*`; if empty, all directly
            below it.

    Raises:
        ConfigError: a pattern matches nothing, a run cannot be packed as a domain of this base, or
            one of several runs of a domain was not evaluated on dev speech in training.
    """
    found: dict[Path, Model] = {}
    for pattern in patterns or ("*",):
        files = [] if _leads_out(pattern) else runs_below(base, pattern)
        if patterns and not files:
            names = [str(path.parent.relative_to(base)) for path in base.rglob(f"*/{RUN}")]
            raise ConfigError(
                f"--models: no finished run in {base} matches '{pattern}'"
                f"{did_you_mean(pattern, sorted(names))}"
            )
        found |= {file.parent: read_model(file) for file in files}
    if not found and (cells := runs_below(base, "*/*")):
        grid = cells[0].parents[1].name
        raise ConfigError(
            f"all models of {base} are those of a comparison",
            f"name one for each domain, e.g. --models '{grid}/{cells[0].parent.name}'",
        )
    by_domain: dict[str, list[Model]] = {}
    for model in found.values():
        by_domain.setdefault(_domain(model, base), []).append(model)
    choices = {domain: _best(domain, by_domain[domain]) for domain in sorted(by_domain)}
    for domain, choice in choices.items():
        if choice.model.run.get("kept_step") == 0:
            log.warning("%s: its run kept the base's weights; on dev it gained nothing", domain)
    return choices


def _leads_out(pattern: str) -> bool:
    return pattern.startswith("/") or ".." in pattern.split("/")


def _domain(model: Model, base: Path) -> str:
    domain = str(model.target)
    problem = "that is the base's own" if domain == BASE else domain_problem(domain)
    if model.is_base:
        problem = "it is a base itself"
    if problem:
        raise ConfigError(f"{model.folder} cannot be packed as the domain '{domain}': {problem}")
    parent = read_mapping(model.folder / MODEL / DESCRIPTION, made_again(model.folder)).get(
        "parent", ""
    )
    if (model.folder / MODEL / parent).resolve() != (base / MODEL).resolve():
        raise ConfigError(
            f"{model.folder} was not adapted from {base}", "leave it out with --models"
        )
    return domain


def _best(domain: str, models: list[Model]) -> Choice:
    if len(models) == 1:
        return Choice(models[0], "the only one")
    figures = {model.folder: dev_figures(model) for model in models}
    for signal in (models[0].task.main.key, "loss"):
        if all(signal in figures[model.folder] for model in models):
            order = [(figures[m.folder][signal], m.audio_hours, m.folder.name, m) for m in models]
            value, *_, best = min(order, key=lambda entry: entry[:3])
            reason = f"lowest {signal} on {domain} dev of {len(models)} runs: {value:.4g}"
            if len({_watched(model) for model in models}) > 1:
                reason += ", though not all were watched on the same utterances"
            return Choice(best, reason)
    missing = [model.folder.name for model in models if "loss" not in figures[model.folder]]
    raise ConfigError(
        f"{domain}: of {len(models)} runs no best one can be told, as these were not watched "
        f"on {domain} dev speech: {', '.join(missing)}",
        REMEDY,
    )


def _watched(model: Model) -> tuple[object, object]:
    """Settings that decide which dev utterances a run was evaluated on."""
    config = model.run.get("config", {})
    return config.get("monitor", {}).get("utterances"), config.get("train", {}).get("seed")


def dev_figures(model: Model) -> dict[str, float]:
    """Dev metrics of the target at the step whose weights were kept; empty if unknown."""
    phases = model.run.get("phases") or [{}]
    log = model.folder / phases[-1].get("name", "") / LOG
    figures: dict[str, float] = {}
    for record in read_objects(log, made_again(model.folder)) if log.is_file() else ():
        if "dev" in record and record["step"] == model.run.get("kept_step"):
            figures = record["dev"].get("target", {})
    return figures
