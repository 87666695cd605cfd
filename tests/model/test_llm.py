"""LLMs of every architecture: prompts, ways of loading, and errors that name key and remedy."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speechllm.config import DEFAULT_PROMPT, LoraConfig, ModelConfig, ProjectorConfig
from speechllm.errors import ConfigError
from speechllm.model.llm import (
    checkpoint_gradients,
    load_llm,
    load_tokenizer,
    merge_lora,
)
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.slot.collate import Batch, Example, collate
from speechllm.slot.prompt import Prompt, make_prompt
from tests.helpers.architectures import (
    CHAT_TEMPLATES,
    ENCODERS,
    LLMS,
    LORA_TARGETS,
    make_bart,
    make_bert,
    make_vit,
)
from tests.helpers.tiny import make_encoder


@pytest.fixture(scope="module")
def config_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelConfig]:
    """The config of a Speech LLM around an architecture's LLM, whose folder is made once."""
    work = tmp_path_factory.mktemp("llms")
    make_encoder(work / "encoder")

    def config(name: str, **settings: Any) -> ModelConfig:
        if not (work / name).is_dir():
            LLMS[name](work / name)
        return ModelConfig(
            encoder=str(work / "encoder"),
            llm=str(work / name),
            projector=ProjectorConfig(downsampling=2, hidden=16),
            **{"chat_template": CHAT_TEMPLATES.get(name), **settings},
        )

    return config


def prompt_of(config: ModelConfig) -> tuple[str, str]:
    tokenizer = load_tokenizer(config)
    prompt = make_prompt(tokenizer, DEFAULT_PROMPT, config.chat_template)
    return tokenizer.decode(prompt.prefix), tokenizer.decode(prompt.suffix)


@pytest.mark.parametrize("name", LLMS)
def test_a_prompt_stands_around_the_slot(name: str, config_of) -> None:
    before, after = prompt_of(config_of(name))
    assert before.endswith("Transcribe speech to text. Speech: ")
    assert after.startswith(".") and after.count("assistant") + after.count("ASSISTANT") <= 1
    tokenizer = load_tokenizer(config_of(name))
    ids = tokenizer("the cow eats green grass", add_special_tokens=False).input_ids
    assert tokenizer.decode(ids) == "the cow eats green grass"


@pytest.mark.parametrize("name", LLMS)
def test_every_id_of_a_prompt_has_an_embedding(name: str, config_of) -> None:
    config = config_of(name)
    prompt = make_prompt(load_tokenizer(config), DEFAULT_PROMPT, config.chat_template)
    rows = len(load_llm(config).get_input_embeddings().weight)
    assert max(*prompt.prefix, *prompt.suffix, prompt.eos, prompt.pad, prompt.bos) < rows


@pytest.mark.parametrize("name", ["qwen3", "smollm3"])
def test_thinking_is_over_before_the_transcript(name: str, config_of) -> None:
    assert prompt_of(config_of(name))[1].endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("name", ["llama3", "smollm3"])
def test_a_template_with_a_clock_writes_the_same_prompt_every_day(
    name: str, config_of, monkeypatch
) -> None:
    from transformers.utils import chat_template_utils

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2031, 1, 2)

    before = prompt_of(config_of(name))
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    tokenizer = load_tokenizer(config_of(name))
    turn = [{"role": "user", "content": "-"}]
    assert "2031" in tokenizer.apply_chat_template(turn, tokenize=False)  # the clock is heard
    assert prompt_of(config_of(name)) == before
    assert "2024" in before[0]


def test_a_tokenizer_without_template_names_the_key(config_of) -> None:
    with pytest.raises(ConfigError, match=r"(?s)no chat template.*model\.chat_template"):
        prompt_of(config_of("vicuna", chat_template=None))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('only in pairs') }}", "only in pairs"),
        ("{{ messages[0].content[:9] }}", "does not keep"),
        ("{{ messages[0].content }}{% for %}", "cannot write"),
    ],
)
def test_a_template_that_refuses_or_drops_the_turn(template: str, said: str, config_of) -> None:
    with pytest.raises(ConfigError, match=rf"(?s){said}.*model\.chat_template"):
        prompt_of(config_of("qwen2", chat_template=template))


def test_a_tokenizer_without_end_names_the_key(config_of) -> None:
    tokenizer = load_tokenizer(config_of("qwen2"))
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match=r"(?s)no end-of-sequence token.*model\.llm"):
        make_prompt(tokenizer, DEFAULT_PROMPT)


