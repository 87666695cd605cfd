from collections import Counter

import pytest

from speechllm.errors import ConfigError
from speechllm.slot.mixture import (
    Plan,
    _interleave,
    apportion,
    plan_epoch,
    positions,
    resolve_shares,
    subset,
)

POOLS = [
    [(f"a{i}", 20 + i % 37) for i in range(300)],
    [(f"b{i}", 10 + i % 23) for i in range(50)],
    [(f"c{i}", 30 + i % 11) for i in range(100)],
]
SHARES = [0.5, 0.3, 0.2]


def plan(epoch: int = 0, seed: int = 0, budget: int = 640) -> Plan:
    return plan_epoch(
        POOLS,
        SHARES,
        seed=seed,
        epoch=epoch,
        batch_positions=budget,
        epoch_items=600,
    )


def ids(p: Plan) -> Counter[str]:
    return Counter(item.utt_id for batch in p.batches for item in batch)


def test_layouts_hold_the_same_items() -> None:
    shape = {"seed": 0, "epoch": 0, "batch_positions": 640, "epoch_items": 600}
    plans = {
        name: plan_epoch(POOLS, SHARES, layout=name, **shape)
        for name in ("mixed", "alternating", "shuffled")
    }
    assert plans["mixed"] == plan()
    assert ids(plans["mixed"]) == ids(plans["alternating"]) == ids(plans["shuffled"])
    kinds = [{item.component for item in batch} for batch in plans["alternating"].batches]
    assert all(len(kind) == 1 for kind in kinds)
    first = Counter(kind.pop() for kind in kinds[: len(kinds) // 2])
    assert first.keys() == {0, 1, 2}  # they take turns; none comes after the others
    lengths = [item.length for item in plans["shuffled"].batches[0]]
    assert max(lengths) > 1.5 * min(lengths)


def test_null_shares_divide_the_rest() -> None:
    assert resolve_shares([0.4, None, None]) == pytest.approx([0.4, 0.3, 0.3])
    assert resolve_shares([1.0, None]) == [1.0, 0.0]


@pytest.mark.parametrize("shares", [[-0.1, None], [1.1], [0.7, 0.6], [0.5, 0.2]])
def test_impossible_shares_are_refused(shares: list[float | None]) -> None:
    with pytest.raises(ConfigError):
        resolve_shares(shares)


def test_apportionment_is_exact() -> None:
    assert apportion(10, [0.61, 0.39]) == [6, 4]
    assert apportion(10, [0.9, 0.1]) == [9, 1]  # the published code makes 10 and 0 of this
    assert apportion(10, [0.8, 0.2]) == [8, 2]
    assert apportion(7, [1 / 3] * 3) == [3, 2, 2]
    for total in range(50):
        assert sum(apportion(total, [0.11, 0.37, 0.52])) == total


def test_realised_proportions_are_exact() -> None:
    assert plan().counts() == {0: 300, 1: 180, 2: 120}


def test_every_batch_holds_the_mixture() -> None:
    for batch in plan().batches:
        counts = Counter(item.component for item in batch)
        size = len(batch)
        for component, share in enumerate(SHARES):
            assert abs(counts[component] - share * size) <= 2


def test_the_plan_is_a_pure_function() -> None:
    assert plan(epoch=3, seed=5) == plan(epoch=3, seed=5)
    assert plan(epoch=0) != plan(epoch=1)
    assert plan(seed=0) != plan(seed=1)


def test_pools_are_cycled_evenly_across_epochs() -> None:
    """Three epochs draw 540 of pool b's 50: every utterance ten or eleven times."""
    seen = ids(plan(0)) + ids(plan(1)) + ids(plan(2))
    assert {seen[utt] for utt, _ in POOLS[1]} == {10, 11}
    assert {seen[utt] for utt, _ in POOLS[0]} == {3}


def test_a_redrawn_pool_is_drawn_once_in_each_epoch() -> None:
    shape = {"seed": 0, "batch_positions": 640, "epoch_items": 50}
    for epoch in range(4):
        p = plan_epoch(POOLS[1:2], [1], epoch=epoch, redrawn={0}, **shape)
        assert set(ids(p).values()) == {1} and len(ids(p)) == 50
        assert p == plan_epoch(POOLS[1:2], [1], epoch=epoch, redrawn={0}, **shape)
    half = {**shape, "epoch_items": 25}
    first, second = (plan_epoch(POOLS[1:2], [1], epoch=e, redrawn={0}, **half) for e in (0, 1))
    assert 0 < len(ids(first).keys() & ids(second).keys()) < 25  # no stream goes on between them


def test_budget_and_padding() -> None:
    p = plan()
    assert all(positions(batch) <= 640 for batch in p.batches)
    one_pool = plan_epoch(POOLS[:1], [1], seed=0, epoch=0, batch_positions=640, epoch_items=300)
    assert one_pool.padding_ratio() < 0.08


def test_an_item_beyond_the_budget_names_the_option() -> None:
    with pytest.raises(ConfigError, match=r"train\.batch_positions"):
        plan(budget=40)


def test_an_utterance_and_its_copies_at_other_speeds_are_in_one_part() -> None:
    said = [f"spk-{i}" for i in range(20)]
    copies = [f"{speed}{utt}" for utt in said for speed in ("", "sp0.9-", "sp1.1-")]
    part, rest = subset(copies, 0.25, 3), subset(copies, 0.25, 3, complement=True)
    chosen = subset(said, 0.25, 3)
    assert part == [
        utt for utt in copies if utt.removeprefix("sp0.9-").removeprefix("sp1.1-") in chosen
    ]
    assert len(part) == 15 and sorted(part + rest) == sorted(copies)


def test_subsets_are_seeded_nested_and_complementary() -> None:
    everyone = [f"u{i:03d}" for i in range(200)]
    tenth, half = subset(everyone, 0.1, seed=1), subset(everyone, 0.5, seed=1)
    assert len(tenth) == 20 and len(half) == 100 and set(tenth) <= set(half)
    rest = subset(everyone, 0.1, seed=1, complement=True)
    assert sorted(tenth + rest) == everyone
    assert subset(everyone, 0.1, seed=2) != tenth
    assert len(subset(everyone, 0.0011, seed=1)) == 1
    assert subset(everyone, 0, seed=1) == []
    with pytest.raises(ConfigError):
        subset(everyone, 1.2, seed=1)


def test_rows_are_merged_as_if_all_places_were_sorted() -> None:
    for sizes in ([5, 3, 4], [7], [0, 2], [6, 6, 1, 12], []):
        rows = [[f"{c}-{rank}" for rank in range(size)] for c, size in enumerate(sizes)]
        places = [
            ((rank + 0.5) / len(row), c, entry)
            for c, row in enumerate(rows)
            for rank, entry in enumerate(row)
        ]
        assert _interleave(rows) == [entry for *_, entry in sorted(places)]
