"""Greedy search with a draft: the LLM checks the CTC transcript, many tokens at once.

Without a draft, an LLM reads all of its weights for each token. It checks a draft in one pass, as
in training: it predicts the token at each place. Up to the first one that differs, the draft is the
greedy hypothesis; after it, the rest of the draft is tried again. So the text is that of greedy
search, whatever the draft; only the passes are fewer. This is speculative decoding (2211.17192)
with the projector's CTC in place of a small LLM.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from speechllm.decode.search.beam import Ended
from speechllm.model.llm import base_of, head_sees_only

MOST = 24  # tokens of a draft in a pass: so many cost little more than one
LOOK = 4  # tokens, ahead and back, within which a draft is resumed after a token that differs


class Draft:
    """Draft of a hypothesis, and the place reached in it.

    Args:
        ids: tokens of the draft.
        end: the token that ends a hypothesis.
        begins: says whether a token begins a word.
    """

    def __init__(self, ids: Sequence[int], end: int, begins: Callable[[int], bool]):
        self.ids, self.end, self.begins, self.place = list(ids), end, begins, 0

    def rest(self, most: int) -> list[int]:
        return [*self.ids[self.place :], self.end][:most]

    def follow(self, right: int, instead: Sequence[int]) -> None:
        """Move on after a check by the LLM.

        Args:
            right: number of tokens that were right.
            instead: the LLM's tokens in place of the next ones; empty if all tried were right.
        """
        place = self.place = self.place + right
        if not instead:
            return
        # The LLM's later tokens are mostly better than the draft's. The first of them is not: it
        # comes right after the wrong token.
        for later, token in enumerate(instead[2:], place + 2):
            if later < len(self.ids):
                self.ids[later] = token
        near = [*range(place, place + LOOK), *range(place - 1, place - LOOK, -1)]
        known = [p for p in near if 0 <= p < len(self.ids) and self.ids[p] == instead[0]]
        if known:
            self.place = known[0] + 1
        elif self.begins(instead[0]) or not self._is_word(place):  # another word than this one
            words = (p for p in range(place + 1, len(self.ids)) if self._is_word(p))
            self.place = next(words, len(self.ids))
        # Else the word before is longer than in the draft: stay at this place.

    def _is_word(self, place: int) -> bool:
        return place >= len(self.ids) or self.begins(self.ids[place])


def can_check(llm: nn.Module) -> bool:
    """Whether an LLM of transformers can remove positions from its cache."""
    layers = DynamicCache(config=base_of(llm).config).layers
    return all(type(layer) is DynamicLayer for layer in layers)


def write(llm: nn.Module, prompt: Tensor, draft: Draft, bound: int, ends: Sequence[int]) -> Ended:
    """Find the greedy hypothesis of an utterance with a draft.

    Args:
        llm: must pass `can_check`.
        prompt: [L, E] embeddings of the prompt.
        draft: guess of the hypothesis.
        bound: most tokens, at least 1.
        ends: tokens that end a hypothesis.
    """
    llm = base_of(llm)
    embed, cache = llm.get_input_embeddings(), DynamicCache(config=llm.config)
    ids: list[int] = []
    unread, score = prompt[None], 0.0
    while len(ids) < bound:
        tried = draft.rest(min(MOST, bound - len(ids)))
        # The last one is not read: the position before it says whether it is right.
        read = torch.tensor([tried[:-1]], dtype=torch.long, device=prompt.device)
        embeddings = torch.cat([unread, embed(read)], 1)
        asked = torch.zeros(embeddings.shape[:2], dtype=torch.bool, device=prompt.device)
        asked[:, -len(tried) :] = True
        with head_sees_only(llm, asked):
            logits = llm(inputs_embeds=embeddings, past_key_values=cache, use_cache=True).logits
        costs, best = logits.float().log_softmax(-1).max(-1)
        found = best.flatten().tolist()
        pairs = zip(found, tried, strict=True)
        right = next((n for n, (one, other) in enumerate(pairs) if one != other), len(tried))
        end = next((n for n, token in enumerate(found[: right + 1]) if token in ends), None)
        new = found[: right + 1 if end is None else end + 1]
        score += float(costs.flatten()[: len(new)].sum())
        if end is not None:
            return Ended(score, (*ids, *new[:-1]))
        ids += new
        cache.crop(min(right - len(tried) + 1, 0))
        draft.follow(right, found[right:])
        unread = embed(torch.tensor([new[-1:]], device=prompt.device))
    return Ended(score, tuple(ids))
