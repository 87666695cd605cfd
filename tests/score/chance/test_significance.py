import math

import numpy as np
import pytest

from speechllm.score.chance.significance import (
    holm,
    matched_pairs,
    matched_utterances,
    paired_bootstrap,
    segment_errors,
)
from speechllm.score.count.wer import AlignedUtterance, Counts, WordScore, score_texts
from speechllm.score.normalize.rules import NORMALIZERS


def test_bootstrap_by_hand():
    """Two utterances of 10 words, differences -1 and +2: resamples sum to -2, 1, 1 or 4."""
    paired = paired_bootstrap([0, 2], [1, 0], [10, 10], resamples=20_000)
    assert paired.difference == pytest.approx(5)
    assert paired.improvement == pytest.approx(1 / 4, abs=0.01)
    assert paired.p == pytest.approx(2 * 1 / 4, abs=0.02)
    assert paired.interval == pytest.approx((-10, 20))


def test_bootstrap_of_shares_of_what_is_each_systems_own():
    """As an F1: the system answers little (1 of 2) or much (1 of 8); the baseline 1 of 4."""
    paired = paired_bootstrap([1, 1], [1, 1], [2, 8], resamples=20_000, baseline_reference=[4, 4])
    assert paired.difference == pytest.approx(100 * (2 / 10 - 2 / 8))
    # Resamples give 2/4, 2/10 or 2/16 against 2/8: worse in a quarter of them.
    assert paired.improvement == pytest.approx(3 / 4, abs=0.01)
    assert paired.interval == pytest.approx((-12.5, 25))


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_equal_systems_with_wholes_of_their_own_seldom_seem_to_differ(spread):
    draw = np.random.default_rng(5)
    false = 0
    for trial in range(200):
        both = []
        for _ in range(2):
            whole = 4 + spread * draw.random((1, 150))
            both.append((draw.binomial(4, 0.3, size=(1, 150)) / 4 * whole, whole))
        (one, one_whole), (other, other_whole) = both
        paired = paired_bootstrap(
            one, other, one_whole, 400, seed=trial, baseline_reference=other_whole
        )
        false += paired.p < 0.05
    assert 2 <= false <= 22  # 10 of 200 are due


def test_utterances_as_segments():
    ours, theirs = np.zeros(200), np.zeros(200)
    ours[:20], theirs[10:70] = 1, 1
    from math import erfc, sqrt

    differences = np.array([1] * 10 + [0] * 10 + [-1] * 50)
    z = differences.mean() / (differences.std(ddof=1) / sqrt(70))
    assert matched_utterances(ours, theirs) == pytest.approx(erfc(abs(z) / sqrt(2)))
    assert matched_utterances(ours, ours) == 1.0
    assert matched_utterances([1, 0, 0], [0, 0, 0]) is None  # too few


def test_systems_that_err_alike_do_not_differ():
    same = paired_bootstrap([1, 0, 2], [1, 0, 2], [5, 5, 5])
    assert (same.difference, same.improvement, same.p) == (0, 0, 1)
    assert same.interval == (0, 0)


def test_bootstrap_is_seeded_and_never_quite_certain():
    one = paired_bootstrap(np.zeros(50), np.ones(50), np.full(50, 5), resamples=999)
    assert one == paired_bootstrap(np.zeros(50), np.ones(50), np.full(50, 5), resamples=999)
    assert one.improvement == 1 and one.p == pytest.approx(2 / 1000)


def test_nothing_to_draw_from():
    assert paired_bootstrap([1], [0], [5]) is None
    assert paired_bootstrap([1, 1], [0, 0], [0, 0]) is None


def test_seeds_that_disagree_are_no_proof():
    """Every utterance says yes, but one of the three seeds says no."""
    reference, baseline = np.full(300, 10), np.full(300, 5)
    agree = np.repeat([[4], [4], [4]], 300, axis=1)
    disagree = np.repeat([[2], [3], [7]], 300, axis=1)
    assert paired_bootstrap(agree, baseline, reference).p < 0.001
    assert paired_bootstrap(disagree, baseline, reference).p > 0.1


def run(text: str, reference: str = "a b c d e f g h"):
    return score_texts({"u": reference}, {"u": text}).utterances[0]


def segments(*texts: str) -> list[list[int]]:
    return [part.tolist() for part in segment_errors([run(text) for text in texts])]


