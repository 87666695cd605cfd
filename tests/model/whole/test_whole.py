"""A trained Speech LLM, taken apart, says what it says in one piece."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from speechllm.config import LoraConfig, ModelConfig
from speechllm.decode.config import DecodeConfig
from speechllm.decode.search.search import search
from speechllm.errors import ConfigError
from speechllm.model.bundle import load_bundle, save_bundle
from speechllm.model.encoder.encoder import Encoder
from speechllm.model.speech_llm import SpeechLLM, set_trainable
from speechllm.slot.collate import Batch, Example, collate
from tests.helpers.speech_llms import MAKERS, make_granite_speech
from tests.helpers.tiny import make_llm

SECONDS = 1.3
CARD = (  # the system's turn in Granite's model card
    "Knowledge Cutoff Date: April 2024.\nToday's Date: April 9, 2025.\n"
    "You are Granite, developed by IBM. You are a helpful AI assistant"
)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("speech_llms")
    return lambda family: MAKERS[family](root / family)


@pytest.fixture(scope="module", params=MAKERS)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(family: str, folder_of: Callable[[str], Path]) -> Path:
    return folder_of(family)


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeechLLM:
    return SpeechLLM(ModelConfig(speech_llm=str(folder))).eval()


@pytest.fixture
def wave() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(SECONDS * 16000)).astype(np.float32)


def processed(family: str, folder: Path, wave: np.ndarray) -> dict[str, Any]:
    """What the model's own processor makes of an utterance, used as its documentation says."""
    from transformers import AutoProcessor

    if family == "granite_speech":
        pytest.importorskip("torchaudio", reason="Granite's feature extractor needs it")
    processor = AutoProcessor.from_pretrained(folder)
    if family == "qwen3_asr":
        return processor.apply_transcription_request([wave], language="en")
    if family == "voxtral":
        return processor.apply_transcription_request(
            [wave], model_id="voxtral", language="en", format=["wav"], sampling_rate=16000
        )
    if family == "qwen2_audio":
        ask = "Please recognize the speech and only output the recognized content:"
        content = [{"type": "audio", "audio_url": "x"}, {"type": "text", "text": ask}]
        turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    else:
        ask = "<|audio|>can you transcribe the speech into a written format?"
        turns = [{"role": "system", "content": CARD}, {"role": "user", "content": ask}]
    text = (processor if family == "qwen2_audio" else processor.tokenizer).apply_chat_template(
        turns, add_generation_prompt=True, tokenize=False
    )
    return processor(text=text, audio=[wave], return_tensors="pt")


def unheard(model: SpeechLLM, folder: Path) -> dict[str, Any]:
    """Inputs for Granite without its feature extractor: 17 frames of noise."""
    from transformers import AutoConfig

    audio = [AutoConfig.from_pretrained(folder).audio_token_id] * model.projector.output_length(17)
    ids = [*model.prompt.prefix, *audio, *model.prompt.suffix]
    features = torch.randn(1, 17, 16, generator=torch.Generator().manual_seed(0))
    return {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
        "input_features": features,
    }


def original(folder: Path, inputs: dict[str, Any]) -> tuple[torch.Tensor, np.ndarray]:
    """The whole model's logits [L, V], and the frames [T, D] that its projector is given."""
    from transformers import AutoModelForMultimodalLM

    whole = AutoModelForMultimodalLM.from_pretrained(folder).eval()
    projector = getattr(whole.model, "multi_modal_projector", None) or whole.model.projector
    frames: list[torch.Tensor] = []
    projector.register_forward_pre_hook(lambda module, args: frames.append(args[0]))
    with torch.inference_mode():
        logits = whole(**inputs).logits[0]
    scale = getattr(whole.config.get_text_config(), "logits_scaling", 1.0)
    spoken = int((inputs["input_ids"] == whole.config.audio_token_id).sum())
    found = frames[0].reshape(-1, 16).numpy()  # before Voxtral stacks them
    if len(found) > spoken and "feature_attention_mask" in inputs:  # the window's rest
        found = found[:spoken]
    # transformers 5.23 applies Granite's scaling of logits in GraniteForCausalLM alone.
    return logits / scale, found


def heard(model: SpeechLLM, *frames: np.ndarray, **options: Any) -> Batch:
    target = model.tokenizer("the old cow", add_special_tokens=False).input_ids
    examples = [Example(f"u{n}", "audio", f, target) for n, f in enumerate(frames)]
    return collate(examples, model.prompt, model.projector.output_length, **options)


def logits_of(model: SpeechLLM, batch: Batch) -> torch.Tensor:
    with torch.inference_mode():
        return model.llm(
            inputs_embeds=model.fill(batch).embeddings, attention_mask=batch.attention_mask
        ).logits


