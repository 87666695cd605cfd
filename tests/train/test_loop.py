"""The loop on a model of one weight, where every number can be computed by hand."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from speechllm.config import MonitorConfig, TrainConfig
from speechllm.errors import DataError, SpeechLLMError, Unfinished, lost_process
from speechllm.files.signals import Stopped
from speechllm.model.compute import precision
from speechllm.model.speech_llm import TokenLoss
from speechllm.slot.mixture import Item, Plan
from speechllm.train import loop
from speechllm.train.checkpoint import load_checkpoint
from speechllm.train.distributed import World, join_world
from speechllm.train.loop import CHECKPOINT, Trainer
from speechllm.train.monitor import Monitor
from speechllm.train.optim import make_optimizers


class Line(nn.Module):
    """Loss = sum of (weight - target)^2; one token for each item."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.frozen = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, batch: SimpleNamespace) -> TokenLoss:
        loss = ((self.weight - batch.targets) ** 2).sum()
        return TokenLoss(loss, len(batch.targets), torch.tensor(0))


class Targets(SimpleNamespace):
    def to(self, device: str) -> "Targets":
        return self


ITEMS = [Item(i % 2, f"u{i}", i) for i in range(8)]
PLAN = Plan([ITEMS[:3], ITEMS[3:4], ITEMS[4:6], ITEMS[6:]])


def trainer(folder: Path, world: World | None = None, monitor=None, **config: object) -> Trainer:
    world = world or World()
    settings = {"steps": 4, "lr": 0.1, "warmup_steps": 0, "precision": "fp32", "log_every": 1}
    folder.mkdir(parents=True, exist_ok=True)
    return Trainer(
        Line(),
        lambda epoch: PLAN,
        lambda items, epoch: Targets(targets=torch.tensor([float(i.length) for i in items])),
        TrainConfig(**{**settings, **config}).among(world.size),
        folder,
        monitor,
        world,
    )


def test_loss_is_the_mean_over_tokens(tmp_path: Path) -> None:
    trainer(tmp_path, steps=2).train()
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert lines[0]["train"]["loss"] == pytest.approx((0 + 1 + 4) / 3)
    assert lines[0]["gradient_norm"] == pytest.approx(2)  # mean of -2 * target
    assert lines[0]["lr"] == 0.1


def test_accumulation_equals_one_large_batch(tmp_path: Path) -> None:
    """Two batches of unlike size, weighted by their tokens and not by two halves."""
    t = trainer(tmp_path, steps=1, accumulate=2)
    t.train()
    line = json.loads((tmp_path / "train.jsonl").read_text())
    assert line["train"]["loss"] == pytest.approx((0 + 1 + 4 + 9) / 4)
    assert line["gradient_norm"] == pytest.approx(2 * 6 / 4)


def test_epochs_follow_each_other_and_items_are_counted(tmp_path: Path) -> None:
    position = trainer(tmp_path, steps=6).train()
    assert (position.step, position.epoch, position.batch) == (6, 1, 2)
    assert position.seen == {"0": 4 + 2, "1": 4 + 2}


def test_parts_of_the_loss_are_logged_per_token_of_all_batches(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=1, accumulate=2)
    score = t.model
    t.objective = lambda batch: replace(
        score(batch), parts={"largest": len(batch.targets) * batch.targets.max()}
    )
    t.train()
    line = json.loads((tmp_path / "train.jsonl").read_text())
    assert line["train"]["largest"] == pytest.approx((3 * 2 + 1 * 3) / 4)


def test_a_batch_may_have_nothing_to_learn(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=2)
    zero = torch.zeros(())
    scores = iter([TokenLoss(zero, 0, zero), t.model(Targets(targets=torch.ones(1)))])
    t.objective = lambda batch: next(scores)
    t.train()
    assert t.model.weight.item() > 0
    line = json.loads((tmp_path / "train.jsonl").read_text().splitlines()[0])
    assert line["train"]["loss"] == 0


def nothing(batch: object) -> TokenLoss:
    return TokenLoss(torch.ones(()), 1, torch.zeros(()))


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"steps": 9}, 4),
        ({"steps": 9, "accumulate": 3}, 2),
        ({"steps": 2}, 3),
        ({"steps": None, "seconds": 9}, 5),
    ],
)
def test_to_train_nothing_is_refused(tmp_path: Path, settings, most) -> None:
    """As of a projector that is trained behind text, which does not go through it."""
    t = trainer(tmp_path, **settings)
    t.objective = nothing
    with pytest.raises(SpeechLLMError, match="no trained weight had a part"):
        t.train()
    assert t.position.step < most


