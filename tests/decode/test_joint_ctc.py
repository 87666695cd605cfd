"""Prefix scores of CTC against all paths, counted one by one."""

import itertools
import math

import pytest
import torch

from speechllm.decode.joint_ctc import NEVER, State, begins_with, nothing_read, read_all

POSITIONS, SYMBOLS = 5, 3  # the first symbol is the blank


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def after(read: torch.Tensor, prefix: tuple[int, ...]) -> State:
    return read_all(nothing_read(read, torch.tensor([0])), read, torch.tensor([prefix]).long())


@pytest.mark.parametrize("prefix", [(), (1,), (2, 1), (1, 1), (1, 2, 2), (2, 2, 2)])
def test_prefix_scores_are_sums_over_paths(prefix: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    read = torch.randn(1, POSITIONS, SYMBOLS).double().log_softmax(-1)
    begins = ends = 0.0
    for path in itertools.product(range(SYMBOLS), repeat=POSITIONS):
        said = collapse(path)
        probability = math.exp(sum(float(read[0, p, s]) for p, s in enumerate(path)))
        begins += probability * (said[: len(prefix)] == prefix)
        ends += probability * (said == prefix)
    state = after(read, prefix)
    assert float(state.begins.exp()) == pytest.approx(begins, rel=1e-9)
    assert float(state.ends.exp()) == pytest.approx(ends, rel=1e-9)


def test_what_comes_next_is_scored_for_many_at_once() -> None:
    """Rows of none, one, two and three symbols, zeros behind them."""
    torch.manual_seed(0)
    read = torch.randn(1, POSITIONS, SYMBOLS).double().log_softmax(-1)
    symbols = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 1, 0], [1, 1, 2], [2, 2, 0]])
    state, many = after(read, (1,)), torch.zeros(len(symbols), dtype=torch.long)
    found = begins_with(state.of(many), read, symbols)
    each = [after(read, (1, *row)).begins for row in [(), (1,), (2, 1), (1, 1, 2), (2, 2)]]
    torch.testing.assert_close(found, torch.cat(each))


def test_positions_beyond_an_utterance_change_nothing() -> None:
    torch.manual_seed(0)
    read = torch.randn(1, POSITIONS, SYMBOLS).double().log_softmax(-1)
    beyond = torch.full((1, 7, SYMBOLS), NEVER).double()
    beyond[:, :, 0] = 0.0
    alone, padded = after(read, (1, 2)), after(torch.cat([read, beyond], 1), (1, 2))
    torch.testing.assert_close(padded.begins, alone.begins)
    torch.testing.assert_close(padded.ends, alone.ends)


def test_what_is_longer_than_its_speech_is_never_read() -> None:
    read = torch.zeros(1, 2, SYMBOLS).double().log_softmax(-1)
    assert float(after(read, (1, 2, 1)).begins) < NEVER / 2
