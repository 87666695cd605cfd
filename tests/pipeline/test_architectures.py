"""Every encoder with one LLM and every LLM with one encoder: features, two base steps, two of
adaptation, decoding, a bundle saved and loaded; through the commands that a recipe calls."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from speechllm.cli import main
from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.data.speech.features import open_features
from speechllm.decode.config import DecodeConfig
from speechllm.decode.search.search import search
from speechllm.model.bundle import load_bundle, save_bundle
from speechllm.model.speech_llm import set_trainable
from speechllm.slot.collate import Example, collate
from tests.helpers.architectures import CHAT_TEMPLATES, ENCODERS, LLMS, LORA_TARGETS
from tests.helpers.tiny import make_encoder, make_llm, make_set

TRAIN = {"steps": 2, "batch_positions": 300, "lr": 1e-3, "warmup_steps": 1, "precision": "fp32"}
SETS = ("source_train", "source_dev", "target_train")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and the encoder and the LLM that all others are tried with."""
    work = tmp_path_factory.mktemp("work")
    make_encoder(work / "encoder")
    make_llm(work / "llm")
    for number, name in enumerate(SETS):
        make_set(work / "data" / name, name[:2] + str(number), seed=number)
    return work


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder(name: str, work: Path) -> None:
    if name == "granite_speech":
        pytest.importorskip("torchaudio", reason="Granite's feature extractor needs it")
    ENCODERS[name][0](work / "encoders" / name)
    run_recipe(work, name, {"encoder": f"{work}/encoders/{name}", "llm": f"{work}/llm"})


def test_an_encoder_with_its_window_cut(work: Path) -> None:
    """The switch reaches stage 3 from the base config, and the cache knows it."""
    folder = ENCODERS["whisper"][0](work / "encoders/cut_whisper")
    model = {"encoder": str(folder), "llm": f"{work}/llm", "encoder_window": "cut"}
    run_recipe(work, "cut_whisper", model)
    assert (work / "dump/cut_whisper.cut/source_train/feats.scp").is_file()
    assert not (work / "dump/cut_whisper").exists()
    key = json.loads((work / "dump/cut_whisper.cut/source_train/key.json").read_text())
    assert key["window"] == "cut"


@pytest.mark.parametrize("name", LLMS)
def test_every_llm(name: str, work: Path) -> None:
    LLMS[name](work / "llms" / name)
    model = {"encoder": f"{work}/encoder", "llm": f"{work}/llms/{name}"}
    if name in CHAT_TEMPLATES:
        model["chat_template"] = CHAT_TEMPLATES[name]
    lora = {"rank": 2, "alpha": 4, "targets": LORA_TARGETS.get(name, ["q_proj", "v_proj"])}
    run_recipe(work, name, model, lora)


def test_checkpointing_by_config(work: Path) -> None:
    """In both stages; and what is learnt is the same."""
    model = {"encoder": f"{work}/encoder", "llm": f"{work}/llm"}
    folders = [
        run_recipe(work, f"checkpointing_{on}", model, gradient_checkpointing=on)
        for on in (False, True)
    ]
    plain, checkpointed = (load_bundle(folder / "model") for folder in folders)
    assert scores(plain) == pytest.approx(scores(checkpointed), abs=1e-4)


def run_recipe(
    work: Path,
    name: str,
    model: dict[str, Any],
    lora: dict[str, Any] | None = None,
    **train: Any,
) -> Path:
    """All stages; checks what each leaves behind, and returns the adapted model's folder."""
    model = {**model, "projector": {"downsampling": 2, "hidden": 16}}
    settings = {**TRAIN, **train}
    base = work / f"{name}.yaml"
    base.write_text(yaml.safe_dump({"model": model, "train": settings, "monitor": {"every": 2}}))
    method = work / f"{name}_denoise.yaml"
    adaptation = {"method": "denoise", "train": settings, "monitor": {"every": 2}}
    adaptation["lora"] = lora or {"rank": 2, "alpha": 4}
    method.write_text(yaml.safe_dump(adaptation))
    exp = work / "exp" / name
    data = {key: str(work / "data" / key) for key in SETS}
    dump = ("--dump", work / "dump")
    call("features", "--config", base, *dump, *data.values())
    call("features", "--config", base, *dump, "--merge", *data.values())
    train, dev = data["source_train"], data["source_dev"]
    call("base", "--config", base, *dump, "--exp", exp, "--train", train, "--dev", dev)
    call(
        *("adapt", "--config", method, "--base", exp, *dump, "--exp", exp / "denoise"),
        *("--source", train, "--source_dev", dev),
        *("--target", data["target_train"], "--target_dev", dev),
    )
    assert json.loads((exp / "denoise/run.json").read_text())["steps"] == 2
    check_decoding(work, exp / "denoise", data["source_dev"])
    check_bundle(work, exp / "denoise", data["source_dev"])
    return exp / "denoise"


def call(*words: object) -> None:
    main([str(word) for word in words])


def check_decoding(work: Path, folder: Path, data: str) -> None:
    """One by one and all together give the same hypotheses."""
    found = []
    for name, budget in (("single", 1), ("batch", 100_000)):
        config = work / f"{name}.yaml"
        settings = {"beam": 2, "batch_positions": budget, "max_tokens_per_second": 6}
        config.write_text(yaml.safe_dump(settings))
        call(
            *("decode", "--config", config, "--model", folder),
            *("--dump", work / "dump", "--data", data),
        )
        found.append(read_table(folder / f"decode_{name}" / Path(data).name / "text"))
    assert found[0] == found[1] and len(found[0]) == 8
    assert any(found[0].values()), "the test needs a hypothesis that is not empty"


def check_bundle(work: Path, folder: Path, data: str) -> None:
    """A bundle saved and loaded again scores and writes as before."""
    model = load_bundle(folder / "model")
    config = model.config
    found = open_features(
        work / "dump", config.audio_model, DataDir.load(data), config.encoder_settings
    )
    frames = [np.asarray(found.frames[utt]) for utt in sorted(found.frames)[:3]]
    set_trainable(model, ("projector.*", "llm.*.lora_*"))
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    save_bundle(folder / "again", model.eval(), folder.parent / "model")
    loaded = load_bundle(folder / "again")
    assert outputs(loaded, frames) == outputs(model, frames)
    unlike = outputs(load_bundle(folder / "model"), frames)
    assert unlike[0] != outputs(model, frames)[0], "what was shaken must be heard"


def outputs(model: Any, frames: list[np.ndarray]) -> tuple[float, list[str]]:
    """Score of a transcript, and hypotheses."""
    rows = [Example(f"u{n}", "audio", f, [20, 21, 22]) for n, f in enumerate(frames)]
    length = model.projector.output_length
    with torch.no_grad():
        nll = float(model(collate(rows, model.prompt, length)).nll)
    batch = collate(rows, model.prompt, length, with_target=False)
    found = search(model, batch, [1.0] * len(rows), DecodeConfig(beam=2))
    return round(nll, 4), [best.text for best, *_ in found]


def scores(model: Any) -> list[float]:
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(n, 16)).astype(np.float16) for n in (12, 20)]
    return [outputs(model, [f])[0] for f in frames]