def test_segments_by_hand():
    # b wrong in one and g in the other: c d e f are right in both, so two segments.
    assert segments("a x c d e f g h", "a b c d e f y h") == [[1, 0], [0, 1]]
    # d and f wrong: one right word between them does not part them.
    assert segments("a b c x e f g h", "a b c d e y g h") == [[1, 1]]
    # Two right words part, but not with an insertion between them.
    assert segments("a b x d e y g h", "a b c d e f g h") == [[1, 0], [1, 0]]
    assert segments("a b x d oh e y g h", "a b c d e f g h") == [[3, 0]]
    # Insertions at either end belong to their neighbours; a deletion stands where its word was.
    assert segments("oh a b c d e f g h oh", "a b c d e f g") == [[1, 0], [1, 1]]
    assert segments("a b c d e f g h", "a b c d e f g h") == []
    assert [p.tolist() for p in segment_errors([run("x", ""), run("", "")])] == [[1, 0]]


def test_segments_of_several_runs_need_all_of_them_right():
    texts = ["a b x d e f g h", "a b c d e f g h", "a b c d y f g h"]
    assert segments(*texts[:2]) == [[1, 0]]
    assert segments(*texts) == [[1, 0, 1]]


def scores(hypotheses: list[str], reference: str = "a b c d"):
    references = {f"u{i:04d}": reference for i in range(len(hypotheses))}
    return [score_texts(references, dict(zip(references, hypotheses, strict=True)))]


def test_matched_pairs_by_hand():
    """40 segments, 25 won, 10 lost, 5 level: the mean difference is -15 / 40."""
    right, wrong = "a b c d", "x b c d"
    ours = scores([right] * 25 + [wrong] * 15)
    theirs = scores([wrong] * 25 + [right] * 10 + [wrong] * 5)
    differences = np.array([-1] * 25 + [1] * 10 + [0] * 5)
    z = differences.mean() / (differences.std(ddof=1) / math.sqrt(40))
    assert z == pytest.approx(-2.7328, abs=0.0001)
    assert matched_pairs(ours, theirs) == pytest.approx(0.00628, abs=1e-5)  # a table of the normal
    assert matched_pairs(theirs, ours) == matched_pairs(ours, theirs)


def test_matched_pairs_at_its_ends():
    right, wrong = "a b c d", "x b c d"
    assert matched_pairs(scores([wrong] * 9), scores([wrong] * 9)) == 1
    assert matched_pairs(scores([right] * 9), scores([right] * 9)) == 1
    assert matched_pairs(scores([right] * 9), scores([wrong] * 9)) is None  # too few
    assert matched_pairs(scores([right] * 40), scores([wrong] * 40)) == 0


def test_matched_pairs_takes_the_mean_over_seeds():
    right, wrong = "a b c d", "x b c d"
    ours = scores([right] * 20 + [wrong] * 20) + scores([wrong] * 20 + [right] * 20)
    assert matched_pairs(ours, scores([wrong] * 40)) == 0  # half an error less in each segment
    assert matched_pairs(ours, ours[::-1]) == 1


def false_alarms(test, trials: int = 400) -> float:
    """Share of p < 0.05 for two systems that are equally good."""
    draw = np.random.default_rng(1)
    found = 0
    for _ in range(trials):
        hard = draw.beta(1, 3, size=200)  # utterances differ, the systems do not
        ours, theirs = draw.binomial(8, hard, size=(2, 200))
        found += test(ours, theirs) < 0.05
    return found / trials


def test_false_alarms_of_the_bootstrap_are_near_nominal():
    reference = np.full(200, 8)
    rate = false_alarms(lambda a, b: paired_bootstrap(a, b, reference, resamples=500).p)
    assert 0.02 < rate < 0.085


def test_false_alarms_of_matched_pairs_are_near_nominal():
    def score(errors) -> list[WordScore]:
        return [WordScore(NORMALIZERS["plain"], tuple(aligned(n) for n in errors.tolist()), ())]

    def aligned(wrong: int) -> AlignedUtterance:
        pairs = (("a", "x"),) * wrong + (("a", "a"),) * (8 - wrong)
        return AlignedUtterance("u", pairs, Counts(8 - wrong, wrong), Counts())

    rate = false_alarms(lambda ours, theirs: matched_pairs(score(ours), score(theirs)), 200)
    assert 0.02 < rate < 0.095


def test_seeds_that_differ_raise_few_false_alarms():
    """Where seeds matter most, a test over utterances alone is mostly wrong."""
    draw = np.random.default_rng(2)
    reference = np.full(100, 20)
    both = {"seeds": 0, "utterances": 0}
    for _ in range(200):
        level = np.clip(draw.normal(0.4, 0.05, size=(2, 3, 1)), 0, 1)
        ours, theirs = draw.binomial(20, level, size=(2, 3, 100))
        both["seeds"] += paired_bootstrap(ours, theirs, reference, 400).p < 0.05
        alone = paired_bootstrap(ours.mean(axis=0), theirs.mean(axis=0), reference, 400)
        both["utterances"] += alone.p < 0.05
    assert both["seeds"] / 200 < 0.2 and both["utterances"] / 200 > 0.5


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []
