import math
from types import SimpleNamespace

import pytest

from speechllm.adapt.methods.adaptive import Adaptive, ShareController, with_floor
from speechllm.errors import ConfigError

METHOD = Adaptive(method="adaptive", train={"steps": 1})
START = [0.25, 0.25, 0.25, 0.25]


def controller(floor: float = 0.0) -> ShareController:
    components = METHOD.components({"source": 10, "target": 10})
    mixture = SimpleNamespace(components=components, shares=list(START))
    return ShareController(mixture, rate=0.5, floor=floor, source_margin=0.1)


def signals(
    target: float, target_text: float, source: float, source_text: float
) -> dict[str, dict[str, float]]:
    names = ("target", "target/noisy_text", "source", "source/noisy_text")
    losses = (target, target_text, source, source_text)
    return {name: {"loss": loss} for name, loss in zip(names, losses, strict=True)}


def test_shares_move_to_the_views_whose_held_out_loss_falls() -> None:
    moving = controller()
    assert moving.observe(0, signals(1.0, 1.0, 1.0, 1.0)) is None
    assert moving.observe(10, signals(0.8, 1.0, 1.0, 1.1))
    weights = [math.exp(0.5), 1.0, 1.0, math.exp(-0.25)]
    assert moving.mixture.shares == pytest.approx([w / sum(weights) for w in weights])


def test_the_source_is_brought_back_when_it_has_suffered() -> None:
    moving = controller()
    moving.observe(0, signals(1.0, 1.0, 0.5, 1.0))
    moving.observe(10, signals(0.5, 0.5, 0.56, 1.0))
    assert moving.mixture.shares == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])


def test_shares_stay_when_nothing_changes() -> None:
    moving = controller()
    for step in range(3):
        moving.observe(step, signals(1.0, 1.0, 1.0, 1.0))
    assert moving.mixture.shares == pytest.approx(START)


def test_no_share_falls_below_the_floor() -> None:
    assert with_floor([1.0, 0.0, 0.0], 0.1) == pytest.approx([0.8, 0.1, 0.1])
    moving = controller(floor=0.05)
    for step in range(20):
        moving.observe(step, signals(0.9**step, 1.0, 1.0, 1.0))
    assert min(moving.mixture.shares) >= 0.05
    assert sum(moving.mixture.shares) == pytest.approx(1.0)


def test_a_resumed_controller_goes_on_as_if_never_stopped() -> None:
    one, other = controller(), controller()
    one.observe(0, signals(1.0, 1.0, 1.0, 1.0))
    one.observe(1, signals(0.9, 1.0, 1.0, 1.0))
    other.restore(one.state())
    one.observe(2, signals(0.9, 0.8, 1.0, 1.0))
    other.observe(2, signals(0.9, 0.8, 1.0, 1.0))
    assert one.mixture.shares == other.mixture.shares


def test_target_text_can_be_shown_as_simulated_speech() -> None:
    spoken = Adaptive(method="adaptive", train={"steps": 1}, simulated={"accents": ["en-us"]})
    parts = spoken.components({"source": 10, "target": 10})
    assert [(c.view, c.domain) for c in parts] == [
        ("audio", "target"),
        ("pseudo_audio", "simulated"),
        ("audio", "source"),
        ("noisy_text", "source"),
    ]
    assert spoken.phases({"source": 10, "target": 10})[0].held_out == (("source", "noisy_text"),)


def test_simulated_speech_is_judged_by_real_target_speech() -> None:
    spoken = Adaptive(method="adaptive", train={"steps": 1}, simulated={"accents": ["en-us"]})
    mixture = SimpleNamespace(components=spoken.components({}), shares=list(START))
    moving = ShareController(mixture, rate=0.5, floor=0.0, source_margin=0.1)
    losses = {"target": 1.0, "source": 1.0, "source/noisy_text": 1.0}
    moving.observe(0, {name: {"loss": loss} for name, loss in losses.items()})
    moving.observe(10, {name: {"loss": loss} for name, loss in (losses | {"target": 0.8}).items()})
    audio, simulated, *rest = moving.mixture.shares
    assert audio == simulated > max(rest)


def test_the_monitor_keeps_within_the_methods_margin() -> None:
    (phase,) = METHOD.phases({"source": 10, "target": 10})
    assert phase.monitor.source_margin == METHOD.source_margin == 0.5
    with pytest.raises(ValueError, match="give source_margin of the method"):
        Adaptive(method="adaptive", train={"steps": 1}, monitor={"source_margin": 0.1})


def test_a_dev_set_that_is_not_there_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match="no dev set is for target, target/noisy_text"):
        controller().observe(0, {"source": {"loss": 1.0}, "source/noisy_text": {"loss": 1.0}})
