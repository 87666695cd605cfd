"""Text spelled in tokens of one letter each."""

from types import SimpleNamespace

import pytest

from speechllm.errors import ConfigError
from speechllm.slot.text.letters import Letters
from tests.helpers.tiny import SENTENCES


@pytest.fixture(scope="module")
def tokenizer():
    from speechllm.standin.llm import train_tokenizer

    return train_tokenizer([*SENTENCES, "THE COW", "AB ab"], 400)


def test_letters_read_as_the_text_and_are_known(tokenizer) -> None:
    letters = Letters(tokenizer)
    spelled = letters("  the cow  eats ")
    assert "".join(tokenizer.decode([i]) for i in spelled).split() == ["the", "cow", "eats"]
    assert tokenizer.decode(spelled).strip() == "the cow eats"
    assert set(spelled) <= set(letters.ids) and letters.ids == sorted(set(letters.ids))
    assert all(len(tokenizer.decode([i]).strip()) <= 1 for i in letters.ids)
    assert not set(letters.ids) & set(tokenizer.all_special_ids)
    assert letters("") == []


def test_what_is_no_token_of_its_own_is_left_out(tokenizer) -> None:
    letters = Letters(tokenizer)
    assert letters("the co\N{SNOWMAN}w") == letters("the cow")


class WordTokenizer:
    """One that marks the beginning of a word before every piece it is asked for."""

    all_special_ids = ()

    def get_vocab(self) -> dict[str, int]:
        return {chr(n): n for n in range(32, 127)}

    def batch_decode(self, rows) -> list[str]:
        return [chr(row[0]) for row in rows]

    def __call__(self, text: str, add_special_tokens: bool):
        return SimpleNamespace(input_ids=[ord(c) for c in text.strip()])

    def decode(self, ids) -> str:
        return " ".join(map(chr, ids))


def test_a_tokenizer_without_letters_inside_words_is_refused() -> None:
    with pytest.raises(ConfigError, match="this LLM's tokenizer has no letters"):
        Letters(WordTokenizer())
