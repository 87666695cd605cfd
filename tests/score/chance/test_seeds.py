import numpy as np
import pytest

from speechllm.score.chance.bootstrap import bootstrap_rates
from speechllm.score.chance.seeds import mean_rate, resampled_rates, seed_interval


def test_the_mean_over_seeds():
    assert mean_rate([[1, 0], [2, 1]], [4, 4]) == pytest.approx(100 * (1 / 8 + 3 / 8) / 2)
    assert mean_rate([1, 0], [4, 4]) == 12.5
    assert mean_rate([1], [0]) is None


def test_what_errors_are_a_share_of_may_differ_from_run_to_run():
    errors, reference = [[1, 0], [2, 1.5]], [[4, 4], [2, 5]]
    assert mean_rate(errors, reference) == pytest.approx(100 * (1 / 8 + 3.5 / 7) / 2)
    assert mean_rate(errors, [[4, 4], [0, 0]]) is None
    common = np.full(60, 5.0)
    errors = np.arange(180).reshape(3, 60) % 7 / 2
    assert np.allclose(
        resampled_rates(errors, common, 300), resampled_rates(errors, np.tile(common, (3, 1)), 300)
    )


def test_a_resample_of_an_f1_draws_counts_and_their_whole_together():
    """Two utterances: wrong with a whole of 2, right with a whole of 6: 100, 25 or 0 percent."""
    rates = resampled_rates([[2.0, 0.0]], [[2.0, 6.0]], 4000)
    shares = {value: np.mean(np.isclose(rates, value)) for value in (0.0, 25.0, 100.0)}
    assert shares == pytest.approx({0.0: 0.25, 25.0: 0.5, 100.0: 0.25}, abs=0.03)


def test_one_seed_is_the_bootstrap_over_utterances():
    errors, reference = np.arange(60) % 3, np.full(60, 5)
    assert np.allclose(
        resampled_rates(errors, reference, 200, seed=3),
        bootstrap_rates(errors, reference, 200, seed=3),
    )


def test_seeds_that_differ_widen_the_interval_by_as_much_as_they_should():
    """All utterances alike: only seeds vary, and the standard error is s / sqrt(S)."""
    levels = np.array([10, 12, 17])
    errors, reference = np.repeat(levels[:, None], 50, axis=1), np.full(50, 100)
    rates = resampled_rates(errors, reference)
    assert rates.mean() == pytest.approx(13, abs=0.1)
    assert rates.std() == pytest.approx(levels.std(ddof=1) / np.sqrt(3), rel=0.03)


def test_two_seeds_and_utterances_are_both_drawn():
    draw = np.random.default_rng(0)
    errors = draw.binomial(10, 0.3, size=(2, 400)) + np.array([[0], [1]])
    reference = np.full(400, 10)
    one = resampled_rates(errors[0], reference).std()
    both = resampled_rates(errors, reference).std()
    assert one < 1 < both and both == pytest.approx(5, rel=0.15)  # the seeds' s / sqrt(2)


def test_utterances_are_drawn_alike_and_seeds_are_not():
    errors, reference = np.tile(np.arange(30) % 4, (3, 1)), np.full(30, 4)
    same = [resampled_rates(errors, reference, 100, stream=stream) for stream in (0, 1)]
    assert np.allclose(same[0], same[1])  # seeds that agree: whichever is drawn
    errors = errors + np.array([[0], [1], [2]])
    other = [resampled_rates(errors, reference, 100, stream=stream) for stream in (0, 1)]
    assert not np.allclose(other[0], other[1])
    assert (other[0] == resampled_rates(errors, reference, 100, stream=0)).all()


def test_memory_bound_does_not_change_the_number_of_resamples(monkeypatch):
    monkeypatch.setattr("speechllm.score.chance.bootstrap.DRAWS_AT_ONCE", 25)
    assert resampled_rates(np.ones((2, 10)), np.ones(10), resamples=7).shape == (7,)


def test_where_an_interval_would_mean_nothing():
    assert seed_interval([[1], [2]], [5]) is None
    assert seed_interval([1, 2], [0, 0]) is None
    assert seed_interval([[0, 1]], [0, 4]) is not None
