"""Sparse posteriors, real ones by their symbol, and text that is heard through them."""

import random

import numpy as np
import pytest

from speechllm.slot.pseudo_audio.sparse_posteriors import (
    PosteriorBank,
    Posteriors,
    SimulatedText,
    most_likely,
)

TABLE = np.eye(4, dtype=np.float32) * 2


def one(*symbols: int) -> Posteriors:
    return Posteriors(
        np.array([[s, 0] for s in symbols], np.int32),
        np.tile(np.array([[0.75, 0.25]], np.float32), (len(symbols), 1)),
    )


def test_the_most_likely_symbols_are_kept_and_add_up_to_one() -> None:
    kept = most_likely(np.array([[0.1, 0.5, 0.3, 0.1], [0.7, 0.0, 0.1, 0.2]]), 2)
    assert kept.symbols.tolist() == [[1, 2], [0, 3]]
    np.testing.assert_allclose(kept.shares, [[5 / 8, 3 / 8], [7 / 9, 2 / 9]], rtol=1e-6)
    assert most_likely(np.array([[0.25, 0.75]]), 9).symbols.tolist() == [[1, 0]]


def test_vectors_are_expected_rows() -> None:
    np.testing.assert_allclose(one(1, 3).vectors(TABLE), [[0.5, 1.5, 0, 0], [0.5, 0, 0, 1.5]])


def test_a_bank_prefers_what_was_heard_in_the_bin() -> None:
    sure = Posteriors(np.array([[1, 2]], np.int32), np.array([[0.9, 0.1]], np.float32))
    bank = PosteriorBank([(0, sure), (1, one(1)), (1, one(2))])
    rng = random.Random(0)
    for _ in range(5):
        assert bank.dress([1, 2], 0, rng).shares.tolist() == pytest.approx(
            np.array([[0.9, 0.1], [0.75, 0.25]])
        )
        assert bank.dress([1], 1, rng).shares[0, 0] == 0.75
    found = {round(float(bank.dress([1], 2, rng).shares[0, 0]), 2) for _ in range(30)}
    assert found == {0.75, 0.9}


def test_a_symbol_that_was_never_heard_is_certain() -> None:
    found = PosteriorBank([(0, one(1))]).dress([3, 1], 0, random.Random(0))
    np.testing.assert_allclose(found.vectors(TABLE), [[0, 0, 0, 2], [0.5, 1.5, 0, 0]])


def test_text_is_heard_in_the_open_bins_alone() -> None:
    text = {"a": "x"}
    corpus = SimulatedText("t", text, text, {"a": [[one(1)], [one(2, 2), one(3, 3)]]}, TABLE)
    assert corpus.frame_counts == {"a": 2}

    def shown() -> set[int]:
        some = [corpus.simulate("a", random.Random(n)).vectors for n in range(30)]
        return {int(vectors[0].argmax()) for vectors in some}

    assert shown() == {1, 2, 3}
    corpus.open_bins = 1
    assert shown() == {1}
    again = [corpus.simulate("a", random.Random(5)).vectors for _ in range(2)]
    np.testing.assert_array_equal(*again)
