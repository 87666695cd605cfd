"""Text spelled in the tokens of an LLM's first merges."""

import pytest

from speechllm.errors import ConfigError
from speechllm.slot.text.letters import Letters
from speechllm.slot.text.pieces import Pieces
from tests.helpers.tiny import SENTENCES


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
    assert [p for token in tokens for p in pieces.of_token(token, False)] == pieces(sentence)
    first, *rest = tokenizer(sentence, add_special_tokens=False).input_ids
    parts = pieces.of_token(first, True) + [
        p for token in rest for p in pieces.of_token(token, False)
    ]
    assert parts == pieces(sentence)  # of an answer that begins without a space
    letters = Letters(tokenizer)
    assert [c for token in tokens for c in letters.of_token(token, False)] == letters(sentence)


def test_a_transcript_holds_no_control_tokens(tokenizer) -> None:
    pieces, special = Pieces(tokenizer, 20), tokenizer.all_special_tokens[0]
    assert not set(pieces(f"the {special} cow")) & set(tokenizer.all_special_ids)


def test_another_kind_of_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="pieces are of BPE"):
        Pieces(object(), 20)


def changed(tokenizer, **changes: object):
    """The same tokenizer with other settings of its model, as other LLMs have them."""
    import json

    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer = changes.pop("normalizer", parts["normalizer"])
    parts |= {"model": parts["model"] | changes, "normalizer": normalizer}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(parts)))


def test_words_that_are_tokens_are_cut_as_well(tokenizer) -> None:
    """Llama 3 looks words up in its vocabulary before it merges (`ignore_merges`)."""
    text = "the cow eats"
    assert Pieces(changed(tokenizer, ignore_merges=True), 20)(text) == Pieces(tokenizer, 20)(text)


def test_a_tokenizer_that_begins_every_text_with_a_space_is_refused(tokenizer) -> None:
    """SentencePiece's (Llama 2): a token inside a word would be read as a word of its own."""
    spaced = changed(tokenizer, normalizer={"type": "Prepend", "prepend": " "})
    with pytest.raises(ConfigError, match="no BPE of bytes"):
        Pieces(spaced, 20)


def test_a_token_of_half_a_character_has_its_own_piece(tokenizer) -> None:
    pieces = Pieces(tokenizer, 20)
    halves = tokenizer("\N{LATIN CAPITAL LETTER Z WITH CARON}", add_special_tokens=False).input_ids
    assert len(halves) == 2
    assert [p for token in halves for p in pieces.of_token(token, False)] == halves
