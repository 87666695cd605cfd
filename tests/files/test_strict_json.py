"""JSON from outside: what another reader would take for a value is refused."""

import pytest

from speechllm.files.strict_json import load_json


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400 + ".0"])
def test_a_number_beyond_floating_point_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="too large a number: "):
        load_json(f'{{"channel": {number}}}')


def test_numbers_stay_as_they_are() -> None:
    assert load_json("[1, 1.5, 1e300, 1e-400, -0.0]") == [1, 1.5, 1e300, 0.0, -0.0]
