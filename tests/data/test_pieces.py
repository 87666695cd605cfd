"""Text spelled in the tokens of an LLM's first merges."""

import pytest

from speechllm.data.letters import Letters
from speechllm.data.pieces import Pieces
from speechllm.errors import ConfigError
from tests.tiny import SENTENCES


@pytest.fixture(scope="module")
def tokenizer():
    from speechllm.standin.llm import train_tokenizer

    return train_tokenizer([*SENTENCES, "THE COW", "AB ab"], 400)


def test_pieces_read_as_the_text_and_are_known(tokenizer) -> None:
    pieces = Pieces(tokenizer, 20)
    spelled = pieces("  the cow  eats ")
    assert tokenizer.decode(spelled).strip() == "the cow eats"
    assert set(spelled) <= set(pieces.ids) and pieces.ids == sorted(set(pieces.ids))
    assert not set(pieces.ids) & set(tokenizer.all_special_ids)
    assert pieces("") == []


def test_fewer_merges_make_more_pieces(tokenizer) -> None:
    text = " ".join(SENTENCES)
    counts = [len(Pieces(tokenizer, merges)(text)) for merges in (1, 20, 60, 10**6)]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) == 4
    whole = tokenizer(f" {text}", add_special_tokens=False).input_ids
    assert Pieces(tokenizer, 10**6)(text) == whole


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_token_is_a_row_of_pieces(tokenizer, sentence: str) -> None:
    pieces = Pieces(tokenizer, 30)
    tokens = tokenizer(f" {sentence}", add_special_tokens=False).input_ids
    parts = [piece for token in tokens for piece in pieces.part(tokenizer.decode([token]))]
    assert parts == pieces(sentence)
    letters = Letters(tokenizer)
    parts = [letter for token in tokens for letter in letters.part(tokenizer.decode([token]))]
    assert parts == letters(sentence)


def test_a_transcript_holds_no_control_tokens(tokenizer) -> None:
    pieces, special = Pieces(tokenizer, 20), tokenizer.all_special_tokens[0]
    assert not set(pieces(f"the {special} cow")) & set(tokenizer.all_special_ids)


def test_another_kind_of_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="pieces are of BPE"):
        Pieces(object(), 20)
