"""Nothing from outside ends in a traceback, writes elsewhere or runs anything.

300 inputs, the same ones each time; SPEECHLLM_HOSTILE=2000 tries that many, at random.
"""

import functools
import os
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.damage import damaged, overrides
from tests.hostile.kinds import KINDS, Kind
from tests.hostile.sandbox import attempt, copied, watched

INPUTS = int(os.environ.get("SPEECHLLM_HOSTILE", "300"))
OFTEN = settings(
    max_examples=-(-INPUTS // len(KINDS)),
    derandomize="SPEECHLLM_HOSTILE" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


# Nothing is wrong with the file, but with what stands behind it.
REFUSED = ("bundle.run", "bundle.transcribe", "decoded.compare")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_whole_inputs_are_read(kind: Kind, whole: Path, tmp_path: Path) -> None:
    if kind.name in ("dataset.import", "corpora.parquet"):
        pytest.importorskip("datasets")
    place = copied(whole / kind.folder, tmp_path / "box")
    with watched(place, list(kind.may_write)):
        code = attempt(functools.partial(kind.run, []), kind.command)
    assert code == (kind.name in REFUSED)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_hostile_inputs_are_refused_or_read(kind: Kind, whole: Path, tmp_path: Path) -> None:
    if kind.name in ("dataset.import", "corpora.parquet"):
        pytest.importorskip("datasets")
    source = whole / kind.folder
    files = sorted(path for pattern in kind.damage for path in source.glob(pattern))
    names = [str(path.relative_to(source)) for path in files if path.is_file()]

    @OFTEN
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        place = copied(source, tmp_path / "box")
        for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)):
            (place / name).write_bytes(data.draw(damaged((place / name).read_bytes()), label=name))
        words = data.draw(overrides(list(kind.keys))) if kind.keys else []
        with watched(place, list(kind.may_write)):
            attempt(functools.partial(kind.run, words), kind.command)

    try_one()
