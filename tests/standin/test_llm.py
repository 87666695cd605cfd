import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from speechllm.config import SPEECH_MARKER
from speechllm.errors import DataError
from speechllm.slot.prompt import make_prompt
from speechllm.standin.llm import Garbler, LLMOptions, train_llm, train_tokenizer
from tests.helpers.tiny import SENTENCES

TINY = LLMOptions(vocab_size=300, width=16, layers=1, heads=2, steps=2, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standin") / "llm"
    train_llm(SENTENCES, folder, TINY)
    return folder


def test_the_chat_template_marks_every_turn(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "good day"},
    ]
    turns = "<|system|>be brief<|end_of_turn|><|user|>hello<|end_of_turn|>"
    whole = f"<|begin_of_text|>{turns}<|assistant|>good day<|end_of_turn|>"
    assert tokenizer.apply_chat_template(chat, tokenize=False) == whole
    asked = tokenizer.apply_chat_template(chat[:2], tokenize=False, add_generation_prompt=True)
    assert asked == f"<|begin_of_text|>{turns}<|assistant|>"


def test_special_tokens_are_single_and_distinct(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
    special += [tokenizer.convert_tokens_to_ids(f"<|{r}|>") for r in ("user", "assistant")]
    assert None not in special and len(set(special)) == 5
    ids = tokenizer("<|user|>the cow<|end_of_turn|>", add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the cow"


def test_the_speech_marker_is_not_in_the_prompt_and_the_prompt_is_short(folder: Path) -> None:
    tokenizer = train_tokenizer(SENTENCES * 10, 400)
    prompt = make_prompt(tokenizer, TINY.prompt)
    rendered = tokenizer.decode(prompt.prefix + prompt.suffix)
    assert SPEECH_MARKER not in rendered
    assert rendered.startswith("<|begin_of_text|><|user|>Transcribe speech to text. Speech: ")
    assert prompt.overhead < 20


def test_items_start_clean_and_short_and_end_noisy_and_whole(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    garbler = Garbler(tokenizer, SENTENCES, random.Random(0))
    first = [garbler.item(SENTENCES[6], 0.0) for _ in range(50)]
    assert all(e.slot == e.target for e in first)
    assert all(len(tokenizer.decode(e.target).split()) <= 2 for e in first)
    last = [garbler.item(SENTENCES[6], 1.0) for _ in range(50)]
    assert 20 < sum(e.slot != e.target for e in last) < 50
    assert any(len(e.slot) == 0 for e in last)
    assert all(len(tokenizer.decode(e.target).split()) == 6 for e in last)


def test_one_sentence_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two different"):
        train_llm(["the cow", "the cow "], tmp_path / "llm", TINY)
