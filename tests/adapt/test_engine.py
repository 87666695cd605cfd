"""Phases of a run that goes on with another number of processes."""

import json
from pathlib import Path

from speechllm.adapt.engine import _shared_out
from speechllm.adapt.method import Phase
from speechllm.config import TrainConfig
from speechllm.files.layout import PHASE


def test_a_phase_that_comes_later_has_the_step_that_the_run_began_with(tmp_path: Path) -> None:
    """The warm start is finished, by two processes; no checkpoint tells of the next phase yet."""
    warm = TrainConfig(steps=1, batch_positions=200, accumulate=3)
    phases = [
        Phase("warm_start", [], (), warm, None),
        Phase("", [], (), TrainConfig(steps=1, accumulate=2), None),
    ]
    (tmp_path / "warm_start").mkdir()
    (tmp_path / "warm_start" / PHASE).write_text(json.dumps({"step_positions": 1200}))
    for processes in (1, 2):
        shared = _shared_out(phases, tmp_path, processes)
        assert [phase.train.step_batches for phase in shared] == [6, 4]
    fresh = _shared_out(phases, tmp_path / "fresh", 1)
    assert [phase.train.step_batches for phase in fresh] == [3, 2]
