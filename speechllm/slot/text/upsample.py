"""Upsampled and masked text: a transcript made as long and as vague as speech (2412.06967)."""

import random
from collections.abc import Sequence
from typing import Any


def upsample_and_mask(tokens: Sequence[int], mask: int, rng: random.Random) -> list[int]:
    """Write each token once or twice, by chance, and mask half of the result.

    Args:
        tokens: token ids of a transcript.
        mask: id of the token that hides another.
        rng: the only source of chance.
    """
    longer = [token for token in tokens for _ in range(rng.randint(1, 2))]
    for place in rng.sample(range(len(longer)), len(longer) // 2):
        longer[place] = mask
    return longer


def mask_token(tokenizer: Any) -> int:
    """Mask token of a tokenizer; for an LLM, which has none, its pad token, or else eos.

    Neither of these occurs inside a text. The paper does not name its mask.
    """
    ids = (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next(token for token in ids if token is not None)
