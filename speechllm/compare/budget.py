"""How long each method trains, so that all cells of a grid get the same."""

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
"""The key of `train` in which a length is given, for each way of matching."""
LENGTH_KEYS = {f"train.{unit}" for unit in UNITS.values()}
SIZES = {"source": 1000, "target": 1000}
"""Any number of utterances will do: it matters which parts of a domain are drawn from."""


def budget_words(config: Path, changes: Sequence[str], match: Match, budget: float) -> list[str]:
    """Changes of a config by which its method, over all phases, gets exactly the budget.

    Args:
        config: of the method.
        changes: key=value, those made before.
        match, budget: what is held equal, and how much of it.

    Raises:
        ConfigError: the method's other phases have another unit, or leave nothing of the budget.
    """
    unit = UNITS[match]
    given = read_yaml(config, changes).get("train") or {}
    others = {name for name in UNITS.values() if name != unit and given.get(name) is not None}
    clear = [f"train.{name}=null" for name in sorted(others)]

    def words(length: float) -> list[str]:
        return [f"train.{unit}={length:.10g}", *clear]

    def amount(length: float) -> float:
        method = load_method(config, [*changes, *words(length)])
        return sum(_amount(phase, match, config) for phase in method.phases(SIZES))

    # What the phases take is a linear function of train.<unit>: some have lengths of their own.
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
    """What a phase takes of the budget."""
    length = getattr(phase.train, UNITS[match])
    if length is None:
        raise ConfigError(
            f"{config}: the length of the phase '{phase.name}' is not given in {UNITS[match]}, so "
            f"it cannot be matched by {match}",
            f"give the phase's {UNITS[match]} with `set`",
        )
    return length * (_target_passes(phase) if match == "text" else 1)


def _target_passes(phase: Phase) -> float:
    """How often an epoch shows the whole target, in items, whatever their view.

    An epoch is one pass over those parts of the target that the phase draws from
    (speechllm.slot.mixing); prepared data counts as what it is made of, the target's text.
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
