"""Training length of each method, so that all cells of a grid get the same budget."""

from collections.abc import Sequence
from pathlib import Path

from speechllm.adapt.method import Phase, load_method
from speechllm.compare.grid import Match
from speechllm.config import read_yaml
from speechllm.errors import ConfigError
from speechllm.slot.mixture import resolve_shares

UNITS: dict[Match, str] = {
    "steps": "steps",
    "epochs": "epochs",
    "text": "epochs",
    "time": "seconds",
}
"""Key of `train` that gives the length, for each way of matching."""
LENGTH_KEYS = {f"train.{unit}" for unit in UNITS.values()}
SIZES = {"source": 1000, "target": 1000}
"""Numbers of utterances for the plan of phases; any will do, as only shares of a domain matter."""


def budget_words(config: Path, changes: Sequence[str], match: Match, budget: float) -> list[str]:
    """Config changes that make all phases of a method together take exactly the budget.

    Args:
        config: config of the method.
        changes: changes made before, as key=value.
        match: what is held equal.
        budget: how much of it each method gets.

    Returns:
        The changes, as key=value.

    Raises:
        ConfigError: a phase has its length in another unit, or the phases with lengths of their own
            leave nothing of the budget.
    """
    unit = UNITS[match]
    given = read_yaml(config, changes).get("train") or {}
    if not isinstance(given, dict):
        raise ConfigError(f"{config}: train must be a mapping of keys to values")
    others = {name for name in UNITS.values() if name != unit and given.get(name) is not None}
    clear = [f"train.{name}=null" for name in sorted(others)]

    def words(length: float) -> list[str]:
        return [f"train.{unit}={length:.10g}", *clear]

    def amount(length: float) -> float:
        method = load_method(config, [*changes, *words(length)])
        return sum(_amount(phase, match, config) for phase in method.phases(SIZES))

    # The phases take a + b * train.<unit> together; a is that of phases with a length of their own.
    taken = amount(budget)
    slope = (amount(2 * budget) - taken) / budget
    length = budget + (budget - taken) / slope if slope else 0.0
    if unit == "steps":
        length = round(length)
    if length <= 0 or abs(amount(length) - budget) > 1e-6 * budget:
        raise ConfigError(
            f"{config}: its phases cannot be made to take {budget:g} ({match}) together",
            "shorten the phases that do not follow `train` with `set`, or raise the budget",
        )
    return words(length)


def _amount(phase: Phase, match: Match, config: Path) -> float:
    """Amount of the budget that a phase takes."""
    length = getattr(phase.train, UNITS[match])
    if length is None:
        raise ConfigError(
            f"{config}: the length of the phase '{phase.name}' is not given in {UNITS[match]}, so "
            f"it cannot be matched by {match}",
            f"give the phase's {UNITS[match]} with `set`",
        )
    return length * (_target_passes(phase) if match == "text" else 1)


def _target_passes(phase: Phase) -> float:
    """Passes over the whole target in one epoch, counted in items of any view.

    An epoch is one pass over those parts of the target that the phase draws from
    (speechllm.slot.mixing). Prepared data counts as the target's text, which it is made of.
    """
    shares = resolve_shares([c.share for c in phase.components])
    used = [(c, s) for c, s in zip(phase.components, shares, strict=True) if s > 0]
    of_target = sum(s for c, s in used if c.domain == "target")
    of_adapted = sum(s for c, s in used if c.domain != "source")
    if not of_target:
        return 1.0 if of_adapted else 0.0
    parts = [c.fraction for c, _ in used if c.domain == "target" and not c.complement]
    parts += [1 - c.fraction for c, _ in used if c.domain == "target" and c.complement]
    return sum(parts) * of_adapted / of_target
