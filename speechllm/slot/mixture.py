"""Plan of batches from proportions: a pure function of (seed, epoch).

The number of processes has no part in it: every process computes the same plan, and training deals
its batches out. So no process waits for another's decision, and a killed run finds its place again
from (epoch, batch) alone, with any number of processes.
"""

import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import starmap
from operator import itemgetter
from typing import Literal, NamedTuple, TypeVar

from speechllm.data.dirs.ids import original
from speechllm.errors import ConfigError
from speechllm.files.garbage import uncollected

T = TypeVar("T")

Pick = Literal["random", "coverage"]

JITTER = 0.1
"""Relative jitter of lengths before sorting, so that batches differ by epoch."""


@dataclass(frozen=True)
class Component:
    """One ingredient of a mixture: utterances of a domain, shown through one view.

    Attributes:
        view: name of the view that fills the speech slot (speechllm.slot.views).
        domain: "source", "target", or a domain of made data.
        share: this component's share of all items; None: an equal part of what is left.
        fraction: part of the domain's utterances that the component draws from.
        complement: draw from the utterances *outside* that part instead.
        redraw: choose that part anew in every epoch.
        pick: choice of that part: at random (seeded), or so that it covers the words that the
            source lacks (speechllm.slot.coverage).
    """

    view: str
    domain: str
    share: float | None = None
    fraction: float = 1.0
    complement: bool = False
    redraw: bool = False
    pick: Pick = "random"


class Item(NamedTuple):
    """An utterance as one component shows it; `length` is in LLM positions."""

    component: int
    utt_id: str
    length: int


@dataclass(frozen=True)
class Plan:
    """The batches of one epoch, in the order in which all processes together take them."""

    batches: list[list[Item]]

    def counts(self) -> Counter[int]:
        """Realised number of items of each component."""
        return Counter(item.component for batch in self.batches for item in batch)

    def padding_ratio(self) -> float:
        """Share of the padded positions that hold nothing."""
        padded = sum(positions(batch) for batch in self.batches)
        return 1 - sum(item.length for batch in self.batches for item in batch) / padded


def positions(batch: Sequence[Item]) -> int:
    """LLM positions of a batch, with its padding."""
    return len(batch) * max(item.length for item in batch)


def resolve_shares(shares: Sequence[float | None]) -> list[float]:
    """Fill in the null shares: they divide equally what the given ones leave of 1.

    Raises:
        ConfigError: a share outside [0, 1], a sum above 1, or below 1 with no null to fill it.

    >>> resolve_shares([0.5, None, None])
    [0.5, 0.25, 0.25]
    """
    given = [share for share in shares if share is not None]
    if any(not 0 <= share <= 1 for share in given):
        raise ConfigError(f"every share must lie in [0, 1], not {given}")
    rest = 1 - math.fsum(given)
    open_places = len(shares) - len(given)
    if rest < -1e-9:
        raise ConfigError(f"the shares {given} add up to {1 - rest:g}, which is more than 1")
    if rest > 1e-9 and not open_places:
        raise ConfigError(f"the shares {given} add up to {1 - rest:g}; leave one null for the rest")
    filler = max(rest, 0) / open_places if open_places else 0.0
    return [filler if share is None else share for share in shares]


