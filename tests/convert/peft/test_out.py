"""Adapters and merged models that PEFT and transformers load, equal to ours."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import AutoTokenizer

from speechllm.config import LoraConfig, ModelConfig, ProjectorConfig
from speechllm.convert.peft.export import write_adapters
from speechllm.convert.peft.merge import check_mergeable, write_merged
from speechllm.errors import ConfigError, DataError, SpeechLLMError
from speechllm.model.bundle import load_bundle
from tests.helpers.adapted import logits, logits_of, make_base, make_domain
from tests.helpers.architectures import CHAT_TEMPLATES, LLMS, LORA_TARGETS
from tests.helpers.speech_llms import make_granite_speech
from tests.helpers.tiny import make_encoder, make_llm

FIRST = LoraConfig(rank=2, alpha=6, targets=("q_proj", "v_proj"))
SECOND = LoraConfig(rank=3, alpha=5, targets=("q_proj", "up_proj"))


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 0.05
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


def parts(work: Path, **settings: Any) -> ModelConfig:
    return ModelConfig(
        encoder=str(make_encoder(work / "encoder")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
        **{"llm": str(work / "llm"), **settings},
    )


def as_the_card_says(folder: Path) -> Any:
    """Model that the lines in a folder's model card load."""
    lines = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    scope: dict[str, Any] = {}
    lines = lines.replace("<this folder>", str(folder))
    if "<folder of" in lines:
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        lines = lines.replace(f"<folder of {Path(base).name}>", base)
    exec(lines, scope)
    return scope["model"]


@pytest.mark.parametrize("base_lora", [None, FIRST], ids=["plain", "stacked"])
def test_a_whole_speech_llm(whole: ModelConfig, base_lora: LoraConfig | None, tmp_path: Path):
    config = whole.model_copy(update={"lora": base_lora})
    base = make_base(tmp_path / "exp/base", config)
    farm = make_domain(base, "farm", SECOND, ("projector.*",))
    out = tmp_path / "peft"
    written = write_adapters(base, out)
    assert written == (["base", "farm"] if base_lora else ["farm"])
    for domain, run in {"base": base, "farm": farm}.items():
        if domain in written:
            found = as_the_card_says(out / domain)
            close(logits(found), logits_of(run))
            with found.disable_adapter():
                assert (logits(found) - logits_of(run)).abs().max() > 1e-3
    model = load_bundle(farm / "model")
    theirs = dict(found.get_base_model().named_parameters())
    for name, parameter in model.projector.module.named_parameters():
        (key,) = [key for key in theirs if key.endswith(f"projector.{name}")]
        assert torch.equal(theirs[key], parameter)


@pytest.mark.parametrize("architecture", LLMS)
def test_the_llm_of_encoder_projector_llm(architecture: str, tmp_path: Path) -> None:
    LLMS[architecture](tmp_path / "llm")
    targets = tuple(LORA_TARGETS.get(architecture, ("q_proj", "down_proj")))
    lora = LoraConfig(rank=2, alpha=6, targets=targets)
    config = parts(tmp_path, lora=lora, chat_template=CHAT_TEMPLATES.get(architecture))
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    farm = make_domain(base, "farm", lora)
    write_adapters(base, tmp_path / "peft")
    for domain, run in {"base": base, "farm": farm}.items():
        folder = tmp_path / "peft" / domain
        close(logits(as_the_card_says(folder)), logits_of(run))
        projector = load_bundle(run / "model").projector.state_dict()
        assert_close(load_file(folder / "projector.safetensors"), dict(projector))
        told = json.loads((folder / "speechllm.json").read_text())
        assert told["projector"]["hidden"] == 16 and told["encoder"] == "encoder"


def test_one_lora_is_written_as_it_was_trained(tmp_path: Path) -> None:
    make_llm(tmp_path / "llm")
    base = make_base(tmp_path / "exp/base", parts(tmp_path), ("projector.*",))
    farm = make_domain(base, "farm", SECOND)
    assert write_adapters(base, tmp_path / "peft") == ["farm"]
    settings = json.loads((tmp_path / "peft/farm/adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"], settings["lora_dropout"]) == (3, 5, 0.05)
    assert settings["peft_type"] == "LORA" and settings["task_type"] == "CAUSAL_LM"
    assert settings["base_model_name_or_path"] == str(tmp_path / "llm")
    ours = load_file(farm / "model/trained.safetensors")
    theirs = load_file(tmp_path / "peft/farm/adapter_model.safetensors")
    assert len(theirs) == len(ours)
    for name, tensor in theirs.items():
        own = "llm." + name.replace(".lora_A.", ".lora_A.default.").replace(
            ".lora_B.", ".lora_B.default."
        )
        assert torch.equal(tensor, ours[own])
    card = (tmp_path / "peft/farm/README.md").read_text()
    assert "library_name: peft" in card and "AutoModelForCausalLM" in card
    assert "projector.safetensors" in card and "weights.safetensors" not in card
    told = card + (tmp_path / "peft/farm/speechllm.json").read_text()
    assert "<folder of llm>" in told and str(tmp_path) not in told


