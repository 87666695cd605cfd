import pytest

from speechllm.report.gains import forgetting, gain, gap_closed, has_gap


def test_gains_are_relative_to_the_base() -> None:
    assert gain(15.0, 20.0) == 25.0
    assert gap_closed(15.0, 20.0, 10.0) == 50.0
    assert gap_closed(22.0, 20.0, 10.0) == -20.0
    assert forgetting(9.5, 9.0) == 0.5


@pytest.mark.parametrize("unknown", [(None, 20.0), (15.0, None), (None, None)])
def test_nothing_is_made_up_of_what_is_not_known(unknown) -> None:
    assert gain(*unknown) is gap_closed(*unknown, 10.0) is forgetting(*unknown) is None


@pytest.mark.parametrize("audio", [20.0, 25.0, None])
def test_there_is_no_gap_where_audio_does_not_help(audio) -> None:
    assert not has_gap(20.0, audio) and gap_closed(15.0, 20.0, audio) is None


def test_of_nothing_there_is_no_share() -> None:
    assert gain(1.0, 0.0) is None