def test_to_train_nothing_is_refused_again_when_it_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        t = trainer(tmp_path, steps=9, checkpoint_every=1)
        t.objective = nothing
        with pytest.raises(SpeechLLMError, match="no trained weight had a part"):
            t.train()
        assert (tmp_path / CHECKPOINT).is_file()


def test_only_trained_parameters_move(tmp_path: Path) -> None:
    t = trainer(tmp_path)
    t.train()
    assert t.model.weight != 0 and t.model.frozen == 1


def logged(folder: Path) -> list[dict[str, float]]:
    """Figures of training in a folder's log."""
    lines = (folder / "train.jsonl").read_text().splitlines()
    return [json.loads(line)["train"] for line in lines]


def test_resume_is_bit_equal_from_any_step(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", steps=7)
    whole.train()
    for killed_at in range(1, 7):
        folder = tmp_path / f"killed{killed_at}"
        trainer(folder, steps=killed_at, decay_steps=7, checkpoint_every=killed_at).train()
        resumed = trainer(folder, steps=7)
        resumed.train()
        assert torch.equal(resumed.model.weight, whole.model.weight), killed_at
        assert logged(folder) == logged(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_saves_the_step_and_the_run_goes_on_bit_equal(tmp_path: Path, number) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a script's background
    whole = trainer(tmp_path / "whole", steps=11)
    whole.train()
    part = trainer(tmp_path / "cut", steps=11, checkpoint_every=100)
    forward, calls = part.objective, itertools.count()

    def signalled(batch):
        if next(calls) == 6:
            signal.raise_signal(number)
        return forward(batch)

    part.objective = signalled
    with pytest.raises(Stopped) as stopped:
        part.train()
    assert stopped.value.number == number and part.position.step == 7
    rest = trainer(tmp_path / "cut", steps=11, checkpoint_every=100)
    rest.train()
    assert torch.equal(rest.model.weight, whole.model.weight)
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")


def rolling_back() -> Monitor:
    """Dev wants 0 and training pulls away, so each evaluation goes back to the first weights."""
    config = MonitorConfig(every=2, rollback={"margin": 0.1})
    return Monitor(config, {"source": [Targets(targets=torch.zeros(1))]})


def signalled_at(t: Trainer, number: int, step: int) -> Trainer:
    """Let a signal come to the process while it evaluates after `step` steps."""
    observe = t.monitor.observe

    def signalled(done: int, *rest):
        if done == step:
            signal.raise_signal(number)
        return observe(done, *rest)

    t.monitor.observe = signalled
    return t


def evaluations(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "train.jsonl").open()]
    return [line for line in lines if "dev" in line]


def test_a_signal_in_the_last_evaluation_loses_no_step(tmp_path: Path) -> None:
    """It is not done again, as weights may have been rolled back."""
    whole = trainer(tmp_path / "whole", monitor=rolling_back())
    whole.train()
    cut = signalled_at(trainer(tmp_path / "cut", monitor=rolling_back()), signal.SIGTERM, 4)
    with pytest.raises(Stopped):
        cut.train()
    rest = trainer(tmp_path / "cut", monitor=rolling_back())
    rest._step = None
    rest.train()
    assert torch.equal(rest.model.weight, whole.model.weight)
    assert evaluations(tmp_path / "cut") == evaluations(tmp_path / "whole")
    assert rest.monitor.state() == whole.monitor.state()


def test_best_weights_are_kept_and_rolled_back_to(tmp_path: Path) -> None:
    """Dev wants 0, training pulls away: the first weights are best, and come back."""
    dev = {"source": [Targets(targets=torch.zeros(1))]}
    config = MonitorConfig(every=2, rollback={"margin": 0.1})
    t = trainer(tmp_path, monitor=Monitor(config, dev))
    t.train()
    assert t.model.weight == 0 and t.monitor.best_step == 0
    actions = [json.loads(x).get("actions") for x in (tmp_path / "train.jsonl").open()]
    assert ["best"] in actions and ["rollback"] in actions


def test_the_monitor_stops_a_run(tmp_path: Path) -> None:
    dev = {"source": [Targets(targets=torch.zeros(1))]}
    monitor = Monitor(MonitorConfig(every=1, stop={"patience": 2}), dev)
    assert trainer(tmp_path, steps=100, monitor=monitor).train().step == 2


def test_a_run_of_seconds_ends_at_the_first_step_beyond(tmp_path: Path, monkeypatch) -> None:
    """The clock ticks 1.5 s at each look; the weights of the last step are evaluated too."""
    ticks = itertools.count(100, 1.5)
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr("speechllm.train.loop.time", clock)
    monitor = Monitor(MonitorConfig(every=100), {"source": [Targets(targets=torch.ones(1))]})
    position = trainer(tmp_path, steps=None, seconds=4, monitor=monitor).train()
    assert (position.step, position.seconds) == (3, 4.5)
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "dev" in x] == [0, 3]


