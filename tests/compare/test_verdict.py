from speechllm.compare.results import read_results
from speechllm.compare.verdict import verdicts
from tests.helpers.fake_grid import dropping


def lines(fake) -> tuple[str, str]:
    (verdict,) = verdicts(read_results(fake.cells, fake.data))
    return verdict.lines


def test_order_neighbours_and_equals(whole):
    order, published = lines(whole)
    assert order.startswith("**farm**: WER from the lowest: `audio` 0.00 < `mixed_batching_p20` ")
    assert "< `base` = `text_only` " in order
    assert (
        "differ significantly: `audio` and `mixed_batching_p20` (p <0.001), "
        "`mixed_batching_p20` and `denoise` (p <0.001), `denoise` and `base` (p <0.001)." in order
    )
    assert "The very same hypotheses, hence no order: `base` = `text_only`." in order
    assert "by chance" not in order and "shuffled" not in order
    assert published.startswith(
        "**farm, published order**: `base` > `text_only` > `denoise` > `mixed_batching_p20` > "
        "`audio` holds only in part."
    )
    assert "May be chance: `base` to `text_only` (the very same hypotheses)." in published
    assert published.endswith("Not in the grid or not finished: soft prompt.")


def test_the_published_order_holds(fake):
    fake.add("base", dropping(3), seed=42)
    fake.add_seeds("text_only", [dropping(2)] * 3)
    fake.add_seeds("audio", [dropping(1)] * 3)
    assert "`base` > `text_only` > `audio` holds. Significantly better, as" in lines(fake)[1]


def test_the_published_order_does_not_hold(fake):
    fake.add("base", dropping(2), seed=42)
    fake.add_seeds("text_only", [dropping(3)] * 3)
    fake.add_seeds("audio", [dropping(1)] * 3)
    published = lines(fake)[1]
    assert "`base` > `text_only` > `audio` does not hold." in published
    assert "Significantly worse, against it: `base` to `text_only` (+" in published


def test_what_may_be_chance_is_said_to_be(fake):
    fake.add("base", 0.30, seed=42)
    fake.add_seeds("text_only", [0.31, 0.30, 0.29])
    order, published = lines(fake)
    assert order.endswith("All neighbours may stand in this order by chance.")
    assert "is neither confirmed nor refuted" in published


def test_the_arm_that_stands_for_a_method(fake):
    fake.add("base", dropping(4), seed=42)
    for share in (0.01, 0.2, 1.0):
        fake.add("mixed_batching", dropping(1), fraction=share, hours=share)
        fake.add("audio", dropping(1), fraction=share, hours=share)
    fake.add("half", dropping(1), fraction=0.5, hours=0.5, method="mixed_batching")
    assert "`base` > `mixed_batching_p20` > `audio_p100`" in lines(fake)[1]


def test_the_same_wer_by_different_errors_is_no_order(fake):
    def first(said: str) -> str:
        return " ".join(said.split()[1:])

    fake.add("base", dropping(1), seed=42)
    fake.add("denoise", first)
    order, _ = lines(fake)
    assert "`base` 10." in order or "`denoise` 10." in order
    assert " = `" in order and " < " not in order and "very same" not in order


def test_too_few_methods(fake):
    fake.add("denoise", dropping(1))
    order, published = lines(fake)
    assert order.endswith(".") and "cannot be checked" in published