def test_weights_that_were_trained_whole_stand_beside(tmp_path: Path) -> None:
    """A weight that replaces what an older LoRA was folded into takes that LoRA with it."""
    make_llm(tmp_path / "llm")
    config = parts(tmp_path, lora=FIRST)
    base = make_base(tmp_path / "exp/base", config, ("llm.*embed_tokens*",))
    whole = ("llm.*layers.0.self_attn.q_proj*", "llm.*norm*")
    farm = make_domain(base, "farm", SECOND, whole)
    write_adapters(base, tmp_path / "peft")
    folder = tmp_path / "peft/farm"
    names = set(load_file(folder / "weights.safetensors"))
    assert "model.layers.0.self_attn.q_proj.weight" in names and "model.norm.weight" in names
    close(logits(as_the_card_says(folder)), logits_of(farm))
    assert "before the adapter" in (folder / "README.md").read_text()


def test_granites_own_adapter_is_part_of_ours(tmp_path: Path) -> None:
    make_granite_speech(tmp_path / "granite", adapter=True)
    config = ModelConfig(speech_llm=str(tmp_path / "granite"))
    base = make_base(tmp_path / "exp/base", config)
    farm = make_domain(base, "farm", SECOND)
    assert write_adapters(base, tmp_path / "peft") == ["base", "farm"]
    for domain, run in {"base": base, "farm": farm}.items():
        close(logits(as_the_card_says(tmp_path / "peft" / domain)), logits_of(run))


def test_granite_generates_from_sound_with_our_adapter(tmp_path: Path) -> None:
    """Its class switches an adapter of its own on for sound and off for text, in `generate`."""
    make_granite_speech(tmp_path / "granite", adapter=True)
    base = make_base(tmp_path / "exp/base", ModelConfig(speech_llm=str(tmp_path / "granite")))
    make_domain(base, "farm", SECOND)
    write_adapters(base, tmp_path / "peft")
    model = as_the_card_says(tmp_path / "peft/farm").eval()
    config = model.get_base_model().config
    sound = torch.randn(1, 64, config.encoder_config.input_dim)
    with torch.no_grad():
        frames = model.get_base_model().get_audio_features(sound).pooler_output.shape[1]
        words = {
            "input_ids": torch.tensor([[1, 2, *[config.audio_token_id] * frames, 3]]),
            "input_features": sound,
            "input_features_mask": torch.ones(1, frames, dtype=torch.bool),
        }
        adapted = model(**words).logits[:, -1]
        with model.disable_adapter():
            assert (adapted - model(**words).logits[:, -1]).abs().max() > 1e-3
        options = {"output_logits": True, "return_dict_in_generate": True}
        made = model.generate(**words, max_new_tokens=1, do_sample=False, **options)
    close(made.logits[0], adapted)


@pytest.mark.parametrize("format", ["peft", "vllm"])
def test_a_domain_without_lora_is_refused_by_name(tmp_path: Path, format: Any) -> None:
    make_llm(tmp_path / "llm")
    base = make_base(tmp_path / "exp/base", parts(tmp_path), ("projector.*",))
    make_domain(base, "farm", None, ("llm.*",))
    with pytest.raises(ConfigError, match="farm: it trained no LoRA but weights of the llm"):
        write_adapters(base, tmp_path / "peft", format=format)
    assert not (tmp_path / "peft").exists()


