"""Switching domains must give, to the bit, what loading each of them gives."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.errors import ConfigError, DataError
from speechllm.model import speech_llm
from speechllm.model.bundle import load_bundle
from speechllm.model.domains import DomainSwitch
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate
from tests.helpers.packed import make_exp

RUNS = {"farm": "denoise_farm", "other": "audio_farm", "music": "denoise_music"}


@pytest.fixture(scope="module", params=[False, True], ids=["whole base", "base with LoRA"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_exp(tmp_path_factory.mktemp("domains"), base_lora=request.param)


@torch.no_grad()
def logits(model: SpeechLLM) -> torch.Tensor:
    frames = np.random.default_rng(0).normal(size=(14, 16)).astype(np.float16)
    example = Example("u", "audio", frames, [20, 21, 22])
    return model.label_logits(collate([example], model.prompt, model.projector.output_length))[0]


@pytest.fixture(scope="module")
def alone(base: Path) -> dict[str, torch.Tensor]:
    """What each domain's model gives when it is loaded by itself."""
    found = {d: logits(load_bundle(base / run / "model")) for d, run in RUNS.items()}
    return {"base": logits(load_bundle(base / "model")), **found}


@pytest.fixture
def switch(base: Path, monkeypatch: pytest.MonkeyPatch) -> DomainSwitch:
    bundles = {domain: base / run / "model" for domain, run in RUNS.items()}
    switch = DomainSwitch(load_bundle(base / "model"), "base", bundles)
    monkeypatch.setattr(speech_llm, "load_llm", None)  # may not be loaded again
    return switch


def test_every_order_gives_what_loading_gives(
    alone: dict[str, torch.Tensor], switch: DomainSwitch
) -> None:
    assert len({tuple(x.flatten().tolist()) for x in alone.values()}) == 4
    order = "farm music farm other base music base other farm farm base"
    for domain in order.split(" "):
        assert torch.equal(logits(switch.to(domain)), alone[domain]), domain
        assert switch.domain == domain


def test_domains_are_listed_home_first_and_a_wrong_one_names_the_nearest(
    switch: DomainSwitch,
) -> None:
    assert switch.domains == ["base", "farm", "music", "other"]
    with pytest.raises(ConfigError, match="no domain 'muscic', did you mean 'music'"):
        switch.to("muscic")


def test_tensors_that_do_not_fit_leave_the_base_as_it_was(
    base: Path, switch: DomainSwitch, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    before = logits(switch.model)
    source = base / "denoise_farm/model"
    description = json.loads((source / "model.json").read_text())
    del description["sha256"]  # as of an older version
    (tmp_path / "model.json").write_text(json.dumps(description))
    tensors = load_file(source / "trained.safetensors")
    save_file({**tensors, "llm.no_such": torch.zeros(2)}, tmp_path / "trained.safetensors")
    switch.bundles["broken"] = tmp_path
    with pytest.raises(DataError, match=r"llm\.no_such does not fit"):
        switch.to("broken")
    assert switch.domain == "base" and torch.equal(logits(switch.model), before)
    switch.to("farm")
    assert torch.equal(logits(switch.to("base")), before)
