"""Upsampled and masked text: a transcript made as long and as vague as speech (2412.06967)."""

import random
from collections.abc import Sequence
from typing import Any


def upsample_and_mask(tokens: Sequence[int], mask: int, rng: random.Random) -> list[int]:
    """Write each token once or twice, by chance, and mask half of all that then stands there.

    Args:
        tokens: of a transcript.
        mask: the token that hides another.
        rng: the only source of chance.
    """
    longer = [token for token in tokens for _ in range(rng.randint(1, 2))]
    for place in rng.sample(range(len(longer)), len(longer) // 2):
        longer[place] = mask
    return longer


def mask_token(tokenizer: Any) -> int:
    """The tokenizer's own mask; for an LLM, which has none, its pad token, or else eos.

    Both are tokens that never stand inside a text. The paper does not name its mask.
    """
    ids = (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next(token for token in ids if token is not None)
