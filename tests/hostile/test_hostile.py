"""Nothing from outside ends in a traceback, hangs, writes elsewhere or runs anything.

500 inputs, the same ones each time. `python -m tests.hostile 10000` tries more.
"""

from pathlib import Path

import pytest

pytest.importorskip("hypothesis")

from tests.hostile.kinds import KINDS, Kind, is_there
from tests.hostile.trials import try_all, try_whole

CASES = -(-500 // len(KINDS))


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind in turn."""
    if not is_there(request.param):
        pytest.skip(f"needs {request.param.needs}")
    return request.param


def test_whole_inputs_are_read(kind: Kind, whole: Path, tmp_path: Path) -> None:
    assert try_whole(kind, whole, tmp_path) == kind.refused


def test_hostile_inputs_are_refused_or_read(kind: Kind, whole: Path, tmp_path: Path) -> None:
    (outcome,) = try_all([kind], whole, tmp_path, CASES, start=0)
    assert not outcome.fault, outcome.fault
    assert outcome.cases
