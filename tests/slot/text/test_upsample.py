import random
from collections import Counter
from types import SimpleNamespace

from speechllm.slot.text.upsample import mask_token, upsample_and_mask
from speechllm.standin.llm import train_tokenizer
from tests.helpers.tiny import SENTENCES

MASK = 0


def test_tokens_stand_once_or_twice_and_half_of_all_are_masked() -> None:
    tokens = list(range(1, 201))
    for seed in range(20):
        out = upsample_and_mask(tokens, MASK, random.Random(seed))
        assert 200 <= len(out) <= 400
        assert out.count(MASK) == len(out) // 2
        left = [token for token in out if token != MASK]
        assert left == sorted(left) and max(Counter(left).values()) <= 2


def test_the_length_grows_by_half_on_average() -> None:
    grown = sum(len(upsample_and_mask([7] * 100, MASK, random.Random(s))) for s in range(200))
    assert 1.48 < grown / 20_000 < 1.52


def test_equal_seeds_give_equal_text_and_nothing_stays_nothing() -> None:
    assert upsample_and_mask([], MASK, random.Random(0)) == []
    one, two = (upsample_and_mask(range(9), MASK, random.Random(3)) for _ in range(2))
    assert one == two


def test_the_mask_is_a_token_that_never_stands_in_a_text() -> None:
    tokenizer = train_tokenizer(SENTENCES, 300)
    assert mask_token(tokenizer) == tokenizer.pad_token_id
    ids = {"mask_token_id": None, "pad_token_id": None, "eos_token_id": 5}
    assert mask_token(SimpleNamespace(**ids)) == 5
    assert mask_token(SimpleNamespace(**{**ids, "mask_token_id": 3})) == 3
