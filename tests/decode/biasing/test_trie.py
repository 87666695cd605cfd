"""What phrases earn along a hypothesis: kept when finished, taken back when left."""

import random
from pathlib import Path

import pytest

from speechllm.decode.biasing.trie import Trie, TrieState, begins_word, closes_word
from tests.helpers.tiny import make_llm


class Words:
    """A tokenizer of pieces: `beet+s` is two tokens; "_" marks the beginning of a word."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {"<eos>": 0}

    def __call__(self, texts: str | list[str], add_special_tokens: bool) -> "Words":
        assert not add_special_tokens
        one = isinstance(texts, str)
        found = [self.encode(text) for text in ([texts] if one else texts)]
        self.input_ids = found[0] if one else found
        return self

    def __len__(self) -> int:
        return len(self.ids)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [list(self.ids)[i] for i in ids]

    def encode(self, text: str) -> list[int]:
        pieces = []
        for number, word in enumerate(text.split()):
            first, *rest = word.split("+")
            pieces += [f"_{first}" if number else first, *rest]
        return [self.ids.setdefault(piece, len(self.ids)) for piece in pieces]


def earned(phrases: list[str], text: str, end: bool = True) -> list[int]:
    """What a hypothesis has earned behind each of its tokens."""
    words = Words()
    Trie(phrases, words, [False] * 99, [0])
    ids = words.encode(text)
    start = [piece.startswith("_") for piece in words.ids]
    trie = Trie(phrases, words, start, [0, *closes_word(words, len(words.ids))])
    state, totals = TrieState(), []
    for token in [*ids, 0] if end else ids:
        state = trie.step(state, token)
        totals.append(state.total)
    return totals


@pytest.mark.parametrize(
    ("phrases", "text", "totals"),
    [
        (["sugar beet"], "the sugar beet grows", [0, 1, 2, 2, 2]),
        (["sugar beet"], "the sugar cane grows", [0, 1, 0, 0, 0]),
        (["sugar beet"], "the sugar", [0, 1, 0]),
        (["sugar beet"], "sugar beet", [1, 2, 2]),
        (["beet"], "sugar beet+s", [0, 1, 0, 0]),  # the word goes on: it is another one
        (["beet+s"], "sugar beet+s", [0, 1, 2, 2]),
        (["beet"], "sugar beet+. now", [0, 1, 1, 1, 1]),  # the word is over at its mark
        (["beet"], "sugar beet+'+s", [0, 1, 0, 0, 0]),
        (["beet+."], "sugar beet+. beet", [0, 1, 2, 3, 2]),
        (["oat"], "g+.+oat", [0, 0, 0, 0]),
        (["beet"], "sugar+ beet", [0, 0, 1, 1]),
        (["oat"], "g+oat", [0, 0, 0]),  # not at the start of a word
        (["sugar", "sugar beet pulp"], "a sugar beet cane", [0, 1, 2, 1, 1]),
        (["sugar beet pulp", "beet cane"], "a sugar beet cane", [0, 1, 2, 2, 2]),
        (["sugar beet pulp", "beet"], "a sugar beet cane", [0, 1, 2, 1, 1]),
        (["sugar beet", "beet pulp"], "a sugar beet pulp x", [0, 1, 2, 3, 3, 3]),
        (["a b a c"], "a b a b a c", [1, 2, 3, 2, 3, 4, 4]),
        (["beet", "beet"], "beet beet", [1, 2, 2]),
        ([], "a b", [0, 0, 0]),
    ],
)
def test_what_a_hypothesis_earns(phrases: list[str], text: str, totals: list[int]) -> None:
    assert earned(phrases, text) == totals


def test_a_real_tokenizer_marks_its_words(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_llm(tmp_path))
    start = begins_word(tokenizer, len(tokenizer) + 3)
    assert len(start) == len(tokenizer) + 3 and not any(start[len(tokenizer) :])
    trie = Trie(["green grass", "cow"], tokenizer, start, [tokenizer.eos_token_id])
    for text, phrase in [
        ("cow eats", "cow"),
        ("the cow", "cow"),
        ("eats green grass", "green grass"),
    ]:
        state = TrieState()
        for token in [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]:
            state = trie.step(state, token)
        covered = [i for i in range(state.length) if state.kept >> i & 1]
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode([ids[i] for i in covered]).strip() == phrase


def test_long_lists_become_a_tree(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_llm(tmp_path))
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(4, 11))) for _ in range(20_000)]
    trie = Trie(words, tokenizer, begins_word(tokenizer, len(tokenizer)), [0])
    assert len(trie.later) > 5
