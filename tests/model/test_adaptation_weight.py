"""Between a base and what was adapted from it, with LoRA and without."""

from pathlib import Path

import pytest
import torch

from speechllm.errors import ConfigError
from speechllm.model.adaptation_weight import check_adapted, weigh_adaptation
from speechllm.model.bundle import load_bundle
from speechllm.model.domains import DomainSwitch
from speechllm.model.speech_llm import SpeechLLM
from tests.helpers.packed import make_exp
from tests.model.test_domains import RUNS, logits


@pytest.fixture(scope="module", params=[False, True], ids=["whole base", "base with LoRA"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_exp(tmp_path_factory.mktemp("between"), base_lora=request.param)


def weighed(base: Path, run: str, weight: float) -> SpeechLLM:
    model = load_bundle(base / run / "model")
    weigh_adaptation(model, weight)
    model.freeze_for_search("fp32")
    return model


def weights(model: SpeechLLM) -> dict[str, torch.Tensor]:
    return {name: p.to_dense() for name, p in model.named_parameters()}


@pytest.mark.parametrize("run", RUNS.values())
def test_the_ends_are_the_base_and_the_adapted_model_to_the_bit(base: Path, run: str) -> None:
    ends = {0.0: load_bundle(base / "model"), 1.0: load_bundle(base / run / "model")}
    for weight, end in ends.items():
        end.freeze_for_search("fp32")
        assert torch.equal(logits(weighed(base, run, weight)), logits(end))
    assert not torch.equal(logits(ends[0.0]), logits(ends[1.0]))


@pytest.mark.parametrize("run", RUNS.values())
def test_weights_lie_on_the_line_between_them(base: Path, run: str) -> None:
    first, last = weights(weighed(base, run, 0.0)), weights(weighed(base, run, 1.0))
    between = weights(weighed(base, run, 0.25))
    assert between.keys() == first.keys() == last.keys()
    moved = 0
    for name, tensor in between.items():
        expected = 0.75 * first[name] + 0.25 * last[name]
        torch.testing.assert_close(tensor, expected, rtol=1e-4, atol=1e-5)
        moved += not torch.equal(first[name], last[name])
    assert moved


@pytest.mark.parametrize("domain", RUNS)
def test_a_model_that_was_switched_is_weighed_as_one_that_was_loaded(
    base: Path, domain: str
) -> None:
    bundles = {domain: base / run / "model" for domain, run in RUNS.items()}
    switch = DomainSwitch(load_bundle(base / "model"), "base", bundles)
    for before in ("music", "base", domain):
        model = switch.to(before)
    weigh_adaptation(model, 0.25)
    model.freeze_for_search("fp32")
    assert torch.equal(logits(model), logits(weighed(base, RUNS[domain], 0.25)))


def test_a_base_has_nothing_to_weigh(base: Path) -> None:
    model = load_bundle(base / "model")
    before = logits(model)
    weigh_adaptation(model, 1.0)
    with pytest.raises(ConfigError, match=r"adapted: 0\.5 .* no adapted one"):
        weigh_adaptation(model, 0.5)
    assert torch.equal(logits(model), before) and model.adapted == 1
    bundles = {run: base / run / "model" for run in RUNS.values()}
    switch = DomainSwitch(load_bundle(base / "model"), "base", bundles)
    switch.to("denoise_farm")
    with pytest.raises(ConfigError, match="no adapted one"):
        weigh_adaptation(switch.to("base"), 0.5)
    check_adapted(base / "model", 1.0)
    check_adapted(base / "denoise_farm/model", 0.5)
    with pytest.raises(ConfigError, match="no adapted one"):
        check_adapted(base / "model", 0.5)
