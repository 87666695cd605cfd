"""`speechllm info` reads no weights, and what it says is what comes."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

from speechllm.cli import main
from speechllm.config import BaseConfig, LoraConfig, TrainConfig, load
from speechllm.model.llm import add_lora, checkpoint_gradients
from speechllm.model.memory import GIB, bytes_per_position, training_memory
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from tests.helpers.architectures import ENCODERS
from tests.helpers.tiny import make_encoder, make_llm, make_set

TRAIN = {"steps": 2, "batch_positions": 1000, "precision": "fp32"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models without weights, and a base config that names them."""
    work = tmp_path_factory.mktemp("work")
    make_encoder(work / "encoder")
    make_llm(work / "llm")
    ENCODERS["whisper"][0](work / "whisper")
    for weights in work.glob("*/model.safetensors"):
        weights.unlink()
    config = {
        "model": {
            "encoder": f"{work}/encoder",
            "llm": f"{work}/llm",
            "projector": {"downsampling": 2, "hidden": 16},
            "llm_dtype": "bfloat16",
        },
        "train": TRAIN,
    }
    (work / "base.yaml").write_text(yaml.safe_dump(config))
    return work


def info(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["info", *map(str, words)])
    return capsys.readouterr().out


def test_a_base_config(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = info(capsys, work / "base.yaml")
    with torch.device("meta"):
        model = SpeechLLM(load(BaseConfig, work / "base.yaml").model)
    llm, projector = (
        sum(p.numel() for p in part.parameters()) for part in (model.llm, model.projector)
    )
    assert f"LlamaForCausalLM, {llm:,} parameters in bfloat16" in said
    assert "Wav2Vec2BertModel, " in said and "parameters in float32" in said
    assert "25 Hz x 16 -> 12.5 Hz after downsampling 2" in said
    prefix = len(model.prompt.prefix)
    assert f"125 positions ({prefix} to {prefix + 124})" in said
    assert "base trains projector.*" in said
    assert f"{projector / (projector + llm):.2%} trained" in said


def test_overrides_stand_anywhere(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_set(work / "data/before", "sp")
    words = [
        (work / "base.yaml", "model.projector.downsampling=5"),
        (work / "base.yaml", "--llm", work / "llm", "model.projector.downsampling=5"),
        (work / "base.yaml", "--data", data, "model.projector.downsampling=5"),
    ]
    for given in words:
        assert "25 Hz x 16 -> 5 Hz after downsampling 5" in info(capsys, *given)


def test_a_window_is_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = info(capsys, work / "base.yaml", "--encoder", work / "whisper")
    assert "WhisperEncoder (encoder)" in said and "50 Hz x 16 -> 25 Hz" in said
    assert "in windows of 2 s, filled with silence" in said
    said = info(
        capsys, work / "base.yaml", "--encoder", work / "whisper", "model.encoder_window=cut"
    )
    assert "in windows of 2 s, cut to the utterance" in said


@pytest.mark.parametrize(
    ("method", "phases"),
    [
        ("denoise", {"denoise": "llm.*.lora_*"}),
        (
            "soft_prompt",
            {"soft_prompt prompt": "scaffold.soft_prompt.*", "soft_prompt tuning": "llm.*.lora_*"},
        ),
    ],
)
def test_a_method_s_config(method: str, phases: dict[str, str], work, capsys) -> None:
    path = work / f"{method}.yaml"
    path.write_text(yaml.safe_dump({"method": method, "train": TRAIN, "lora": {"rank": 2}}))
    said = info(capsys, path, "--base", work / "base.yaml")
    for title, patterns in phases.items():
        assert f"{title} trains {patterns}" in said
    lora = 2 * 2 * (2 * 16 + 2 * 16)  # layers, projections, rank x (in + out)
    assert re.search(rf"^llm +{lora:,} ", said, re.MULTILINE)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["info", str(path)])
    assert "as --base" in capsys.readouterr().err


def test_the_cache_is_as_large_as_stage_3_makes_it(tmp_path: Path, capsys) -> None:
    make_llm(tmp_path / "llm")
    ENCODERS["hubert"][0](tmp_path / "hubert")
    config = {"model": {"encoder": f"{tmp_path}/hubert", "llm": f"{tmp_path}/llm"}, "train": TRAIN}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(config))
    sets = [make_set(tmp_path / name, name, seed=n) for n, name in enumerate(("one", "two"))]
    text = make_set(tmp_path / "text", "te", audio=False)
    said = info(capsys, tmp_path / "base.yaml", "--data", *sets, text)
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.endswith("GiB")}
    assert set(lines) >= {"one", "two", "text", "all"} and float(lines["text"][3]) == 0
    hour = float(said.split("float16, ")[1].split()[0]) * GIB
    features = ("features", "--config", f"{tmp_path}/base.yaml", "--dump", f"{tmp_path}/dump")
    main([*features, *map(str, sets)])
    for path in sets:
        utt2dur = (path / "utt2dur").read_text().split()[1::2]
        made = sum(f.stat().st_size for f in (tmp_path / "dump/hubert" / path.name).glob("*.ark"))
        assert made == pytest.approx(hour * sum(map(float, utt2dur)) / 3600, rel=0.03)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_about_what_autograd_keeps(precision: str, checkpointing: bool) -> None:
    """Counted by hooks on what autograd saves: what four more layers add, for each position."""
    width = 2 if precision == "bf16" else 4
    kept = [saved_bytes(n, precision, checkpointing) for n in (2, 6)]
    told = [bytes_per_position(llm_config(n), width, 2, checkpointing) for n in (2, 6)]
    assert (told[1] - told[0]) / (kept[1] - kept[0]) == pytest.approx(1, abs=0.1)


def llm_config(layers: int) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=32,
        attn_implementation="sdpa",
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )


def saved_bytes(layers: int, precision: str, checkpointing: bool) -> float:
    """Bytes that a training step's forward pass keeps for each position, but for weights."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    llm = LlamaForCausalLM(llm_config(layers)).to(dtype)
    llm = add_lora(llm.requires_grad_(False), LoraConfig(rank=2, alpha=4, dropout=0.0)).train()
    checkpoint_gradients(llm, checkpointing)
    weights = {p.untyped_storage().data_ptr() for p in llm.parameters()}
    kept: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # so that no place is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        alive.append(tensor)
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    positions = torch.randn(1, 500, 64, dtype=dtype, requires_grad=True)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, precision == "bf16"),
    ):
        assert llm(inputs_embeds=positions).logits.requires_grad
    return sum(kept.values()) / 500


def test_weights_and_optimiser_are_counted(work: Path) -> None:
    with torch.device("meta"):
        model = SpeechLLM(load(BaseConfig, work / "base.yaml").model)
    set_trainable(model, ("projector.*",))
    memory = training_memory(model, TrainConfig(**TRAIN))
    trained = sum(p.numel() for p in model.projector.parameters())
    frozen = sum(p.numel() for p in model.llm.parameters())
    assert memory.frozen == 2 * frozen and memory.trained == memory.gradients == 4 * trained
    assert memory.optimiser == 8 * trained
    model.config = model.config.model_copy(update={"load_in_4bit": True})
    assert 0.5 * frozen < training_memory(model, None).frozen < 2 * frozen
    assert training_memory(model, None).activations == 0
