import itertools
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from speechllm.config import TrainConfig
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.files.own import read_json
from speechllm.standin.loop import is_done, new_folder, seed_everything, train

SETTINGS = {"steps": 3, "seed": 1}


@pytest.fixture
def model() -> LlamaForCausalLM:
    seed_everything(0)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def test_training_takes_the_steps_asked_for_and_lowers_the_loss(model: LlamaForCausalLM) -> None:
    ids = torch.randint(20, (4, 6))
    losses = train(
        "test",
        model,
        itertools.repeat(ids),
        lambda batch: model(batch, labels=batch).loss,
        TrainConfig(steps=30, lr=1e-2, warmup_steps=3, muon_lr=0.02),
    )
    assert len(losses) == 30 and losses[-1] < 0.7 * losses[0]
    assert not model.training


def test_a_loss_that_is_not_finite_ends_the_training(model: LlamaForCausalLM) -> None:
    with pytest.raises(SpeechLLMError, match="step 0"):
        train(
            "test",
            model,
            itertools.repeat(torch.zeros(1, 2, dtype=torch.long)),
            lambda batch: model(batch).logits.sum() * float("nan"),
            TrainConfig(steps=5),
        )


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt), new_folder(out, SETTINGS) as (temporary, _):
        (temporary / "half").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    assert not is_done(out, SETTINGS)
    with new_folder(out, SETTINGS) as (temporary, record):
        (temporary / "weights").touch()
        record["score"] = 1
        assert not out.exists()
    assert {p.name for p in out.iterdir()} == {"weights", "standin.json"}
    assert read_json(out / "standin.json")["score"] == 1
    assert is_done(out, SETTINGS)


def test_a_folder_of_another_kind_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="no stand-in"):
        is_done(tmp_path, SETTINGS)
    assert (tmp_path / "thesis.tex").exists()
