import json
from types import SimpleNamespace

import pytest

from speechllm.adapt.losses.easy_to_hard import EasyToHard
from speechllm.slot.mixture import Component, plan_epoch

TEXT = [(f"t{n}", 10) for n in range(10)]
SPEECH = [(f"s{n}", 20) for n in range(4)]
DIFFICULTY = {f"t{n}": 100.0 - 10 * (n // 2) for n in range(10)}  # t8 and t9 are the easiest


def curriculum(**knobs: object) -> tuple[EasyToHard, SimpleNamespace]:
    components = [Component("empty", "target", 0.75), Component("audio", "source", 0.25)]
    mixture = SimpleNamespace(components=components, pools=[list(TEXT), list(SPEECH)])
    settings = {"start": 0.3, "step": 0.4, "margin": 0.1, "watch": "source", "signal": "error"}
    return EasyToHard(mixture, DIFFICULTY, **{**settings, **knobs}), mixture


def signals(wer: float) -> dict[str, dict[str, float]]:
    return {"source": {"error": wer, "token_accuracy": -wer}, "target": {"error": 0.0}}


def ids(mixture: SimpleNamespace) -> list[str]:
    return [utt for utt, _ in mixture.pools[0]]


def test_it_begins_with_the_easiest_text_and_leaves_speech_alone() -> None:
    _, mixture = curriculum()
    assert ids(mixture) == ["t6", "t8", "t9"]  # t6 and t7 are equally hard
    assert mixture.pools[1] == SPEECH


@pytest.mark.parametrize("signal", ["error", "token_accuracy"])
def test_it_grows_while_the_signal_is_not_worse(signal: str) -> None:
    """The first evaluation is the mark; 0.2 -> 0.22 is within 10 %, 0.22 -> 0.25 is not."""
    controller, mixture = curriculum(signal=signal)
    assert controller.observe(0, signals(0.2)) is None
    assert controller.observe(10, signals(0.219)) == "easiest=0.70"
    assert ids(mixture) == ["t2", "t4", "t5", "t6", "t7", "t8", "t9"]
    assert controller.observe(20, signals(0.25)) is None
    assert controller.observe(30, signals(float("nan"))) is None
    assert controller.observe(40, signals(0.25)) is None
    assert controller.observe(50, signals(0.25)) == "easiest=1.00"
    assert mixture.pools[0] == TEXT
    assert controller.observe(60, signals(0.1)) is None


def test_a_share_of_less_than_one_utterance_is_one() -> None:
    assert len(ids(curriculum(start=0.01)[1])) == 1


def test_a_restored_curriculum_plans_the_same_batches() -> None:
    one, seen = curriculum(step=0.1)
    for step, wer in enumerate([0.3, 0.3, 0.5, 0.4]):
        one.observe(step, signals(wer))
    other, mixture = curriculum(step=0.1)
    other.restore(json.loads(json.dumps(one.state())))
    assert mixture.pools == seen.pools and len(ids(mixture)) == 5
    plans = [
        plan_epoch(
            m.pools,
            [0.75, 0.25],
            seed=1,
            epoch=3,
            batch_positions=100,
            epoch_items=12,
        )
        for m in (seen, mixture)
    ]
    assert plans[0] == plans[1]
    later = [c.observe(9, signals(0.41)) for c in (one, other)]
    assert later == ["easiest=0.60"] * 2
