"""The stand-ins: small trainings of the real code."""

from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.config import DEFAULT_PROMPT
from speechllm.data.dirs.kaldi import DataDir, write_table
from speechllm.errors import ConfigError, DataError
from speechllm.files.own import read_json
from speechllm.model.encoder.encoder import Encoder
from speechllm.slot.prompt import make_prompt
from speechllm.standin.encoder import EncoderOptions, train_encoder
from speechllm.standin.llm import LLMOptions, train_llm, train_tokenizer
from speechllm.standin.misspell import garble, spell_out, stretch, with_made_up_words
from tests.helpers.tiny import SENTENCES, make_set

TINY_ENCODER = EncoderOptions(width=16, layers=1, heads=2, kernel=3, steps=8)
TINY_LLM = LLMOptions(vocab_size=300, width=16, layers=1, heads=2, steps=8, batch_size=4)


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """A data dir whose phones are its letters."""
    folder = make_set(tmp_path / "spoken", "spk")
    data = DataDir.load(folder)
    write_table(
        folder / "phones", {u: " ".join(t[:6].replace(" ", "")) for u, t in data.text.items()}
    )
    return folder


def test_the_encoder_folder_loads_through_auto_classes(spoken: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCTC

    train_encoder([spoken], spoken, tmp_path / "encoder", TINY_ENCODER)
    record = read_json(tmp_path / "encoder/standin.json")
    assert record["settings"]["steps"] == 8 and "spoken" in record["phone_error_rate"]
    frames = Encoder(str(tmp_path / "encoder")).encode([np.zeros(16000, np.float32)])[0]
    assert frames.shape[1] == 16 and 24 <= len(frames) <= 25
    head = AutoModelForCTC.from_pretrained(tmp_path / "encoder").lm_head
    assert head.in_features == 16


def test_a_finished_encoder_is_kept_and_other_settings_are_refused(
    spoken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "encoder"
    train_encoder([spoken], spoken, out, TINY_ENCODER)
    made = (out / "model.safetensors").stat().st_mtime_ns
    train_encoder([spoken], spoken, out, TINY_ENCODER)
    assert (out / "model.safetensors").stat().st_mtime_ns == made
    with pytest.raises(ConfigError, match="steps"):
        train_encoder([spoken], spoken, out, EncoderOptions(steps=9))


def test_utterances_without_phones_are_named(spoken: Path, tmp_path: Path) -> None:
    table = (spoken / "phones").read_text().splitlines()
    (spoken / "phones").write_text("\n".join(table[1:]) + "\n")
    with pytest.raises(DataError, match="spk-0"):
        train_encoder([spoken], spoken, tmp_path / "encoder", TINY_ENCODER)


def test_the_llm_folder_loads_through_auto_classes_and_is_reproducible(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for name in ("one", "two"):
        train_llm(SENTENCES, tmp_path / name, TINY_LLM)
    one, two = (AutoModelForCausalLM.from_pretrained(tmp_path / n) for n in ("one", "two"))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "one")
    assert make_prompt(tokenizer, DEFAULT_PROMPT).eos == tokenizer.eos_token_id
    accuracy = read_json(tmp_path / "one/standin.json")["copy_accuracy"]
    assert set(accuracy) == {"held_out", "made_up_words"}


@pytest.mark.parametrize(
    "text", ["the cow", "A-Z !@#$%^&*()_+", "  two  spaces ", "<|user|>?", "naïve 東京", "<speech>"]
)
def test_the_tokenizer_gives_any_text_back(text: str) -> None:
    tokenizer = train_tokenizer(SENTENCES, 300)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids) == text


def test_garbling_does_what_it_says() -> None:
    import random

    rng = random.Random(0)
    text = "the farmer repairs a broken fence"
    assert garble(text, rng, 0) == text
    assert garble(text, rng, 0.3) != text
    assert stretch([1, 2, 3], rng, 1) == [1, 2, 3]
    assert set(stretch([1, 2, 3], rng, 3)) == {1, 2, 3}
    assert spell_out("ab cd", lambda part: [len(part)], rng, 1) == [1, 1, 1, 1, 1]
    assert with_made_up_words(text, ["zzz"], rng, 0) == text
    assert set("".join(with_made_up_words(text, ["zzz"], rng, 1).split())) == {"z"}
