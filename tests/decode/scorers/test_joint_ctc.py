"""Prefix scores of CTC against all paths, counted one by one."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.decode.config import DecodeConfig, JointCtcConfig
from speechllm.decode.decoder import Decoder
from speechllm.decode.scorers.joint_ctc import (
    FLOOR,
    NEVER,
    CtcState,
    _gain,
    begins_with,
    nothing_read,
    read_all,
)
from speechllm.slot.collate import Example
from tests.decode.conftest import sharpened
from tests.helpers.tiny import make_encoder, make_llm

WIDTH = 16  # of the tiny encoder
POSITIONS, SYMBOLS = 5, 3  # the first symbol is the blank


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def after(read: torch.Tensor, prefix: tuple[int, ...]) -> CtcState:
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
    """Candidates of none to three symbols, zeros behind them; some begin alike, some are alike."""
    torch.manual_seed(0)
    read = torch.randn(2, POSITIONS, SYMBOLS).double().log_softmax(-1)
    prefixes = [(1, 2), (2, 1), (1, 1)]  # of which the last two are of one utterance
    state = read_all(
        nothing_read(read, torch.tensor([0, 1, 1])), read, torch.tensor(prefixes).long()
    )
    candidates = [(), (1,), (2, 1), (1, 1, 2), (2, 2), (2, 1, 2), (2, 1)]
    symbols = torch.tensor([[*c, *[0] * (3 - len(c))] for c in candidates]).expand(3, -1, -1)
    found = begins_with(state, read, symbols)
    for row, (prefix, utterance) in enumerate(zip(prefixes, (0, 1, 1), strict=True)):
        own = read[utterance : utterance + 1]
        each = [after(own, prefix + candidate).begins for candidate in candidates]
        torch.testing.assert_close(found[row], torch.cat(each))


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
    after_it = after(read, (1, 2, 1, 1))
    assert _gain(after_it.begins, after(read, (1, 2, 1)).begins).tolist() == [
        FLOOR
    ]  # nor is it free then


@pytest.mark.parametrize("kind", ["linear", "convnext"])
def test_utterances_without_a_position_do_not_stop_the_others(tmp_path: Path, kind: str) -> None:
    """An utterance of fewer frames than a position has is read as nothing."""
    ctc = {"vectors": "expected", "units": "pieces", "merges": 30}
    model = sharpened(make_encoder(tmp_path / "e"), make_llm(tmp_path / "l"), kind=kind, ctc=ctc)
    found = {}
    for name, frames in {"both": (30, 1), "long": (30,), "short": (1,)}.items():
        examples = [
            Example(
                f"u{n}", "audio", np.random.default_rng(n).standard_normal((n, WIDTH), np.float32)
            )
            for n in frames
        ]
        config = DecodeConfig(beam=3, nbest=2, joint_ctc=JointCtcConfig(weight=1.0), guard=None)
        decoder = Decoder(model, config)
        found[name] = decoder.decode(examples, [n / 50 for n in frames])
    both, alone = found["both"], [*found["long"], *found["short"]]
    assert [d.best.text for d in both] == [d.best.text for d in alone]
    for one in (*both, *alone):
        for candidate in one.nbest:
            assert -1e4 < candidate.scores["ctc"] <= 0 and -1e4 < candidate.scores["llm"] <= 0
