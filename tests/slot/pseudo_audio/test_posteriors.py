import random
from itertools import groupby

import numpy as np
import pytest

from speechllm.slot.pseudo_audio.posteriors import (
    Codebook,
    CtcHead,
    SimulatedCorpus,
    SimulationConfig,
    learn_codebook,
    simulate_path,
    smoothed,
)

# Three symbols and three dimensions; a frame 10 * e_k is symbol k for certain.
HEAD = CtcHead(np.eye(3, dtype=np.float32) * 100, np.zeros(3, np.float32), 0, frozenset({0}))
ALPHABET = HEAD.alphabet
BOOK = Codebook(np.diag([1.0, 2.0, 4.0]).astype(np.float32), np.ones(3), [1, 2], [0, 1, 3], [2, 4])
CLEAN = SimulationConfig(drop=0, smooth=0)


def frames(*symbols: int) -> np.ndarray:
    return np.eye(3, dtype=np.float16)[list(symbols)]


def collapse(path: list[int]) -> list[int]:
    return [symbol for symbol, _ in groupby(path) if symbol != 0]


def test_the_codebook_holds_mean_frames_and_lengths_of_runs() -> None:
    book = learn_codebook(HEAD, [frames(0, 0, 1, 1, 0, 2), frames(1, 2, 0, 0, 0, 2, 0), frames(0)])
    np.testing.assert_allclose(book.frames, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(book.mass, [8, 3, 3], atol=1e-6)
    assert (book.runs, book.gaps, book.edges) == ([2, 1, 1, 1, 1], [1, 0, 3], [2, 0, 0, 1])


def test_the_codebook_weighs_frames_by_their_posteriors() -> None:
    """Two frames x and y, p(symbol 1) = .5 and .25: mean (.5 x + .25 y) / .75."""
    head = CtcHead(
        np.log(np.array([[2, 3], [2, 1]], np.float32)), np.zeros(2, np.float32), 0, set()
    )
    x, y = np.eye(2, dtype=np.float16)  # logits log(2, 2) and log(3, 1)
    book = learn_codebook(head, [np.stack([x, y])])
    np.testing.assert_allclose(book.frames[1], [0.5 / 0.75, 0.25 / 0.75], atol=1e-6)
    np.testing.assert_allclose(book.mass, [1.25, 0.75], atol=1e-6)


def test_an_undisturbed_path_collapses_to_the_text() -> None:
    text = [1, 1, 2, 1, 2, 2, 2]
    for seed in range(50):
        path = simulate_path(text, ALPHABET, BOOK, CLEAN, random.Random(seed))
        assert collapse(path) == text
        assert path[0] == path[-1] == 0


def test_more_of_a_symbol_or_of_blanks_leaves_the_text_as_it_is() -> None:
    config = SimulationConfig(drop=0, smooth=0, insert=1)
    longer = 0
    for seed in range(50):
        path = simulate_path([1, 2, 1], ALPHABET, BOOK, config, random.Random(seed))
        assert collapse(path) == [1, 2, 1]
        longer += len(path)
    plain = sum(
        len(simulate_path([1, 2, 1], ALPHABET, BOOK, CLEAN, random.Random(s))) for s in range(50)
    )
    assert longer > plain


def test_symbols_are_dropped_and_substituted_at_their_rates() -> None:
    text = [1, 2] * 2000
    rng = random.Random(0)
    path = simulate_path(text, ALPHABET, BOOK, SimulationConfig(drop=0.25, smooth=0), rng)
    assert len(collapse(path)) == pytest.approx(3000, rel=0.05)
    always = SimulationConfig(drop=0, smooth=0, substitute=1)
    assert collapse(simulate_path([1, 2, 1], ALPHABET, BOOK, always, rng)) == [2, 1, 2]
    all_dropped = SimulationConfig(drop=1, smooth=0)
    assert collapse(simulate_path([1, 2], ALPHABET, BOOK, all_dropped, rng)) == [1, 2]


def test_smoothing_gives_an_even_share_away() -> None:
    class Half(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return (a + b) / 2

    found = smoothed([1, 0], 4, 0.2, Half())
    np.testing.assert_allclose(
        found, [[0.025, 0.925, 0.025, 0.025], [0.925, 0.025, 0.025, 0.025]], atol=1e-6
    )


def test_frames_are_those_expected_under_the_posteriors() -> None:
    book = Codebook(BOOK.frames, BOOK.mass, [1], [0], [0])
    corpus = SimulatedCorpus("x", {"u": "ab"}, {"u": "ab"}, {"u": [1, 2]}, ALPHABET, book, CLEAN)
    found = corpus.simulate("u", random.Random(0))
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, [[0, 2, 0], [0, 0, 4]])


def test_simulation_depends_on_its_seed_alone_and_lengths_are_as_expected() -> None:
    config = SimulationConfig()
    corpus = SimulatedCorpus(
        "x", {"u": "a"}, {"u": "a"}, {"u": [1, 2] * 50}, ALPHABET, BOOK, config
    )
    one, two = (corpus.simulate("u", random.Random(7)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    lengths = [len(corpus.simulate("u", random.Random(seed))) for seed in range(100)]
    assert corpus.frame_counts["u"] == pytest.approx(np.mean(lengths), rel=0.03)


def test_each_row_of_smoothed_posteriors_adds_up_to_one() -> None:
    found = smoothed([2, 0, 2], 4, 0.4, random.Random(0))
    assert found.dtype == np.float32 and found.argmax(1).tolist() == [2, 0, 2]
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert (np.sort(found, 1)[:, :3] == found.min(1, keepdims=True)).all()
    assert smoothed([], 4, 0.4, random.Random(0)).shape == (0, 4)


def test_a_posterior_of_many_symbols_takes_no_square_of_them() -> None:
    assert smoothed([7], 10**6, 0.1, random.Random(0)).shape == (1, 10**6)
