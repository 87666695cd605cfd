"""Training figures in TensorBoard by default, and in W&B where the environment asks for it."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import yaml

from speechllm.errors import SpeechLLMError
from speechllm.train.metrics import MetricLog


class FakeWandb(SimpleNamespace):
    """Notes what it is asked for, as the real one would take it."""

    def __init__(self):
        super().__init__(inits=[], logged=[], finished=0, steps=[])
        self.__spec__ = importlib.util.spec_from_loader("wandb", loader=None)

    def init(self, **settings):
        self.inits.append(settings)
        return self

    def define_metric(self, name, step_metric):
        self.steps.append((name, step_metric))

    def log(self, record):
        self.logged.append(record)

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def train(folder, *steps, first=0):
    metrics = MetricLog(folder, first)
    for step in steps:
        metrics.write(step, loss=1.0 / step, dev={"source": {"loss": 2.0}}, note="text")
    metrics.close()


def test_tensorboard_is_on_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, 1, 2)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    assert events.Tags()["scalars"] == ["loss", "dev/source/loss"]


def test_wandb_is_off_by_default(tmp_path, wandb, monkeypatch):
    monkeypatch.delenv("SPEECHLLM_WANDB", raising=False)
    train(tmp_path, 1)
    assert wandb.inits == []
    assert not (tmp_path / "wandb.id").exists()


def test_wandb_gets_every_number_and_goes_on_in_one_run(tmp_path, wandb, monkeypatch):
    monkeypatch.setenv("SPEECHLLM_WANDB", "domains")
    folder = tmp_path / "base/denoise_farm"
    folder.mkdir(parents=True)
    content = {"config": {"train": {"seed": 1}}, "inputs": {"train": ["/home/me/data"]}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    train(folder, 1, 2)
    train(folder, 2, first=1)  # resumed from an older checkpoint
    first, second = wandb.inits
    assert (first["project"], first["name"]) == ("domains", "base/denoise_farm")
    assert first["config"] == {"train": {"seed": 1}}
    assert first["id"] == second["id"] and second["resume"] == "allow"
    assert wandb.steps[0] == ("*", "step")
    assert wandb.logged[0] == {"step": 1, "loss": 1.0, "dev/source/loss": 2.0}
    assert [record["step"] for record in wandb.logged] == [1, 2, 2]
    assert wandb.finished == 2


def test_other_ranks_start_nothing(tmp_path, wandb, monkeypatch):
    monkeypatch.setenv("SPEECHLLM_WANDB", "domains")
    MetricLog(tmp_path, active=False).close()
    assert wandb.inits == []


def test_wandb_asked_for_and_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHLLM_WANDB", "domains")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SpeechLLMError, match=r"wandb is not installed\n.*pip install"):
        MetricLog(tmp_path)
