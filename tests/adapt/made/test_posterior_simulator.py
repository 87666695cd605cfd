"""A simulator of CTC posteriors: it learns a mapping, obeys its bin, and leaks nothing."""

import math
import random

import numpy as np
import pytest
import torch

from speechllm.adapt.made.posterior_simulator import (
    Ask,
    Lesson,
    PosteriorSimulator,
    cross_entropy,
    draw_all,
    learn,
)
from speechllm.adapt.methods.tasu2 import SimulatorConfig
from speechllm.errors import ConfigError
from speechllm.slot.pseudo_audio.sparse_posteriors import Posteriors

UNITS = 12
SURE = 0.9
SMALL = SimulatorConfig(width=32, layers=1, heads=2, dropout=0.0, epochs=14, batch=16, lr=5e-3)


def misread(text: list[int], wer_bin: int) -> list[int]:
    """In bin 1 every third symbol of the alphabet is taken for another."""
    return [1 + (s + 5) % UNITS if wer_bin and s % 3 == 0 else s for s in text]


def lesson(text: list[int], wer_bin: int) -> Lesson:
    symbols = np.array([[s, 1 + s % UNITS] for s in misread(text, wer_bin)], np.int32)
    shares = np.tile(np.array([[SURE, 1 - SURE]], np.float32), (len(text), 1))
    return Lesson(text, wer_bin, Posteriors(symbols, shares))


def lessons(count: int, seed: int) -> list[Lesson]:
    rng = random.Random(seed)
    some = [rng.sample(range(1, UNITS + 1), rng.randint(3, 9)) for _ in range(count)]
    return [lesson(text, rng.randint(0, 1)) for text in some]


@pytest.fixture(scope="module")
def taught() -> tuple[PosteriorSimulator, float]:
    return learn(SMALL, 1 + UNITS, 2, lessons(400, 0), lessons(50, 1), seed=0)


def test_it_learns_the_teachers_distribution(taught: tuple[PosteriorSimulator, float]) -> None:
    positions = sum(len(one.text) for one in lessons(50, 1))
    entropy = -SURE * math.log(SURE) - (1 - SURE) * math.log(1 - SURE)
    least = entropy * positions / (positions + 50)  # the end is certain
    assert least <= taught[1] < least + 0.3


def test_it_obeys_the_bin(taught: tuple[PosteriorSimulator, float]) -> None:
    texts = [one.text for one in lessons(40, 2)]
    for wer_bin in (0, 1):
        paths = draw_all(taught[0], [Ask(t, wer_bin, str(t), 4.0) for t in texts], 16)
        right = [misread(text, wer_bin) == path for text, path in zip(texts, paths, strict=True)]
        other = [misread(t, 1 - wer_bin) == p for t, p in zip(texts, paths, strict=True)]
        assert sum(right) > 30 and sum(other) < 10  # some texts hold no symbol that is misread


def test_sharpness_makes_readings_alike(taught: tuple[PosteriorSimulator, float]) -> None:
    text = lessons(1, 3)[0].text
    kinds = {
        sharpness: len({*map(tuple, draw_all(taught[0], asked, 40))})
        for sharpness in (1.0, 8.0)
        for asked in [[Ask(text, 0, str(n), sharpness) for n in range(40)]]
    }
    assert kinds[8.0] <= 3 < kinds[1.0]


def test_what_a_text_gets_does_not_depend_on_its_neighbours(
    taught: tuple[PosteriorSimulator, float],
) -> None:
    asked = [Ask(one.text, one.bin, str(n)) for n, one in enumerate(lessons(20, 4))]
    together = draw_all(taught[0], asked, 20)
    assert together == [draw_all(taught[0], [one], 1)[0] for one in asked]
    assert len({len(path) for path in together}) > 1
    some = lessons(20, 4)
    with torch.inference_mode():
        alone = sum(float(cross_entropy(taught[0], [one])[0]) for one in some)
        assert float(cross_entropy(taught[0], some)[0]) == pytest.approx(alone, rel=1e-4)


def test_the_future_is_not_seen(taught: tuple[PosteriorSimulator, float]) -> None:
    text = torch.tensor([[taught[0].bin_token(0), 1, 2, 3]])
    before = torch.tensor([[taught[0].bin_token(0), 1, 2, 3]])
    changed = before.clone()
    changed[0, 2:] = 7
    with torch.inference_mode():
        first, second = taught[0](text, before), taught[0](text, changed)
    torch.testing.assert_close(first[:, :2], second[:, :2])
    assert not torch.allclose(first[:, 2], second[:, 2])


def test_equal_seeds_teach_equally() -> None:
    brief = SMALL.model_copy(update={"epochs": 1})
    first, second, other = (
        learn(brief, 1 + UNITS, 2, lessons(40, 0), lessons(5, 1), seed)[0] for seed in (1, 1, 2)
    )
    asked = [Ask(one.text, one.bin, "x") for one in lessons(10, 4)]
    assert draw_all(first, asked, 4) == draw_all(second, asked, 4)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


def test_a_simulation_has_a_position_and_an_end() -> None:
    network = PosteriorSimulator(SMALL, 1 + UNITS, 2).eval()
    with torch.no_grad():
        network.copies.bias.fill_(-50.0)
        network.bias[network.end] = 50.0
    assert [len(path) for path in draw_all(network, [Ask([1, 2], 0, "a"), Ask([], 0, "b")], 2)] == [
        1,
        1,
    ]
    with torch.no_grad():
        network.bias[network.end] = -1e4
    assert [len(path) for path in draw_all(network, [Ask([1, 2], 0, "a"), Ask([], 0, "b")], 2)] == [
        16,
        10,
    ]


def test_a_simulator_that_learns_nothing_is_told() -> None:
    wild = SMALL.model_copy(update={"lr": 1e30, "epochs": 2})
    with pytest.raises(ConfigError, match=r"lower simulator\.lr"):
        learn(wild, 1 + UNITS, 2, lessons(40, 1), lessons(5, 2), seed=0)
