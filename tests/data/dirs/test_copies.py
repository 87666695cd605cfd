"""Names of copies at other speeds."""

import pytest

from speechllm.data.dirs.ids import original, speed_prefix


@pytest.mark.parametrize("speed", [0.1, 0.9, 1.0, 1.05, 10.0])
def test_a_copy_knows_its_original(speed: float) -> None:
    assert original(speed_prefix(speed) + "spk-1") == "spk-1"


@pytest.mark.parametrize("name", ["spk-1", "speaker", "sp-1", "a-sp0.9-b"])
def test_other_names_are_their_own(name: str) -> None:
    assert original(name) == name
