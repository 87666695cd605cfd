"""Word times where the truth is known."""

import itertools

import numpy as np
import pytest

from speechllm.decode.words.word_times import (
    attention_word_times,
    ctc_align,
    ctc_word_times,
    monotonic_path,
)


def posteriors(path: list[int], size: int = 6, sharp: float = 6.0) -> np.ndarray:
    """[T, V] log-posteriors whose most likely path is this one."""
    logits = np.random.default_rng(0).normal(0, 0.3, (len(path), size))
    logits[np.arange(len(path)), path] += sharp
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_words_get_the_frames_of_their_symbols() -> None:
    path = [0, 1, 1, 2, 0, 0, 3, 0, 3, 0, 5, 0]
    times = ctc_word_times(posteriors(path), [[1, 2], [3, 3], [], [5]], 0, seconds=2.4)
    assert times == [
        pytest.approx((0.2, 0.8)),
        pytest.approx((1.2, 1.8)),
        None,
        pytest.approx((2.0, 2.2)),
    ]


def test_a_symbol_that_was_not_heard_finds_a_place_between_its_neighbours() -> None:
    times = ctc_word_times(posteriors([1, 1, 0, 0, 4, 4]), [[1], [2], [4]], 0, seconds=6.0)
    assert times[1] is not None
    assert times[0][1] <= times[1][0] < times[1][1] <= times[2][0]


def test_too_few_frames_give_no_times() -> None:
    assert ctc_align(posteriors([1, 1]), [1, 1], 0) is None  # a blank must part them
    assert ctc_word_times(posteriors([1, 1]), [[1], [1]], 0, 1.0) == [None, None]
    assert ctc_align(posteriors([1, 0]), [], 0).tolist() == [-1, -1]


def test_the_path_is_the_best_of_all() -> None:
    """Against brute force over every path that collapses to the symbols."""
    rng = np.random.default_rng(1)
    for symbols in ([1, 2], [1, 1], [2, 1, 2]):
        scores = np.log(rng.dirichlet(np.ones(3), 5))

        def collapses(path: tuple[int, ...], symbols: list[int] = symbols) -> bool:
            return [k for k, _ in itertools.groupby(path) if k] == symbols

        def total(path: tuple[int, ...], scores: np.ndarray = scores) -> float:
            return float(sum(scores[t, s] for t, s in enumerate(path)))

        best = max(total(p) for p in itertools.product(range(3), repeat=5) if collapses(p))
        found = ctc_align(scores, symbols, 0)
        assert total(tuple(0 if i < 0 else symbols[i] for i in found)) == pytest.approx(best)


def test_the_cheapest_monotonic_path_is_found() -> None:
    cost = np.ones((3, 7))
    for row, columns in enumerate([(0, 1), (2, 3, 4), (5, 6)]):
        cost[row, list(columns)] = -1
    assert monotonic_path(cost).tolist() == [[0, 1], [2, 4], [5, 6]]
    assert monotonic_path(np.zeros((1, 3))).tolist() == [[0, 2]]
    assert [row.tolist() for row in monotonic_path(np.eye(3) * -1)] == [[0, 0], [1, 1], [2, 2]]


def test_attention_that_follows_the_speech_gives_its_times() -> None:
    attention = np.full((5, 10), 0.02)
    for token, positions in enumerate([(0, 1), (2, 3), (4,), (5, 6, 7), (8, 9)]):
        attention[token, list(positions)] = 0.4
    attention[:, 3] += 5  # a position that every token looks at
    times = attention_word_times(
        attention, [range(w, w + 1) for w in (0, 0, 1, 2, 2)], 3, seconds=5.0
    )
    assert times == [pytest.approx((0, 2)), pytest.approx((2, 2.5)), pytest.approx((2.5, 5))]
    assert attention_word_times(np.zeros((0, 4)), [], 0, 1.0) == []
    assert attention_word_times(np.zeros((2, 0)), [range(1), range(1, 2)], 2, 1.0) == [None, None]
