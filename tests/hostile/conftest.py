"""Valid inputs of every kind, made once; each example damages a copy."""

from pathlib import Path

import pytest

from tests.hostile.inputs import make_all


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of valid inputs for each kind."""
    root = tmp_path_factory.mktemp("whole")
    make_all(root)
    return root