def test_a_pad_token_that_the_llm_does_not_know_is_not_used(config_of, tmp_path: Path) -> None:
    """As people add it to a Llama: a token more than the LLM has rows."""
    from transformers import AutoTokenizer

    config = config_of("llama3")
    import shutil

    shutil.copytree(config.llm, tmp_path / "llm")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "llm")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(tmp_path / "llm")
    loaded = load_tokenizer(config.model_copy(update={"llm": str(tmp_path / "llm")}))
    assert tokenizer.pad_token_id == load_llm(config).config.vocab_size
    assert loaded.pad_token_id == loaded.eos_token_id


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (ENCODERS["hubert"][0], "is a HubertModel"),
        (ENCODERS["whisper"][0], "is an encoder-decoder"),
        (make_bart, "is an encoder-decoder"),
        (make_bert, "was saved as BertForMaskedLM, and not as BertLMHeadModel"),
        (make_vit, "is a ViTModel"),
    ],
)
def test_what_is_no_llm_is_refused(make, why: str, config_of, tmp_path: Path) -> None:
    config = config_of("qwen2").model_copy(update={"llm": str(make(tmp_path / "other"))})
    with pytest.raises(ConfigError, match=rf"(?s)model\.llm: .*{why}.*model\.encoder"):
        load_llm(config)


def test_an_llm_without_head_is_refused(config_of, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(config_of("mistral").llm).save_pretrained(tmp_path / "headless")
    config = config_of("mistral").model_copy(update={"llm": str(tmp_path / "headless")})
    with pytest.raises(ConfigError, match="saved as MistralModel, and not as MistralForCausalLM"):
        load_llm(config)


def test_a_folder_without_tokenizer_names_the_key(config_of, tmp_path: Path) -> None:
    load_llm(config_of("qwen2")).save_pretrained(tmp_path / "bare")
    config = config_of("qwen2").model_copy(update={"llm": str(tmp_path / "bare")})
    with pytest.raises(ConfigError, match=r"model\.llm: .*has no tokenizer"):
        load_tokenizer(config)


@pytest.mark.parametrize(
    ("setting", "package"),
    [({"load_in_4bit": True}, "bitsandbytes"), ({"llm_attention": "flash_attention_2"}, "flash")],
)
def test_a_way_of_loading_names_the_package_that_it_needs(
    setting: dict, package: str, config_of, monkeypatch
) -> None:
    monkeypatch.setattr("speechllm.model.llm.find_spec", lambda name: None)
    key = next(iter(setting))
    with pytest.raises(ConfigError, match=rf"(?s)model\.{key}.*{package}.*pip install"):
        load_llm(config_of("qwen2", **setting))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_is_what_the_config_says(attention: str, config_of) -> None:
    assert load_llm(config_of("qwen2", llm_attention=attention)).config._attn_implementation == (
        attention
    )


def test_four_bits(config_of) -> None:
    """Loads, trains LoRA over, and refuses to fold LoRA into 4-bit weights."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    import bitsandbytes

    config = config_of("qwen2", load_in_4bit=True, lora=LoraConfig(rank=2, alpha=4))
    model = SpeechLLM(config)
    layers = [m for m in model.llm.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 2 * 7
    names = set_trainable(model, ("projector.*", "llm.*.lora_*"))
    model(batch_for(model)).nll.backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert trained == set(names)
    with pytest.raises(ConfigError, match="load_in_4bit"):
        merge_lora(model.llm)


def batch_for(model: SpeechLLM) -> Batch:
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(n, 16)).astype(np.float16) for n in (9, 14)]
    examples = [Example(f"u{n}", "audio", f, [20, 21, 22]) for n, f in enumerate(frames)]
    return collate(examples, model.prompt, model.projector.output_length)


@pytest.mark.parametrize("name", LLMS)
def test_checkpointing_gives_the_same_gradients_for_a_second_pass(name: str, config_of) -> None:
    targets = LORA_TARGETS.get(name, ("q_proj", "v_proj"))
    lora = LoraConfig(rank=2, alpha=4, dropout=0.1, targets=targets)
    torch.manual_seed(0)
    model = SpeechLLM(config_of(name, lora=lora)).train()
    # LoRA over frozen embeddings, with text in the slot: no input of a layer requires a gradient.
    names = set_trainable(model, ("llm.*.lora_*",))
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    example = Example("u", "clean_text", [20, 21, 22], [23, 24])
    batch = collate([example], model.prompt, model.projector.output_length)
    calls: list[int] = []
    layers = model.llm.get_base_model().model.layers
    layers[0].mlp.register_forward_pre_hook(lambda *args: calls.append(1))

    def gradients(on: bool) -> tuple[list[torch.Tensor], int]:
        checkpoint_gradients(model.llm, on)
        calls.clear()
        model.zero_grad(set_to_none=True)
        torch.manual_seed(1)  # dropout
        model(batch).nll.backward()
        found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        assert set(found) == set(names)
        return list(found.values()), len(calls)

    plain, once = gradients(False)
    checkpointed, twice = gradients(True)
    assert (once, twice) == (1, 2)
    for a, b in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(a, b)
    assert gradients(False)[1] == 1
    assert any(gradient.abs().max() > 1e-6 for gradient in plain)


def test_prompt_is_a_pure_function(config_of) -> None:
    config = config_of("gemma3")
    prompts: list[Prompt] = [
        make_prompt(load_tokenizer(config), DEFAULT_PROMPT, config.chat_template) for _ in range(2)
    ]
    assert prompts[0] == prompts[1]
