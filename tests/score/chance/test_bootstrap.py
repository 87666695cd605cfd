import numpy as np
import pytest

from speechllm.score.chance.bootstrap import (
    bootstrap_interval,
    bootstrap_rates,
    resampled_totals,
    sum_blocks,
)


def test_the_interval_agrees_with_the_binomial_one():
    # 2000 utterances of one word, one in five wrong: standard error sqrt(.2 * .8 / 2000) = 0.894 %.
    errors = np.arange(2000) % 5 == 0
    low, high = bootstrap_interval(errors, np.ones(2000), resamples=4000)
    assert low == pytest.approx(20 - 1.96 * 0.894, abs=0.15)
    assert high == pytest.approx(20 + 1.96 * 0.894, abs=0.15)


def test_the_rate_is_a_ratio_of_sums():
    # A long utterance without error and a short one that is all wrong: resamples are 0, 10 or 100.
    rates = bootstrap_rates([0, 1], [9, 1], resamples=400)
    assert set(rates) == {0, 10, 100}
    assert np.mean(rates == 10) == pytest.approx(0.5, abs=0.1)


def test_seeded_and_paired():
    errors, reference = np.arange(50) % 3, np.full(50, 4)
    one = bootstrap_rates(errors, reference, seed=1)
    assert (one == bootstrap_rates(errors, reference, seed=1)).all()
    assert (one != bootstrap_rates(errors, reference, seed=2)).any()
    # One more error in every utterance is 25 % more in every single resample.
    assert np.allclose(bootstrap_rates(errors + 1, reference, seed=1) - one, 25)


def test_memory_bound_does_not_change_the_number_of_resamples(monkeypatch):
    monkeypatch.setattr("speechllm.score.chance.bootstrap.DRAWS_AT_ONCE", 25)
    assert bootstrap_rates(np.ones(10), np.ones(10), resamples=7).shape == (7,)


def test_where_an_interval_would_mean_nothing():
    assert bootstrap_interval([1], [5]) is None
    assert bootstrap_interval([1, 2], [0, 0]) is None
    assert bootstrap_interval([0, 1], [0, 4]) is not None  # some resamples have no words


def test_speakers_who_differ_widen_the_interval():
    speakers = [f"spk{n // 100:02d}" for n in range(1200)]
    errors = np.array([n // 100 % 2 for n in range(1200)])  # half of the speakers: always wrong
    reference = np.ones(1200)
    narrow = bootstrap_interval(errors, reference)
    blocks = sum_blocks(errors, speakers), sum_blocks(reference, speakers)
    assert list(blocks[0]) == [0, 100] * 6 and list(blocks[1]) == [100] * 12
    wide = bootstrap_interval(*blocks)
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])


def test_many_units_are_drawn_by_kinds_and_spread_as_much(monkeypatch):
    rng = np.random.default_rng(0)
    errors, reference = rng.integers(0, 4, 500), rng.integers(5, 15, 500)
    by_units = bootstrap_rates(errors, reference, resamples=4000)
    monkeypatch.setattr("speechllm.score.chance.bootstrap.MOST_DRAWS", 0)
    by_kinds = bootstrap_rates(errors, reference, resamples=4000)
    assert by_kinds.shape == by_units.shape and (by_kinds != by_units).any()
    assert by_kinds.mean() == pytest.approx(by_units.mean(), rel=0.01)
    assert by_kinds.std() == pytest.approx(by_units.std(), rel=0.05)
    assert (by_kinds == bootstrap_rates(errors, reference, resamples=4000)).all()


def test_draws_that_are_not_kept_are_the_same(monkeypatch):
    columns = np.arange(60.0).reshape(30, 2)
    kept = resampled_totals(columns, 50, seed=1)
    monkeypatch.setattr("speechllm.score.chance.bootstrap.MOST_DRAWS", 0)
    monkeypatch.setattr("speechllm.score.chance.bootstrap.DRAWS_AT_ONCE", 70)
    assert (resampled_totals(columns, 50, seed=1) == kept).all()
