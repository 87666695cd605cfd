"""Greedy search with a draft: what CTC has read is checked by the LLM, many tokens at once.

Token by token, an LLM reads all of its weights for each token. A draft it reads in one pass, as in
training, and says at each place what it would have written. Up to the first other token that is the
greedy hypothesis itself; behind it what is left of the draft is tried again. So the text is that of
greedy search, whatever the draft, and only the passes are fewer: speculative decoding (2211.17192)
with the projector's CTC in place of a small LLM.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from speechllm.decode.search.beam import Ended
from speechllm.model.llm import base_of, head_sees_only

MOST = 24  # tokens of a draft in a pass: so many cost little more than one
LOOK = 4  # tokens of a draft, ahead and back, in which it may go on after another token


class Draft:
    """What may come next.

    Args:
        ids: of the draft.
        end: the token that ends a hypothesis.
        begins: whether a word begins with a token.
    """

    def __init__(self, ids: Sequence[int], end: int, begins: Callable[[int], bool]):
        self.ids, self.end, self.begins, self.place = list(ids), end, begins, 0

    def rest(self, most: int) -> list[int]:
        return [*self.ids[self.place :], self.end][:most]

    def follow(self, right: int, instead: Sequence[int]) -> None:
        """Go on behind `right` tokens that were right.

        Args:
            right: how many.
            instead: what the LLM has in place of the next ones; empty where all tried were right.
        """
        place = self.place = self.place + right
        if not instead:
            return
        # With the draft before them its later answers are mostly better than the draft. The first
        # comes right behind what was wrong, and is not.
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
        # Else the word before is longer than it was thought to be.

    def _is_word(self, place: int) -> bool:
        return place >= len(self.ids) or self.begins(self.ids[place])


def can_check(llm: nn.Module) -> bool:
    """Whether an LLM of transformers can take back positions that it has read."""
    layers = DynamicCache(config=base_of(llm).config).layers
    return all(type(layer) is DynamicLayer for layer in layers)


def write(llm: nn.Module, prompt: Tensor, draft: Draft, bound: int, ends: Sequence[int]) -> Ended:
    """The greedy hypothesis of an utterance.

    Args:
        llm: one that `can_check`.
        prompt: [L, E] its embeddings.
        draft: what may be right.
        bound: most tokens, at least 1.
        ends: tokens that end a hypothesis.
    """
    llm = base_of(llm)
    embed, cache = llm.get_input_embeddings(), DynamicCache(config=llm.config)
    ids: list[int] = []
    unread, score = prompt[None], 0.0
    while len(ids) < bound:
        tried = draft.rest(min(MOST, bound - len(ids)))
        # The last one is not read: whether it is right, the position before says.
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
