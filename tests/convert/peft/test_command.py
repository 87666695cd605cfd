"""`speechllm pack --format peft` and `speechllm import-adapter`, by their words."""

from pathlib import Path

import pytest
import torch

from speechllm.cli import main
from speechllm.config import LoraConfig, ModelConfig, ProjectorConfig
from tests.helpers.adapted import logits_of, make_base, make_domain
from tests.helpers.tiny import make_encoder, make_llm

LORA = LoraConfig(rank=2, alpha=6)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    config = ModelConfig(
        encoder=str(make_encoder(work / "encoder")),
        llm=str(make_llm(work / "llm")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    base = make_base(work / "exp/base", config, ("projector.*",))
    make_domain(base, "farm", LORA)
    make_domain(base, "music", LORA)
    return base


def test_out_and_in(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "peft"
    main(["pack", "--format", "peft", "--base", str(base), "--out", str(out)])
    assert sorted(path.name for path in out.iterdir()) == ["farm", "music"]
    assert sorted(path.name for path in (out / "farm").iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "projector.safetensors",
        "speechllm.json",
    ]
    again = base / "again_farm"
    main(["import-adapter", f"{out}/farm", str(again), "--base", str(base), "--target", "farm"])
    assert torch.equal(logits_of(again), logits_of(base / "audio_farm"))


def test_merged_and_some_models_alone(base: Path, tmp_path: Path) -> None:
    out, models = tmp_path / "merged", ["--models", "audio_music"]
    main(["pack", "--format", "peft", "--merge", "--base", str(base), "--out", str(out), *models])
    assert sorted(path.name for path in out.iterdir()) == ["base", "music"]
    assert (out / "music/model.safetensors").is_file()
    assert not (out / "music/adapter_config.json").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--format", "peft", "--carry", "all"], "--carry is for --format speechllm alone"),
        (["--format", "vllm", "--push", "me/farm"], "--push is for --format speechllm alone"),
        (["--format", "vllm", "--merge"], "give --format peft with it"),
        (["--merge"], "give --format peft with it"),
    ],
)
def test_options_that_say_nothing_are_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    with pytest.raises(SystemExit):
        main(["pack", "--base", str(base), "--out", f"{tmp_path}/out", *options])
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
