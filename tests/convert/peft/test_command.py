"""`speechllm pack --format peft` and `speechllm import-adapter`, by their words."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from torch.testing import assert_close

from speechllm.cli import main
from speechllm.config import LoraConfig, ModelConfig, ProjectorConfig
from speechllm.pack.files import MODEL
from speechllm.pack.push import push
from tests.helpers.adapted import logits, logits_of, make_base, make_domain
from tests.helpers.fake_hub import FakeHub
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
        (["--format", "vllm", "--push", "me/asr@v1"], "a branch is for --format speechllm alone"),
        (
            ["--models", "audio_*", "--format", "peft", "--push", "me/asr"],
            "is an adapter of the folder llm, which nobody",
        ),
        (["--format", "peft", "--base_model", "a/b", "c/d"], "an adapter stands on one model"),
        (["--format", "vllm", "--merge"], "give --format peft with it"),
        (["--merge"], "give --format peft with it"),
    ],
)
def test_options_that_say_nothing_are_refused(
    base: Path,
    tmp_path: Path,
    hub: FakeHub,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    why: str,
) -> None:
    with pytest.raises(SystemExit):
        main(["pack", "--base", str(base), "--out", f"{tmp_path}/out", *options])
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert hub.repositories == {}


def test_each_adapter_goes_to_a_repository_of_its_own(
    base: Path, tmp_path: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stranger has the LLM under its id, and loads the adapter as its card says."""
    out = tmp_path / "peft"
    options = ["--models", "audio_*", "--license", "mit", "--push", "me/asr"]
    options += ["--base_model", "a/llm"]
    main(["pack", "--format", "peft", "--base", str(base), "--out", str(out), *options])
    assert sorted(hub.repositories) == ["me/asr-farm", "me/asr-music"]
    addresses = capsys.readouterr().out.split()
    assert [address.split("/commit/")[0] for address in addresses] == [
        f"{hub.url}/{name}" for name in sorted(hub.repositories)
    ]
    files = hub.files("me/asr-farm")
    assert files == {path.name: path.read_bytes() for path in (out / "farm").iterdir()}
    data = ModelCard(files["README.md"].decode()).data
    assert (data.base_model, data.license, data.library_name) == ("a/llm", "mit", "peft")
    assert b"a/llm" in files["adapter_config.json"]
    push(base.parents[1] / "llm", "a/llm", MODEL)
    (code,) = re.findall(r"```python\n(.*?)```", files["README.md"].decode(), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)
    merged = scope["model"].merge_and_unload()
    assert_close(logits(merged), logits_of(base / "audio_farm"), atol=1e-5, rtol=1e-5)


def test_a_merged_model_stands_on_no_folder(base: Path, tmp_path: Path, hub: FakeHub) -> None:
    options = ["--merge", "--push", "me/asr", "--models", "audio_farm"]
    main(["pack", "--format", "peft", "--base", str(base), "--out", f"{tmp_path}/out", *options])
    assert sorted(hub.repositories) == ["me/asr-base", "me/asr-farm"]
    files = hub.files("me/asr-farm")
    assert "model.safetensors" in files and "tokenizer.json" in files
    text = b"".join(content for name, content in files.items() if name.endswith((".md", ".json")))
    assert str(base.parents[1]).encode() not in text
    assert b"from_pretrained('me/asr-farm'" in files["README.md"]
