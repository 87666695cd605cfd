import pytest

from tests.helpers.fake_grid import FakeComparison, dropping, learning


@pytest.fixture
def fake(tmp_path) -> FakeComparison:
    """Data for a comparison on `farm`, without cells."""
    return FakeComparison(tmp_path)


@pytest.fixture
def whole(fake) -> FakeComparison:
    """A comparison on `farm`; of some 9.5 words an utterance, so many are lost by each seed:

    base 4; text_only 4, 4, 4 (the same ones); denoise 3, 3, 3; mixed batching at 20 % 2, 2, 2, and
    its control 1, 1, 1; audio 0, 0, 0.
    """
    fake.add("base", dropping(4), seed=42)
    fake.add_seeds("text_only", [dropping(4)] * 3, kept_step=0, log=learning())
    fake.add_seeds("denoise", [dropping(3)] * 3, source=0.1, log=learning())
    mixed = {"method": "mixed_batching", "fraction": 0.2, "hours": 0.2}
    fake.add_seeds("mixed_batching", [dropping(2)] * 3, log=learning(), **mixed)
    fake.add_seeds("shuffled", [dropping(1)] * 3, control_of="mixed_batching_p20", **mixed)
    fake.add_seeds("audio", [dropping(0)] * 3, hours=1.0, log=learning())
    return fake