def apportion(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers that add up to `total`, in proportion to `shares` (largest remainders)."""
    exact = [total * share / math.fsum(shares) for share in shares]
    counts = [math.floor(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def subset(
    ids: Sequence[str],
    fraction: float,
    seed: int | str,
    complement: bool = False,
    order: Sequence[str] | None = None,
) -> list[str]:
    """Choose a seeded part of `ids`, in their order; larger fractions contain the smaller ones.

    At least one id is chosen when `fraction` is above zero. An utterance goes together with its
    copies at other speeds (`speechllm data perturb`), which say the same in the same voice.

    Args:
        ids: utterance ids.
        fraction: part of the utterances.
        seed: seed of the choice.
        complement: return the ids outside that part instead.
        order: utterances whose first part is taken, instead of a random one.

    Raises:
        ConfigError: `fraction` outside [0, 1].

    >>> subset(["a", "b", "c", "d"], 0.5, 42)
    ['a', 'd']
    """
    if not 0 <= fraction <= 1:
        raise ConfigError(f"a fraction must lie in [0, 1], not {fraction}")
    if fraction == 1:
        return [] if complement else list(ids)
    if order is None:
        order = list(dict.fromkeys(original(utt) for utt in ids))
        random.Random(f"subset {seed}").shuffle(order)
    size = max(1, round(fraction * len(order))) if fraction > 0 and order else 0
    chosen = set(order[:size])
    return [utt for utt in ids if (original(utt) in chosen) != complement]


def spread(ids: Sequence[T], most: int) -> list[T]:
    """Take at most `most` of the ids, spread evenly over all."""
    return [ids[i * len(ids) // most] for i in range(most)] if len(ids) > most else list(ids)


@uncollected()
def plan_epoch(
    pools: Sequence[Sequence[tuple[str, int]]],
    shares: Sequence[float],
    *,
    seed: int,
    epoch: int,
    batch_positions: int,
    epoch_items: int,
    layout: str = "mixed",
    redrawn: Collection[int] = (),
) -> Plan:
    """Plan one epoch.

    Each component gives its exact share of `epoch_items`, drawn without replacement from an
    endless stream of permutations of its pool. What is drawn does not depend on the layout:

    - mixed: items are ordered by their rank of length *within* their component, so that every
      batch holds the mixture's proportions and neighbours have similar lengths.
    - alternating: every batch is of one component; components take turns in proportion.
    - shuffled: items stand in random order, whatever their component and length.

    Args:
        pools: (utterance id, length in LLM positions) of all utterances, for each component.
        shares: share of each component; they add up to 1.
        seed, epoch: seed of the run, number of the epoch.
        batch_positions: maximum positions of a batch, items x longest item.
        epoch_items: items of an epoch over all components.
        layout: mixed, alternating or shuffled.
        redrawn: components whose pool is new in this epoch, so that their stream starts anew.

    Raises:
        ConfigError: a component with a share has nothing to draw from, or one item alone is longer
            than the budget.
    """
    rng = random.Random(f"plan {seed} {epoch}")
    rows: list[list[Item]] = []
    for c, (pool, count) in enumerate(zip(pools, apportion(epoch_items, shares), strict=True)):
        if count and not pool:
            raise ConfigError(f"component {c} of the mixture has a share but no utterances")
        stream = (f"draw {seed} {c} {epoch}", 0) if c in redrawn else (f"draw {seed} {c}", epoch)
        drawn = _draw(pool, count, *stream)
        drawn.sort(key=lambda pair: pair[1] * rng.uniform(1 - JITTER, 1 + JITTER))
        rows.append([Item(c, utt_id, length) for utt_id, length in drawn])
    if layout == "alternating":
        pure = [_cut(row, batch_positions) for row in rows]
        for component_batches in pure:
            rng.shuffle(component_batches)
        batches = _interleave(pure)
    else:
        items = _interleave(rows)
        if layout == "shuffled":
            rng.shuffle(items)
        batches = _cut(items, batch_positions)
        rng.shuffle(batches)
    return Plan(batches)


def _interleave(rows: Sequence[Sequence[T]]) -> list[T]:
    """Merge rows so that every stretch holds them in proportion to their lengths."""
    # Rows are in order already, so they are merged; to sort all places would take their memory.
    return [
        entry for _, _, entry in merge(*starmap(_placed, enumerate(rows)), key=itemgetter(0, 1))
    ]


def _placed(number: int, row: Sequence[T]) -> Iterator[tuple[float, int, T]]:
    """Place in the merged row, the row's number, and the entry, for each entry."""
    return (((rank + 0.5) / len(row), number, entry) for rank, entry in enumerate(row))


def _draw(
    pool: Sequence[tuple[str, int]], count: int, seed: str, epoch: int
) -> list[tuple[str, int]]:
    """Draw items [epoch * count, (epoch + 1) * count) of the endless stream of permutations."""
    drawn: list[tuple[str, int]] = []
    position = epoch * count
    while len(drawn) < count:
        lap, offset = divmod(position + len(drawn), len(pool))
        permutation = list(pool)
        random.Random(f"{seed} {lap}").shuffle(permutation)
        drawn += permutation[offset : offset + count - len(drawn)]
    return drawn


def _cut(items: Iterable[Item], budget: int) -> list[list[Item]]:
    batches: list[list[Item]] = []
    longest = 0
    for item in items:
        if item.length > budget:
            raise ConfigError(
                f"utterance {item.utt_id} needs {item.length} positions, more than a whole batch",
                f"raise train.batch_positions above {item.length} or cut the utterance",
            )
        longest = max(longest, item.length)
        if not batches or longest * (len(batches[-1]) + 1) > budget:
            batches.append([])
            longest = item.length
        batches[-1].append(item)
    return batches
