import random
from itertools import combinations
from types import SimpleNamespace

from speechllm.slot.coverage import by_coverage
from speechllm.slot.mixing import Mixture
from speechllm.slot.mixture import spread, subset


def test_the_first_utterances_hold_the_most_of_what_is_new() -> None:
    text = {
        "a": "the cat sat",
        "b": "losartan and ibuprofen",
        "c": "ibuprofen daily",
        "d": "losartan losartan",
        "e": "",
    }
    order = by_coverage(text, {"the", "cat", "sat", "and", "daily"})
    # d: 3 times said / 2 words; b: (3 + 2) / 3; c: 2 / 2. Then nothing is new.
    assert order[0] == "b" and sorted(order) == sorted(text) and order[1:] == ["a", "c", "d", "e"]


def test_lazy_greedy_is_greedy() -> None:
    rng = random.Random(3)
    text = {f"u{n}": " ".join(rng.choices("abcdefghijklmnop", k=4)) for n in range(40)}
    often = {w: sum(t.split().count(w) for t in text.values()) for w in "abcdefghijklmnop"}
    covered: set[str] = set("ab")
    left, wanted = list(text), []
    while left:
        gains = [sum(often[w] for w in set(text[u].split()) - covered) / 4 for u in left]
        best = left.pop(gains.index(max(gains)))
        wanted.append(best)
        covered |= set(text[best].split())
    assert by_coverage(text, set("ab")) == wanted


def test_a_part_by_coverage_is_nested_and_keeps_copies_together() -> None:
    ids = ["a", "b", "sp0.9-a", "c", "sp0.9-b"]
    order = ["b", "c", "a"]
    assert subset(ids, 0.34, 1, order=order) == ["b", "sp0.9-b"]
    assert subset(ids, 0.34, 1, complement=True, order=order) == ["a", "sp0.9-a", "c"]
    for few, more in combinations((0.1, 0.34, 0.7, 1.0), 2):
        assert set(subset(ids, few, 1, order=order)) <= set(subset(ids, more, 1, order=order))


def test_an_utterance_of_which_there_are_only_copies_is_picked_too() -> None:
    spoken = {"sp0.9-a": "new words", "b": "old"}
    corpora = {
        "target": SimpleNamespace(
            text={**spoken, "c": "new, but nobody said it"}, spoken=[*spoken]
        ),
        "source": SimpleNamespace(text={"s": "old"}),
    }
    mixture = SimpleNamespace(views=SimpleNamespace(corpora=corpora))
    assert Mixture._by_coverage(mixture, "target") == ["a", "b"]


def test_a_few_are_spread_over_all() -> None:
    assert spread("abcdefghij", 3) == ["a", "d", "g"] and spread("ab", 3) == ["a", "b"]
    assert spread(range(2100), 2000)[-1] == 2098
