"""A language model that is killed in training goes on, and ends the same to the bit."""

import json
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from speechllm.errors import DataError
from speechllm.lm.config import LMTrainConfig, NetworkConfig
from speechllm.lm.network import as_network, make_module
from speechllm.lm.perplexity import Perplexity, Text
from speechllm.lm.token_lm import TokenLM
from speechllm.lm.train import train_network

TRAIN = {"steps": 11, "lr": 1e-2, "warmup_steps": 2, "evaluate_every": 3, "batch_tokens": 60}


def text(seed: int, size: int) -> Text:
    draw = random.Random(seed)
    rows = [[draw.choice((3, 4, 5, 6, 7)) for _ in range(draw.randint(2, 9))] for _ in range(size)]
    return Text(rows, sum(map(len, rows)))


class Killed(Exception):
    """Stands for SIGKILL."""


def trained(folder: Path, kill_at: int | None = None, **train: object) -> tuple[nn.Module, float]:
    """Train a tiny LSTM with dropout; at its n-th evaluation it may be killed."""
    folder.mkdir(exist_ok=True)
    values = {"kind": "lstm", "width": 8, "layers": 1, "dropout": 0.3, "train": TRAIN | train}
    config = NetworkConfig.model_validate(values)
    torch.manual_seed(5)
    module = make_module(config, 10)
    lm = TokenLM(as_network(module), [1], 2, "cpu")
    evaluate, count = lm.perplexity, [0]

    def perplexity(dev: Text) -> Perplexity:
        count[0] += 1
        if count[0] == kill_at:
            raise Killed
        return evaluate(dev)

    lm.perplexity = perplexity
    best = train_network(module, lm.network, lm, text(1, 40), text(2, 10), config.train, folder)
    return module, best.nll


@pytest.mark.parametrize("kill_at", [1, 2, 4])
def test_a_killed_training_ends_bit_equal(tmp_path: Path, kill_at: int) -> None:
    whole, best = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "killed", kill_at)
    torch.manual_seed(99)  # another process has another random state
    again, best_again = trained(tmp_path / "killed")
    assert best_again == best
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    logs = [(tmp_path / name / "train.jsonl").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1] and len(logs[0].splitlines()) == 4
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["train.jsonl"]


def test_patience_ends_it_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    _, best = trained(tmp_path, steps=60, lr=0.5, patience=2)
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    tokens = [line["token"] for line in lines]
    assert len(lines) < 20 and tokens.index(min(tokens)) == len(lines) - 3
    assert best > 0


def test_a_damaged_checkpoint_names_what_to_remove(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, 3)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError) as error:
        trained(tmp_path)
    assert error.value.remedy and error.value.remedy.startswith("rm ")


def test_the_optimiser_is_told_all_that_the_config_says() -> None:
    values = {"steps": 9, "lr": 0.1, "clip": 0.25, "weight_decay": 0.5, "warmup_steps": 7}
    config = LMTrainConfig.model_validate(values)
    told = config.optimisation(9)
    assert told.steps == 9 and told.clip != LMTrainConfig(steps=1).clip
    assert {key: getattr(told, key) for key in values} == values