def test_vllm_gets_its_own_names_for_the_decoder(whole: ModelConfig, tmp_path: Path) -> None:
    """vLLM takes `base_model.model.` off and looks for the module of that name: its models of all
    these families keep a causal LM as `language_model`, whose decoder is `model`."""
    base = make_base(tmp_path / "exp/base", whole)
    make_domain(base, "farm", SECOND)
    write_adapters(base, tmp_path / "vllm", format="vllm")
    folder = tmp_path / "vllm/farm"
    modules = {
        name.removeprefix("base_model.model.").rsplit(".", 2)[0]
        for name in load_file(folder / "adapter_model.safetensors")
    }
    layers = len({name.split(".")[3] for name in modules})
    assert modules == {
        f"language_model.model.layers.{n}.{part}"
        for n in range(layers)
        for part in ("self_attn.q_proj", "mlp.up_proj")
    }
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert set(settings["target_modules"]) == modules
    assert settings["modules_to_save"] is None and not settings["use_dora"]
    assert settings["bias"] == "none" and "rank_pattern" not in settings
    card = (folder / "README.md").read_text()
    assert "--enable-lora --max-lora-rank 8 --lora-modules farm=" in card


def test_vllm_gets_no_adapter_that_is_not_all(whole: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", whole)
    make_domain(base, "farm", SECOND, ("projector.*",))
    with pytest.raises(ConfigError, match=r"farm: it trained projector.*vLLM does not load"):
        write_adapters(base, tmp_path / "vllm", format="vllm")


def test_something_else_is_never_replaced(tmp_path: Path) -> None:
    make_llm(tmp_path / "llm")
    base = make_base(tmp_path / "exp/base", parts(tmp_path, lora=FIRST))
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft/thesis.txt").write_text("")
    with pytest.raises(DataError, match="something else"):
        write_adapters(base, tmp_path / "peft")


def test_merged_a_whole_speech_llm_loads_by_itself(whole: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", whole.model_copy(update={"lora": FIRST}))
    farm = make_domain(base, "farm", SECOND, ("projector.*",))
    assert write_merged(base, tmp_path / "merged") == ["base", "farm"]
    for domain, run in {"base": base, "farm": farm}.items():
        folder = tmp_path / "merged" / domain
        close(logits(as_the_card_says(folder)), logits_of(run))
        again = load_bundle(
            make_base(tmp_path / f"exp/{domain}2", ModelConfig(speech_llm=str(folder))) / "model"
        )
        close(logits(again.llm), logits_of(run))
        ours = load_bundle(run / "model").projector.state_dict()
        assert_close(dict(again.projector.state_dict()), dict(ours))


def test_merged_granite_has_its_own_adapter_inside(tmp_path: Path) -> None:
    make_granite_speech(tmp_path / "granite", adapter=True)
    base = make_base(tmp_path / "exp/base", ModelConfig(speech_llm=str(tmp_path / "granite")))
    write_merged(base, tmp_path / "merged")
    folder = tmp_path / "merged/base"
    assert not json.loads((folder / "config.json").read_text())["has_lora_adapter"]
    assert not list(folder.glob("adapter*"))
    close(logits(as_the_card_says(folder)), logits_of(base))


def test_merged_an_llm_has_its_tokenizer_and_the_projector_beside(tmp_path: Path) -> None:
    make_llm(tmp_path / "llm")
    config = parts(tmp_path, lora=FIRST)
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    farm = make_domain(base, "farm", None, ("llm.*",))
    (tmp_path / "llm/LICENSE").write_text("Apache License\n")
    write_merged(base, tmp_path / "merged")
    folder = tmp_path / "merged/farm"
    close(logits(as_the_card_says(folder)), logits_of(farm))
    text = "the cow eats green grass"
    tokenizers = (AutoTokenizer.from_pretrained(place) for place in (folder, tmp_path / "llm"))
    assert len({tuple(tokenizer(text).input_ids) for tokenizer in tokenizers}) == 1
    assert (folder / "projector.safetensors").is_file()
    assert (folder / "LICENSE").is_file()
    card = (folder / "README.md").read_text()
    assert "library_name: transformers" in card and "Apache License (LICENSE)" in card


def test_what_cannot_be_merged_is_refused(tmp_path: Path) -> None:
    make_llm(tmp_path / "llm")
    config = parts(tmp_path)
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    with pytest.raises(ConfigError, match="load_in_4bit: merging would round"):
        check_mergeable(config.model_copy(update={"load_in_4bit": True}))
    path = tmp_path / "llm/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {}}))
    with pytest.raises(ConfigError, match="needs code of its own"):
        check_mergeable(config)
    with pytest.raises(SpeechLLMError, match=r"config\.json"):  # the base stands on what it was
        write_merged(base, tmp_path / "merged")
