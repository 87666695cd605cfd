"""Adapters that PEFT trained elsewhere, as domains and as bases, equal to PEFT's own."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM

from speechllm.config import LoraConfig, ModelConfig, ProjectorConfig
from speechllm.convert.peft.export import write_adapters
from speechllm.convert.peft.import_adapter import import_adapter
from speechllm.errors import ConfigError, DataError
from speechllm.files.own import read_mapping
from speechllm.model.adaptation_weight import weigh_adaptation
from speechllm.model.bundle import load_bundle
from speechllm.pack.write import pack
from speechllm.transcribe.load import load_parts
from tests.helpers.adapted import logits, logits_of, make_base, make_domain
from tests.helpers.architectures import LLMS
from tests.helpers.speech_llms import make_granite_speech
from tests.helpers.tiny import make_encoder, make_llm

LORA = LoraConfig(rank=2, alpha=6, targets=("q_proj", "v_proj"))
USUAL: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "up_proj"]}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.fixture
def parts(tmp_path: Path) -> ModelConfig:
    return ModelConfig(
        encoder=str(make_encoder(tmp_path / "encoder")),
        llm=str(make_llm(tmp_path / "llm")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )


def elsewhere(folder: Path, auto: Any, pretrained: str, config: Any = None) -> Any:
    """An adapter that PEFT has saved, and its model; every weight that it trains was shaken."""
    model = auto.from_pretrained(pretrained)
    torch.manual_seed(3)
    model = get_peft_model(model, config or peft.LoraConfig(**USUAL))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data + 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return model


TAKEN: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "patterns": {
        "rank_pattern": {"layers.1.self_attn.q_proj": 2, "up_proj": 5},
        "alpha_pattern": {r"layers\.0.*q_proj": 3},
    },
    "some_layers": {"layers_to_transform": [1]},
    "all_linear": {"target_modules": "all-linear"},
    "regex": {"target_modules": r".*layers\.0\.self_attn\.[qk]_proj"},
    "modules_to_save": {"modules_to_save": ["norm", "lm_head"]},
    "gaussian": {"init_lora_weights": "gaussian"},
}


@pytest.mark.parametrize("kind", TAKEN)
def test_as_a_domain_and_as_a_base(kind: str, tmp_path: Path) -> None:
    LLMS["qwen2"](tmp_path / "llm")  # head and embedding apart, biases in the attention
    encoder = str(make_encoder(tmp_path / "encoder"))
    config = ModelConfig(
        encoder=encoder,
        llm=str(tmp_path / "llm"),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    settings = peft.LoraConfig(**(USUAL | TAKEN[kind]))
    expected = elsewhere(tmp_path / "lora", AutoModelForCausalLM, config.llm or "", settings)
    import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")
    import_adapter(tmp_path / "lora", tmp_path / "exp/lora", base)
    projector = load_bundle(base / "model").projector.state_dict()
    for run in (base / "lora_farm", tmp_path / "exp/lora"):
        close(logits_of(run), logits(expected))
        assert_close(load_bundle(run / "model").projector.state_dict(), projector)
    with expected.disable_adapter():
        assert (logits(expected) - logits_of(base / "lora_farm")).abs().max() > 1e-3


def test_biases_are_taken(tmp_path: Path) -> None:
    LLMS["qwen2"](tmp_path / "llm")
    config = ModelConfig(
        encoder=str(make_encoder(tmp_path / "encoder")),
        llm=str(tmp_path / "llm"),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    settings = peft.LoraConfig(**USUAL, bias="all")
    expected = elsewhere(tmp_path / "lora", AutoModelForCausalLM, config.llm or "", settings)
    import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")
    # PEFT itself gives back the biases only with the adapter that it saved them for.
    close(logits_of(base / "lora_farm"), logits(expected))


def test_a_whole_speech_llm(whole: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", whole)
    settings = peft.LoraConfig(r=3, lora_alpha=4, target_modules=r".*language_model.*[qv]_proj")
    pretrained = whole.speech_llm or ""
    expected = elsewhere(tmp_path / "lora", AutoModelForMultimodalLM, pretrained, settings)
    import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")
    close(logits_of(base / "lora_farm"), logits(expected))


@pytest.mark.parametrize("base_lora", [None, LORA], ids=["plain", "stacked"])
def test_out_and_in_again(parts: ModelConfig, base_lora: LoraConfig | None, tmp_path: Path) -> None:
    """Also where the base has LoRA: the adapter holds it too, so it is taken out of the domain."""
    config = parts.model_copy(update={"lora": base_lora})
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    farm = make_domain(base, "farm", LORA)
    write_adapters(base, tmp_path / "peft")
    import_adapter(tmp_path / "peft/farm", base / "again_farm", base, "farm")
    close(logits_of(base / "again_farm"), logits_of(farm))
    if base_lora is None:
        assert read_mapping(base / "again_farm/model/model.json")["model"]["lora"] == {
            **LORA.model_dump(mode="json")
        }


def test_vllms_names_come_in_as_well(whole: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", whole)
    farm = make_domain(base, "farm", LORA)
    write_adapters(base, tmp_path / "vllm", format="vllm")
    import_adapter(tmp_path / "vllm/farm", base / "again_farm", base, "farm")
    close(logits_of(base / "again_farm"), logits_of(farm))


def test_granites_own_adapter_is_not_added_twice(tmp_path: Path) -> None:
    make_granite_speech(tmp_path / "granite", adapter=True)
    base = make_base(tmp_path / "exp/base", ModelConfig(speech_llm=str(tmp_path / "granite")))
    farm = make_domain(base, "farm", LORA)
    write_adapters(base, tmp_path / "peft")
    import_adapter(tmp_path / "peft/farm", base / "again_farm", base, "farm")
    close(logits_of(base / "again_farm"), logits_of(farm))


def test_an_imported_domain_is_packed_and_weighed(parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "")
    import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")
    assert set(pack(base, tmp_path / "packed").domains) == {"base", "farm"}
    switch = load_parts(tmp_path / "packed").switch
    assert torch.equal(logits(switch.to("farm").llm), logits_of(base / "lora_farm"))
    model = load_bundle(base / "lora_farm/model")
    weigh_adaptation(model, 0.0)
    close(logits(model.llm), logits_of(base))
    run = read_mapping(base / "lora_farm/run.json")
    assert run["adapter"]["base_model_name_or_path"] == parts.llm


REFUSED: dict[str, tuple[Any, str]] = {
    "dora": (peft.LoraConfig(**USUAL, use_dora=True), "use_dora"),
    "pissa": (peft.LoraConfig(**USUAL, init_lora_weights="pissa"), "init_lora_weights 'pissa'"),
    "loha": (peft.LoHaConfig(r=2, target_modules=["q_proj"]), "'LOHA'"),
    "lora_bias": (peft.LoraConfig(**USUAL, lora_bias=True), "lora_bias"),
    "embedding": (
        peft.LoraConfig(**(USUAL | {"target_modules": ["embed_tokens", "q_proj"]})),
        "embed_tokens.*only LoRA of linear layers",
    ),
    "tokens": (peft.LoraConfig(**USUAL, trainable_token_indices=[1]), "trainable_token_indices"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_expressed_is_refused_by_name(
    kind: str, parts: ModelConfig, tmp_path: Path
) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    settings, why = REFUSED[kind]
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "", settings)
    with pytest.raises(ConfigError, match=why):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")
    assert not (base / "lora_farm").exists()


def test_an_adapter_of_the_tower_is_refused(tmp_path: Path) -> None:
    make_granite_speech(tmp_path / "granite")
    base = make_base(tmp_path / "exp/base", ModelConfig(speech_llm=str(tmp_path / "granite")))
    settings = peft.LoraConfig(r=2, target_modules=["linear"])
    pretrained = str(tmp_path / "granite")
    elsewhere(tmp_path / "lora", AutoModelForMultimodalLM, pretrained, settings)
    with pytest.raises(ConfigError, match=r"changes model\.projector\.linear, which is no part"):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


def test_a_tied_head_is_refused(tmp_path: Path) -> None:
    LLMS["qwen3"](tmp_path / "llm")
    config = ModelConfig(
        encoder=str(make_encoder(tmp_path / "encoder")),
        llm=str(tmp_path / "llm"),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    base = make_base(tmp_path / "exp/base", config, ("projector.*",))
    settings = peft.LoraConfig(**USUAL, modules_to_save=["lm_head"])
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, config.llm or "", settings)
    with pytest.raises(ConfigError, match="embedding and head in one"):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


def test_a_pickle_is_never_read(parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "")
    (tmp_path / "lora/adapter_model.safetensors").unlink()
    (tmp_path / "lora/adapter_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="is a pickle"):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


DAMAGES: dict[str, tuple[Any, str]] = {
    "rank": ({"r": 9}, r"has the rank 4, and not 9"),
    "negative": ({"lora_alpha": -1}, "lora_alpha is -1, no positive number"),
    "endless": ({"lora_alpha": float("inf")}, "lora_alpha is inf, no positive number"),
    "words": ({"r": "many"}, "r is 'many', no positive number"),
    "pattern": ({"rank_pattern": [1]}, "rank_pattern is .*, no mapping"),
    "regex": ({"rank_pattern": {"(": 4}}, "a pattern in it is damaged"),
    "dropout": ({"lora_dropout": "some"}, "lora_dropout is 'some', no share"),
    "alphas": ({"alpha_pattern": {"q_proj": "x"}}, "alpha_pattern is .*, no mapping"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_named(kind: str, parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "")
    change, why = DAMAGES[kind]
    path = tmp_path / "lora/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=why):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_cut_file_is_named(name: str, parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "")
    path = tmp_path / "lora" / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{name}.* is damaged"):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


def test_an_adapter_of_another_size_is_named(parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts.model_copy(update={"lora": LORA}))
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "")
    path = tmp_path / "lora/adapter_model.safetensors"
    tensors = load_file(path)
    save_file({n: t.repeat(1, 2) if "lora_A" in n else t for n, t in tensors.items()}, path)
    with pytest.raises(DataError, match=r"LoRA of .*q_proj does not fit"):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


def test_an_adapter_of_another_llm_is_named(parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    LLMS["phi3"](tmp_path / "other")
    settings = peft.LoraConfig(**(USUAL | {"target_modules": ["qkv_proj"]}))
    elsewhere(tmp_path / "lora", AutoModelForCausalLM, str(tmp_path / "other"), settings)
    with pytest.raises(DataError, match=r"qkv_proj.* is no weight of"):
        import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")


def test_a_base_that_does_not_fit_is_named(parts: ModelConfig, tmp_path: Path) -> None:
    whole = make_base(tmp_path / "exp/whole", parts, ("llm.*",))
    lora = make_base(tmp_path / "exp/lora", parts.model_copy(update={"lora": LORA}))
    farm = make_domain(lora, "farm", LORA)
    elsewhere(tmp_path / "adapter", AutoModelForCausalLM, parts.llm or "")
    for base, target, why in (
        (whole, "farm", "trained weights of the LLM itself"),
        (lora, None, "has LoRA of its own"),
        (farm, "music", "is no base itself"),
        (lora, "../farm", "cannot be the name of a domain"),
    ):
        with pytest.raises(ConfigError, match=why):
            import_adapter(tmp_path / "adapter", tmp_path / "exp/out", base, target)
    assert not (tmp_path / "exp/out").exists()


def test_peft_loads_what_came_in_and_went_out(parts: ModelConfig, tmp_path: Path) -> None:
    base = make_base(tmp_path / "exp/base", parts, ("projector.*",))
    expected = elsewhere(tmp_path / "lora", AutoModelForCausalLM, parts.llm or "")
    import_adapter(tmp_path / "lora", base / "lora_farm", base, "farm")
    write_adapters(base, tmp_path / "peft")
    llm = AutoModelForCausalLM.from_pretrained(parts.llm)
    found = PeftModel.from_pretrained(llm, tmp_path / "peft/farm")
    assert torch.equal(logits(found), logits(expected))