def test_what_comes_before_the_first_step_takes_none_of_the_time(tmp_path, monkeypatch) -> None:
    """The evaluation before training takes 1000 s, later ones and steps none of this clock."""
    now = [5.0]
    monkeypatch.setattr("speechllm.train.loop.time", SimpleNamespace(monotonic=lambda: now[0]))
    monitor = Monitor(MonitorConfig(every=100), {"source": [Targets(targets=torch.ones(1))]})
    observe = monitor.observe

    def slowly(step: int, model: nn.Module, agree):
        now[0] += 1000
        return observe(step, model, agree)

    monkeypatch.setattr(monitor, "observe", slowly)
    assert trainer(tmp_path, steps=3, monitor=monitor).train().seconds == 0


def test_a_loss_that_is_not_finite_names_the_option(tmp_path: Path) -> None:
    t = trainer(tmp_path)
    t.model.weight.data.fill_(float("nan"))
    with pytest.raises(SpeechLLMError, match=r"train\.lr"):
        t.train()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=2, checkpoint_every=1)
    t.train()
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not a checkpoint"):
        load_checkpoint(tmp_path / CHECKPOINT, t.model, t.optimizers)


def test_a_flipped_bit_of_a_checkpoint_is_found_and_changes_no_weight(tmp_path: Path) -> None:
    trainer(tmp_path, steps=2, decay_steps=4, checkpoint_every=1).train()
    path = tmp_path / CHECKPOINT
    content, found = path.read_bytes(), 0
    whole = load_checkpoint(path, *fresh(tmp_path))
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            assert load_checkpoint(path, *fresh(tmp_path)) == whole  # blanks behind the header
        except DataError as error:
            assert error.remedy == f"rm {path}: training begins anew"
            found += 1
    assert found > len(content) / 3 * 0.9


def fresh(folder: Path) -> tuple[nn.Module, Sequence[torch.optim.Optimizer]]:
    """A model and its optimisers, as they are before training."""
    t = trainer(folder)
    return t.model, t.optimizers


def test_damaged_best_weights_are_not_taken(tmp_path: Path) -> None:
    def watched(steps: int) -> Trainer:
        dev = {"source": [Targets(targets=torch.zeros(1))]}
        return trainer(
            tmp_path, monitor=Monitor(MonitorConfig(every=1), dev), steps=steps, checkpoint_every=1
        )

    watched(2).train()
    best = tmp_path / "best.0.safetensors"
    content = bytearray(best.read_bytes())
    content[-1] ^= 1
    best.write_bytes(content)
    with pytest.raises(DataError, match=r"best\.0\.safetensors: is not what was written") as caught:
        watched(4).train()
    assert caught.value.remedy == f"rm -r {tmp_path}, then run the stage that makes it again"
    shutil.rmtree(tmp_path)
    t = watched(4)
    t.train()
    assert t.model.weight == 0


def test_a_run_does_not_change_its_precision_on_another_machine(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)
    trainer(tmp_path, steps=2, precision="auto", checkpoint_every=1).train()
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: False)
    with pytest.raises(SpeechLLMError, match="written in bf16, and auto means fp32 here"):
        trainer(tmp_path, steps=3, precision="auto").train()


def with_resting_weight(t: Trainer) -> Trainer:
    """Train a second weight too, which every other step does not use."""
    t.model.frozen.requires_grad_(True)
    t.parameters = list(t.model.parameters())
    t.optimizers = make_optimizers(t.model, t.config)
    t._rates = [t.config.lr]

    def objective(batch: Targets) -> TokenLoss:
        score = t.model(batch)
        if batch.targets.min() < 3:
            score = replace(score, nll=score.nll + t.model.frozen**2)
        return score

    t.objective = objective
    return t


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """The weight of each of two processes after training, by what the second one does."""
    out = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", __file__, str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    subprocess.run(command, check=True, env=environment, timeout=300)
    return {
        kind: [float((out / f"{kind}.{rank}").read_text()) for rank in (0, 1)]
        for kind in ("busy", "idle", "resting", "lost", "told", "told last")
    }


def test_two_processes_train_as_one(two_ranks: dict[str, list[float]], tmp_path: Path) -> None:
    """Two gloo ranks see together what one process sees with two accumulated batches."""
    alone = trainer(tmp_path, steps=4, accumulate=2)
    alone.train()
    weights = two_ranks["busy"]
    assert weights[0] == weights[1] == pytest.approx(float(alone.model.weight.detach()))


