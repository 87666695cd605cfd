from collections.abc import Iterator

import pytest

from tests.helpers import slurm


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurm.Cluster]:
    """A Slurm of two nodes; the tests are skipped where it cannot be started."""
    if reason := slurm.absent():
        pytest.skip(reason)
    with slurm.cluster() as made:
        yield made