def test_the_prompt_is_that_of_the_processor(
    family: str, folder: Path, model: SpeechLLM, wave: np.ndarray
) -> None:
    inputs = processed(family, folder, wave)
    batch = heard(model, Encoder(str(folder), window="kept").encode([wave])[0], with_target=False)
    ids = inputs["input_ids"].tolist()[0]
    assert batch.input_ids.shape == inputs["input_ids"].shape
    audio = batch.speech_mask[0].tolist()
    assert [i for i, spoken in zip(ids, audio, strict=True) if spoken] == [
        model.tokenizer.convert_tokens_to_ids(
            {"qwen2_audio": "<|AUDIO|>", "qwen3_asr": "<|audio_pad|>", "voxtral": "[AUDIO]"}.get(
                family, "<|audio|>"
            )
        )
    ] * sum(audio)
    written = batch.input_ids[0].tolist()
    assert [i for i, s in zip(ids, audio, strict=True) if not s] == [
        i for i, s in zip(written, audio, strict=True) if not s
    ]


def test_logits_are_those_of_the_whole_model(
    family: str, folder: Path, model: SpeechLLM, wave: np.ndarray
) -> None:
    inputs = (
        unheard(model, folder) if family == "granite_speech" else processed(family, folder, wave)
    )
    wanted, frames = original(folder, dict(inputs))
    found = logits_of(model, heard(model, frames, with_target=False))[0]
    assert wanted.std() > 0.1
    assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_logits_from_cached_frames(
    family: str, folder: Path, model: SpeechLLM, wave: np.ndarray
) -> None:
    wanted, _ = original(folder, dict(processed(family, folder, wave)))
    frames = Encoder(str(folder), window="kept").encode([wave])[0]
    found = logits_of(model, heard(model, frames, with_target=False))[0]
    assert (found - wanted).square().mean().sqrt() < 0.005 * wanted.std()
    assert (found - wanted).abs().max() < 0.05 * wanted.std()


def noise(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(n, 16)).astype(np.float16) for n in lengths]


def test_an_utterance_is_scored_as_if_alone(model: SpeechLLM) -> None:
    frames = noise(13, 29, 18)
    with torch.inference_mode():
        together = model(heard(model, *frames)).nll
        alone = sum(model(heard(model, f)).nll for f in frames)
    assert_close(together, alone, rtol=1e-4, atol=1e-3)


def test_padding_never_reaches_the_projector(model: SpeechLLM) -> None:
    frames, lengths = torch.randn(2, 20, 16), torch.tensor([13, 20])
    with torch.inference_mode():
        clean = model.projector(frames, lengths)
        frames[0, 13:] = 7.0
        assert torch.equal(model.projector(frames, lengths), clean)
    expected = sum(model.projector.output_length(int(n)) for n in lengths)
    assert clean.shape == (expected, 16)


def test_batched_search_decodes_each_as_if_alone(model: SpeechLLM) -> None:
    frames, config = noise(13, 29, 18), DecodeConfig(beam=3, min_tokens=6)
    together = search(model, heard(model, *frames, with_target=False), [0.1] * 3, config)
    alone = [
        search(model, heard(model, f, with_target=False), [0.1], config)[0][0].text for f in frames
    ]
    assert [best.text for best, *_ in together] == alone and any(alone)


def test_search_ends_at_every_token_that_ends_an_answer(model: SpeechLLM) -> None:
    batch = heard(model, *noise(13), with_target=False)
    config = DecodeConfig(beam=1, min_tokens=6)
    first = int(logits_of(model, batch)[0, -1].argmax())
    assert search(model, batch, [0.1], config)[0][0].tokens > 0
    known = model.prompt
    model.prompt = dataclasses.replace(known, stops=(*known.stops, first))
    assert search(model, batch, [0.1], config)[0][0].tokens == 0
    model.prompt = known


def test_lora_and_projector_survive_a_bundle(
    family: str, model: SpeechLLM, folder: Path, tmp_path: Path
) -> None:
    base = SpeechLLM(model.config).eval()
    assert set_trainable(base, ()) == []
    save_bundle(tmp_path / "base", base)
    adapted = load_bundle(tmp_path / "base")
    batch = heard(model, *noise(13, 20))
    assert_close(adapted(batch).nll, model(batch).nll)
    adapted.replace_lora(LoraConfig(rank=2, alpha=4))
    names = set_trainable(adapted, ("projector.*", "llm.*.lora_*"))
    assert any("lora_B" in name for name in names)
    for parameter in filter(lambda p: p.requires_grad, adapted.parameters()):
        parameter.data += 0.1
    save_bundle(tmp_path / "child", adapted.eval(), parent=tmp_path / "base")
    loaded = load_bundle(tmp_path / "child")
    assert_close(loaded(batch).nll, adapted(batch).nll)
    assert not torch.isclose(loaded(batch).nll, model(batch).nll)


