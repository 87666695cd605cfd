"""A comparison's grid: methods x fractions of audio x seeds, and the cells that it is made of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from speechllm.config import Fraction, PositiveFloat, Section

BASE = "base"
"""Label of the base model itself, which every comparison holds."""

Match = Literal["steps", "epochs", "text", "time"]
"""What all cells have the same of: optimiser steps, passes over what each uses of the target,
items of the target seen, or seconds of training."""


class GridMethod(Section):
    """One way of adapting, as the grid names it."""

    config: Path
    """Config of the method, as in conf/adapt."""
    fractions: tuple[Fraction, ...] = ()
    """Shares of the target's audio; sets the method's own knob. None given: as its config says."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes of the config, by dotted key."""
    match: Match | None = None
    budget: PositiveFloat | None = None
    """Where they differ from the grid's, as for a control that is matched in another way."""
    control_of: str | None = None
    """Label of the entry that this one differs from in a single respect."""


class Redecoding(Section):
    """An arm that trains nothing: the models of another arm, decoded in another way."""

    of: str
    """`base`, or an arm such as `mixed_batching_p10`."""
    set: Annotated[dict[str, Any], Field(min_length=1)]
    """Changes of the recipe's decode config, by dotted key."""

    @property
    def words(self) -> tuple[str, ...]:
        """The changes as key=value."""
        return tuple(f"{key}={as_text(value)}" for key, value in flat(self.set))


class Grid(Section):
    """What is compared, and under which budget."""

    methods: Annotated[dict[str, GridMethod], Field(min_length=1)]
    """By label."""
    decodings: dict[str, Redecoding] = Field(default_factory=dict)
    """Arms that only decode otherwise, by name."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes of all methods' configs, by dotted key; an entry's own `set` goes before."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    match: Match = "steps"
    budget: PositiveFloat
    """Steps; passes; how often the whole target is seen, in items; or seconds."""
    baseline: str = BASE
    """What the others are tested against: `base`, or an arm such as `mixed_batching_p10`."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Further pairs of arms that are tested against each other."""
    targets: tuple[str, ...] | None = None
    """Domains; null = those of the recipe."""


def arm_name(label: str, fraction: float | None) -> str:
    """`mixed_batching`, or with a fraction of 0.1 `mixed_batching_p10`."""
    return label if fraction is None else f"{label}_p{100 * fraction:g}"


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested mappings; an empty one is a value, as in `kl: {}`."""
    for key, value in values.items():
        if value and isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_text(value: Any) -> str:
    """A value as one reads it back from key=value."""
    plain = isinstance(value, str) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Cell:
    """One adaptation of the grid: planned, and once gathered, what came of it.

    The base model is a cell of each target too: label `base`, with its own seed. So is, once
    gathered, what only decodes one of them otherwise; its label is the decoding's.

    Attributes:
        label: of the grid's entry.
        fraction: of the target's audio; None where the entry names no fractions.
        seed: of training.
        target: domain.
        folder: of the model, exp/<base>/<grid's name>/<arm>_s<seed>_<target>.
        config: the method's config.
        overrides: changes of the config, as words key=value.
        match, budget: what was held equal, and how much of it.
        control_of: arm that this one is a control of.
        run: its run.json; empty where it was not trained to the end.
        decodings: folder of the hypotheses (`text`, `decode.json`, `score/wer.json`) by the name
            of the test set; only such as are scored.
        problem: why it cannot be used yet; None for a finished cell.
        decoding_of: arm whose model it is that is decoded otherwise.
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
        """Name of the set of a gathered cell that is not the target's."""
        (name,) = self.decodings.keys() - {f"{self.target}_test"}
        return name

    @property
    def arm(self) -> str:
        """Label and fraction: what is repeated over seeds and targets, a row of the tables."""
        return arm_name(self.label, self.fraction)

    @property
    def is_finished(self) -> bool:
        return self.problem is None
