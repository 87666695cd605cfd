"""Plan of a grid: the cells that its yaml asks for, with their settings and folders."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from speechllm.adapt.method import load_method
from speechllm.compare.budget import LENGTH_KEYS, budget_words
from speechllm.compare.grid import BASE, Cell, Grid, GridMethod, arm_name, as_text, flat
from speechllm.config import load
from speechllm.errors import ConfigError, did_you_mean
from speechllm.experiment import cell_name

AUDIO_KEYS = ("fraction", "p")
"""Config keys by which methods set the share of the target's audio that they use."""
SEED_KEY = "train.seed"


def load_grid(path: Path, overrides: Sequence[str] = ()) -> Grid:
    """Read a grid from its yaml.

    Raises:
        ConfigError: an unknown key; a label, seed or target that stands twice; a label that cannot
            name a folder; a pair of one arm with itself; or a reference to an arm that is not in
            the grid.
    """
    grid = load(Grid, path, overrides)
    for label in (*grid.methods, *grid.decodings):
        if label == BASE or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", label):
            raise ConfigError(
                f"{path}: '{label}' cannot be a label",
                f"labels name folders: letters, digits, _ and -; '{BASE}' is in every grid",
            )
    trained = [arm_name(label, fraction) for label, _, fraction in _arms(grid)]
    arms = [*trained, *grid.decodings]
    for name, values in {"seeds": grid.seeds, "targets": grid.targets or (), "arm": arms}.items():
        if twice := [value for value in values if values.count(value) > 1]:
            raise ConfigError(f"{path}: {name}: '{twice[0]}' stands twice", "remove or rename one")
    _check_arm(f"{path}: baseline", grid.baseline, arms)
    for pair in grid.pairs:
        for arm in pair:
            _check_arm(f"{path}: pairs", arm, arms)
        if pair[0] == pair[1]:
            raise ConfigError(f"{path}: pairs: '{pair[0]}' stands beside itself", "name two arms")
    for label, entry, fraction in _arms(grid):
        if entry.control_of:
            it = arm_name(entry.control_of, fraction)
            _check_arm(f"{path}: {label}: control_of", it, trained)
    for name, decoding in grid.decodings.items():
        _check_arm(f"{path}: decodings: {name}: of", decoding.of, trained)
    return grid


def plan(grid: Grid, home: Path, targets: Sequence[str], changes: Sequence[str] = ()) -> list[Cell]:
    """Cells of a grid, seed by seed, so that the first ones already make a whole comparison.

    Args:
        grid: the grid.
        home: folder of the cells, exp/<base>/<grid's name>.
        targets: the recipe's domains; the grid may name some of them.
        changes: changes to every method's config, as key=value, made before the grid's own.

    Raises:
        ConfigError: a method's config is invalid with these settings; fractions are given for a
            method without a share of audio; or the recipe does not have a target.
    """
    for target in grid.targets or ():
        if target not in targets:
            raise ConfigError(f"targets: there is no '{target}'{did_you_mean(target, targets)}")
    arms = [(*arm, _overrides(grid, *arm, changes)) for arm in _arms(grid)]
    return [
        Cell(
            label,
            fraction,
            seed,
            target,
            home / cell_name(arm_name(label, fraction), seed, target),
            entry.config,
            (*overrides, f"{SEED_KEY}={seed}"),
            entry.match or grid.match,
            entry.budget or grid.budget,
            arm_name(entry.control_of, fraction) if entry.control_of else None,
        )
        for seed in grid.seeds
        for target in grid.targets or targets
        for label, entry, fraction, overrides in arms
    ]


def _arms(grid: Grid) -> Iterator[tuple[str, GridMethod, float | None]]:
    """Arms, which are repeated over seeds and targets: label, method and fraction."""
    for label, entry in grid.methods.items():
        for fraction in entry.fractions or (None,):
            yield label, entry, fraction


def _check_arm(where: str, arm: str, arms: Sequence[str]) -> None:
    if arm not in [BASE, *arms]:
        raise ConfigError(f"{where}: there is no '{arm}'{did_you_mean(arm, [BASE, *arms])}")


def _overrides(
    grid: Grid, label: str, entry: GridMethod, fraction: float | None, changes: Sequence[str]
) -> list[str]:
    """Changes to a method's config for one arm, except the seed, as key=value."""
    own = dict(flat(grid.set)) | dict(flat(entry.set))
    if taken := [key for key in own if key == SEED_KEY or key in LENGTH_KEYS]:
        raise ConfigError(
            f"{label}: set: '{taken[0]}' is the grid's to set",
            "use `seeds`; or `match` and `budget`, which an entry may have of its own",
        )
    if fraction is not None:
        key = _audio_key(label, entry, changes)
        if key in own:
            raise ConfigError(f"{label}: set: '{key}' is what `fractions` sets", "remove either")
        own[key] = fraction
    words = [*changes, *(f"{key}={as_text(value)}" for key, value in own.items())]
    if entry.match and not entry.budget:
        raise ConfigError(f"{label}: match: {entry.match} needs a budget of its own unit")
    match, budget = entry.match or grid.match, entry.budget or grid.budget
    return [*words, *budget_words(entry.config, words, match, budget)]


def _audio_key(label: str, entry: GridMethod, changes: Sequence[str]) -> str:
    method = load_method(entry.config, changes)
    for key in AUDIO_KEYS:
        if key in type(method).model_fields:
            return key
    raise ConfigError(
        f"{label}: {method.method} has no key {' or '.join(AUDIO_KEYS)} for `fractions` to set",
        "remove `fractions`, or change what you mean with `set`",
    )
