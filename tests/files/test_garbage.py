"""The collector is off inside the block, and as it was behind it."""

import gc

import pytest

from speechllm.files.garbage import uncollected


def test_the_collector_is_as_it_was() -> None:
    with pytest.raises(KeyError), uncollected():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
