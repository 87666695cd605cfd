import pytest
from torch import nn

from speechllm.config import TrainConfig
from speechllm.train.optim import make_optimizers, rate_scale


def rates(**knobs: object) -> list[float]:
    config = TrainConfig(steps=10, **knobs)
    return [rate_scale(step, config) for step in range(11)]


def test_warm_up_is_linear_and_never_zero() -> None:
    assert rates(warmup_steps=4, schedule="constant")[:6] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_linear_reaches_zero_at_the_last_step() -> None:
    assert rates(warmup_steps=0)[::5] == [1.0, 0.5, 0.0]


def test_cosine() -> None:
    assert rates(warmup_steps=0, schedule="cosine")[::5] == pytest.approx([1.0, 0.5, 0.0])


def test_decay_steps_go_beyond_the_run() -> None:
    """SLAM-ASR decays to zero at step 100,000, long after training ended."""
    assert rates(warmup_steps=0, decay_steps=20)[10] == 0.5


def test_a_run_of_seconds_decays_with_time() -> None:
    config = TrainConfig(seconds=20, warmup_steps=2, schedule="linear")
    scales = [rate_scale(step, config, seconds) for step, seconds in ((0, 0), (5, 5), (9, 20))]
    assert scales == [0.5, 0.75, 0.0]


def test_muon_takes_the_matrices_of_layers_alone() -> None:
    layer = nn.ModuleDict({"linear": nn.Linear(4, 4), "distance_embedding": nn.Embedding(5, 4)})
    model = nn.ModuleDict({"embed": nn.Embedding(3, 4), "layers": nn.ModuleList([layer])})
    llm = nn.ModuleDict({"llm": model})
    adam, muon = make_optimizers(llm, TrainConfig(steps=1, lr=0.1, muon_lr=0.2))
    assert [p.shape for p in muon.param_groups[0]["params"]] == [(4, 4)]
    assert len(adam.param_groups[0]["params"]) == 3
    (alone,) = make_optimizers(llm, TrainConfig(steps=1, lr=0.1))
    assert len(alone.param_groups[0]["params"]) == 4