def test_a_rank_may_lack_what_others_learn_from(two_ranks: dict[str, list[float]]) -> None:
    """The second rank's batches do not use the weight, so the first one's gradient counts."""
    assert two_ranks["idle"][0] == two_ranks["idle"][1] > 0


def test_a_weight_without_gradient_rests_as_in_one_process(
    two_ranks: dict[str, list[float]], tmp_path: Path
) -> None:
    """Momentum and decay would move it in steps that do not use it, such as of text alone."""
    alone = with_resting_weight(trainer(tmp_path, steps=4, accumulate=2, weight_decay=0.5))
    alone.train()
    weights = two_ranks["resting"]
    assert weights[0] == weights[1] == pytest.approx(float(alone.model.frozen.detach()))


def test_all_ranks_stop_by_the_signal_that_one_has_caught(
    two_ranks: dict[str, list[float]],
) -> None:
    assert two_ranks["told"] == two_ranks["told last"] == [signal.SIGUSR1] * 2


def test_a_rank_notices_that_another_one_has_gone(two_ranks: dict[str, list[float]]) -> None:
    """The second one raised an error after its first step; the first one's error says so."""
    assert two_ranks["lost"] == [True, False]


def test_a_run_stops_in_good_order_when_its_time_is_over(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", steps=5, checkpoint_every=100).train()
    for done in range(1, 5):
        with pytest.raises(Unfinished, match=f"stopped after {done} of 5 steps") as caught:
            trainer(tmp_path / "cut", World(deadline=0.0), steps=5, checkpoint_every=100).train()
        assert caught.value.remedy == "give the same command again: it goes on from here"
    resumed = trainer(tmp_path / "cut", World(deadline=0.0), steps=5, checkpoint_every=100)
    assert resumed.train().step == 5  # the last step ends the run, whatever the time
    logs = [
        [json.loads(line)["train"] for line in (tmp_path / name / "train.jsonl").open()]
        for name in ("whole", "cut")
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
    ids=["gpu", "cpu"],
)
def test_the_largest_batch_comes_first_and_names_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(loop, "REHEARSED_ON", {"cpu"})
    t = trainer(tmp_path, batch_positions=77, gradient_checkpointing=True)
    last_first = Plan(PLAN.batches[::-1])
    t.plan_epoch = lambda epoch: last_first
    asked = []

    def objective(batch: Targets) -> TokenLoss:
        asked.append(len(batch.targets))
        raise error

    t.objective = objective
    with pytest.raises(SpeechLLMError, match="memory does not suffice") as caught:
        t.train()
    assert asked == [2]  # the largest by positions, not by items
    assert t.position.step == 0
    remedy = caught.value.remedy
    assert "train.batch_positions, which is 77" in remedy and "train.shard: true" in remedy
    assert "gradient_checkpointing" not in remedy and "\n" not in caught.value.message


def test_the_rehearsal_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trainer(tmp_path / "plain", steps=3)
    plain.train()
    monkeypatch.setattr(loop, "REHEARSED_ON", {"cpu"})
    t = trainer(tmp_path / "rehearsed", steps=3)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    t._rehearse()
    assert t.model.weight == 0 and t.model.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state) and t.position.seen == {}
    t.train()
    assert torch.equal(t.model.weight, plain.model.weight)
    assert t.position.seen == plain.position.seen


if __name__ == "__main__":
    out, world = Path(sys.argv[1]), join_world()
    for kind in ("busy", "idle"):
        two = trainer(out / kind, world, steps=4)
        if kind == "idle" and world.rank == 1:
            two.objective = lambda batch: TokenLoss(torch.zeros(()), 0, torch.zeros(()))
        two.train()
        (out / f"{kind}.{world.rank}").write_text(str(float(two.model.weight.detach())))
    two = with_resting_weight(trainer(out / "resting", world, steps=4, weight_decay=0.5))
    two.train()
    (out / f"resting.{world.rank}").write_text(str(float(two.model.frozen.detach())))
    for kind, step in (("told", 2), ("told last", 4)):
        two = trainer(out / kind, world, rolling_back(), steps=4, checkpoint_every=100)
        if world.rank == 1:
            signalled_at(two, signal.SIGUSR1, step)
        try:
            two.train()
        except Stopped as stopped:
            saved = (out / kind / CHECKPOINT).is_file()
            (out / f"{kind}.{world.rank}").write_text(str(stopped.number if saved else 0))
    two = trainer(out / "lost", world, steps=4)
    if world.rank == 1:
        two._save = lambda: two.broken  # after its first step
        two.config = two.config.model_copy(update={"checkpoint_every": 1})
    try:
        two.train()
    except Exception as error:
        (out / f"lost.{world.rank}").write_text(str(int(lost_process(error) is not None)))