def test_a_frozen_projector_has_no_dropout(folder_of: Callable[[str], Path]) -> None:
    model = SpeechLLM(ModelConfig(speech_llm=str(folder_of("granite_speech"))))
    set_trainable(model, ())
    batch = heard(model, *noise(20))
    assert torch.equal(*(model.train().fill(batch).embeddings for _ in range(2)))
    set_trainable(model, ("projector.*",))
    assert not torch.equal(*(model.train().fill(batch).embeddings for _ in range(2)))


def test_what_ends_an_answer_is_what_the_template_writes(
    folder_of: Callable[[str], Path],
) -> None:
    model = SpeechLLM(ModelConfig(speech_llm=str(folder_of("qwen2_audio"))))
    names = model.tokenizer.convert_ids_to_tokens([model.prompt.eos, *model.prompt.stops])
    assert names == ["<|im_end|>", "<|endoftext|>"] and model.tokenizer.eos_token == names[1]


def test_a_prompt_does_not_change_from_day_to_day(
    folder_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig(speech_llm=str(folder_of("granite_speech")))
    model = SpeechLLM(config)
    assert model.tokenizer.decode(model.prompt.prefix).startswith(
        f"<|start_of_role|>system<|end_of_role|>{CARD}"
    )


def test_instruction_language_and_template_are_the_config_s(
    folder_of: Callable[[str], Path],
) -> None:
    def text(family: str, **settings: Any) -> str:
        model = SpeechLLM(ModelConfig(speech_llm=str(folder_of(family)), **settings))
        return "|".join(map(model.tokenizer.decode, (model.prompt.prefix, model.prompt.suffix)))

    german = text("qwen3_asr", language="German", prompt="Traktor, Weizen")
    assert german.startswith("<|im_start|>system\nTraktor, Weizen<|im_end|>")
    assert german.endswith("assistant\nlanguage German<asr_text>")
    template = "<|audio_bos|><|AUDIO|><|audio_eos|>{{ messages[0].content[1].text }}"
    plain = text("qwen2_audio", chat_template=template, prompt="Say it:")
    assert plain == "<|audio_bos|>|<|audio_eos|>Say it:"
    with pytest.raises(ConfigError, match="names no language"):
        text("granite_speech", language="German")
    with pytest.raises(ConfigError, match="audio in 0 places"):
        text("qwen2_audio", chat_template="no audio")
    with pytest.raises(ConfigError, match=r"prompt cannot be made.*Elvish"):
        text("qwen3_asr", language="Elvish")


def test_an_adapter_of_the_model_is_folded_into_its_weights(
    tmp_path: Path, folder_of: Callable[[str], Path]
) -> None:
    folder = make_granite_speech(tmp_path / "adapted", adapter=True)
    model = SpeechLLM(ModelConfig(speech_llm=str(folder))).eval()
    assert not any("lora" in name for name, _ in model.named_parameters())
    inputs = unheard(model, folder)
    wanted, frames = original(folder, inputs)
    found = logits_of(model, heard(model, frames, with_target=False))[0]
    assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    without, _ = original(folder_of("granite_speech"), inputs)
    assert (wanted - without).abs().max() > 0.1
    (folder / "adapter_config.json").unlink()
    with pytest.raises(ConfigError, match="needs its LoRA adapter"):
        SpeechLLM(ModelConfig(speech_llm=str(folder)))


def test_a_sketch_has_no_weights(model: SpeechLLM) -> None:
    with torch.device("meta"):
        sketch = SpeechLLM(model.config)
    shapes = [{n: p.shape for n, p in m.named_parameters()} for m in (sketch, model)]
    assert shapes[0] == shapes[1] and all(p.is_meta for p in sketch.parameters())


def test_an_llm_is_no_speech_llm(tmp_path: Path) -> None:
    folder = make_llm(tmp_path / "llm")
    with pytest.raises(ConfigError, match=r"(?s)kind 'llama'.*qwen2_audio.*families\.py"):
        SpeechLLM(ModelConfig(speech_llm=str(folder)))


def test_missing_processor_files_are_named(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, bare)
    with pytest.raises(ConfigError, match=r"(?s)holds no processor.*tokenizer_config\.json"):
        SpeechLLM(ModelConfig(speech_llm=str(bare)))


def test_missing_weights_are_named(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(folder_of("qwen2_audio"), broken)
    tensors = load_file(broken / "model.safetensors")
    removed = next(name for name in tensors if "projector" in name)
    del tensors[removed]
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match=r"lack 1 tensors of a Qwen2Audio.*projector"):
        SpeechLLM(ModelConfig(speech_llm=str(broken)))
