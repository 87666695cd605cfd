import numpy as np
import pytest
import torch

from speechllm.config import MonitorConfig, parse
from speechllm.decode.monitor_decode import BRIEF, DevError
from speechllm.decode.search.search import token_bound
from speechllm.errors import ConfigError
from speechllm.model.speech_llm import TokenLoss
from speechllm.slot.collate import Batch, Example
from speechllm.task import load_task
from speechllm.train.monitor import Monitor


def monitor(**config: object) -> Monitor:
    return Monitor(parse(MonitorConfig, config, "test"), {"source": [], "target": []})


def reactions(m: Monitor, values: list[float]) -> list[list[str]]:
    return [m.react(step * m.config.every, value) for step, value in enumerate(values)]


def test_keep_best() -> None:
    m = monitor(every=10)
    assert reactions(m, [3.0, 2.0, 2.5, 1.9]) == [["best"], ["best"], [], ["best"]]
    assert m.best_step == 30


def test_accuracy_is_better_when_higher() -> None:
    assert reactions(monitor(signal="token_accuracy"), [0.5, 0.6, 0.4]) == [["best"], ["best"], []]


def test_stop_after_patience() -> None:
    m = monitor(stop={"patience": 2})
    assert reactions(m, [1.0, 1.1, 0.9, 1.0, 1.0]) == [["best"], [], ["best"], [], ["stop"]]


def test_lower_lr() -> None:
    m = monitor(lower_lr={"factor": 0.5, "patience": 2})
    assert reactions(m, [1, 2, 2, 2, 2])[1:] == [[], ["lower_lr"], [], ["lower_lr"]]
    assert m.lr_scale == 0.25


def test_rollback_when_much_worse_than_best() -> None:
    m = monitor(rollback={"margin": 0.5}, keep_best=False)
    assert reactions(m, [1.0, 1.4, 1.6]) == [["best"], [], ["rollback"]]
    assert m.needs_best


def test_nan_is_the_worst() -> None:
    m = monitor(stop={"patience": 1})
    assert reactions(m, [1.0, float("nan")]) == [["best"], ["stop"]]


def test_state_goes_on() -> None:
    first = monitor(stop={"patience": 3})
    reactions(first, [1.0, 2.0, 2.0])
    second = monitor(stop={"patience": 3})
    second.restore(first.state())
    assert second.react(30, 2.0) == ["stop"]


def test_what_is_watched_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"monitor\.watch"):
        Monitor(MonitorConfig(watch="target"), {"source": []})
    with pytest.raises(ConfigError, match=r"monitor\.decode"):
        monitor(signal="error")


class Losses(torch.nn.Module):
    """A model whose loss on a batch is the batch."""

    def forward(self, batch: float) -> TokenLoss:
        return TokenLoss(torch.tensor(batch), 1, torch.tensor(0))


def test_nothing_is_best_that_costs_the_source_too_much() -> None:
    m = Monitor(MonitorConfig(watch="target", source_margin=0.5), {"source": [], "target": []})
    actions = []
    for step, (source, target) in enumerate([(1.0, 9.0), (1.6, 5.0), (1.5, 6.0), (2.0, 1.0)]):
        m.dev = {"source": [source], "target": [target]}
        actions.append(m.observe(step, Losses())[1])
    assert actions == [["best"], [], ["best"], []]
    again = Monitor(m.config, m.dev)
    again.restore(m.state())
    assert again.source_bound == 1.5


def test_a_margin_for_the_source_needs_source_speech() -> None:
    with pytest.raises(ConfigError, match=r"monitor\.source_margin"):
        Monitor(MonitorConfig(watch="target", source_margin=0.5), {"target": []})


def test_a_model_that_learnt_nothing_yet_answers_briefly() -> None:
    """Before the first step alone."""
    speech = Batch([Example("u", "audio", np.ones((1, 1), np.float16))], *[None] * 6)
    called = []
    m = Monitor(
        MonitorConfig(decode=True),
        {"source": [speech]},
        lambda model, batches: called.append("later") or {},
        lambda model, batches: called.append("first") or {},
    )

    class Model(torch.nn.Module):
        def forward(self, batch: Batch) -> TokenLoss:
            return TokenLoss(torch.ones(()), 1, torch.ones(()))

    for step in (0, 100, 200):
        m.observe(step, Model())
    assert called == ["first", "later", "later"]
    task = load_task("asr")
    assert token_bound(30.0, DevError(task, {}, {}, is_brief=True).config) == BRIEF
    assert token_bound(30.0, DevError(task, {}, {}).config) > 100
