"""Grid of a comparison: methods x fractions of audio x seeds, and its cells."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from speechllm.config import Fraction, PositiveFloat, Section
from speechllm.experiment import target_set

BASE = "base"
"""Label of the base model itself, which is part of every comparison."""

Match = Literal["steps", "epochs", "text", "time"]
"""Quantity that is equal in all cells: optimiser steps, passes over the part of the target that
each uses, items of the target seen, or seconds of training."""


class GridMethod(Section):
    """Adaptation method of a grid."""

    config: Path
    """Config of the method, such as those in conf/adapt."""
    fractions: tuple[Fraction, ...] = ()
    """Shares of the target's audio to use, one arm each; if empty, the method's config decides."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes to the config, by dotted key."""
    match: Match | None = None
    budget: PositiveFloat | None = None
    """Override the grid's `match` and `budget`, as for a control that is matched in another way."""
    control_of: str | None = None
    """Label of the method that this one is a control of: the two differ in a single respect."""


class Redecoding(Section):
    """Arm that trains nothing: the models of another arm, decoded with other settings."""

    of: str
    """Arm whose models are decoded: `base`, or one such as `mixed_batching_p10`."""
    set: Annotated[dict[str, Any], Field(min_length=1)]
    """Changes to the recipe's decode config, by dotted key."""

    @property
    def words(self) -> tuple[str, ...]:
        """Changes as key=value."""
        return tuple(f"{key}={as_text(value)}" for key, value in flat(self.set))


class Grid(Section):
    """Methods to compare, and their common budget."""

    methods: Annotated[dict[str, GridMethod], Field(min_length=1)]
    """Methods, by label."""
    decodings: dict[str, Redecoding] = Field(default_factory=dict)
    """Arms that only change the decoding, by name."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes to all methods' configs, by dotted key; a method's own `set` overrides them."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    match: Match = "steps"
    budget: PositiveFloat
    """Amount in the unit of `match`: steps; passes; passes over the whole target, in items; or
    seconds."""
    baseline: str = BASE
    """Arm that the others are tested against: `base`, or one such as `mixed_batching_p10`."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Further pairs of arms to test against each other."""
    targets: tuple[str, ...] | None = None
    """Target domains; null = those of the recipe."""


def arm_name(label: str, fraction: float | None) -> str:
    """Name of an arm: `mixed_batching`, or with a fraction of 0.1 `mixed_batching_p10`."""
    return label if fraction is None else f"{label}_p{100 * fraction:g}"


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested mappings to dotted keys; an empty one is a value, as in `kl: {}`."""
    for key, value in values.items():
        if value and isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_text(value: Any) -> str:
    """Write a value such that key=value is read back as the same value."""
    plain = isinstance(value, str) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Cell:
    """One adaptation of the grid: its plan and, once gathered, its results.

    Gathering adds two kinds of cells: the base model, as a cell of each target with the label
    `base` and its own seed; and models decoded with other settings, with the decoding's label.

    Attributes:
        label: label of the method in the grid.
        fraction: share of the target's audio; None if the grid names no fractions for the method.
        seed: training seed.
        target: target domain.
        folder: folder of the model, exp/<base>/<grid's name>/<arm>_s<seed>_<target>.
        config: config of the method.
        overrides: changes to the config, as key=value.
        match, budget: what is held equal, and how much of it.
        control_of: arm that this one is a control of.
        run: content of run.json; empty if training has not ended.
        decodings: folder of the hypotheses (`text`, `decode.json`, `score/wer.json`) by name of the
            test set; only those that are scored.
        problem: why it cannot be used yet; None for a finished cell.
        decoding_of: arm whose model is decoded here with other settings.
    """

    label: str
    fraction: float | None
    seed: int
    target: str
    folder: Path
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    match: Match | None = None
    budget: float | None = None
    control_of: str | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    decodings: Mapping[str, Path] = field(default_factory=dict)
    problem: str | None = None
    decoding_of: str | None = None

    @property
    def source_set(self) -> str:
        """Name of the source test set of a gathered cell: the one that is not the target's."""
        (name,) = self.decodings.keys() - {target_set(self.target)}
        return name

    @property
    def arm(self) -> str:
        """Name of its arm, which spans all seeds and targets: a row of the tables."""
        return arm_name(self.label, self.fraction)

    @property
    def is_finished(self) -> bool:
        return self.problem is None
