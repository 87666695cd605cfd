"""Passes of the LLM in a search: the prompts first, then one token of each row."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from speechllm.decode.search.cache import BeamCache
from speechllm.model.fill_slot import Filled
from speechllm.model.llm import base_of, head_sees_only

FILLING = 128
"""Positions that fill a CPU's matrix products; reading more at once makes none of them faster."""


class Reader:
    """Reads the prompts of a batch once, then tokens in the rows of a search.

    Args:
        llm: a causal LM of transformers, or its PEFT model.
        filled: prompts of a batch, padded on the left.
        beam: most rows of an utterance.
        room: most positions that the search adds.
    """

    def __init__(self, llm: nn.Module, filled: Filled, beam: int, room: int):
        self._llm = base_of(llm)
        self._cache, self._prompts = BeamCache(self._llm.config, room), filled.attention_mask
        self._most = beam * len(filled.embeddings)
        self._utterance_of: list[int] = []
        self._takes_positions = "position_ids" in inspect.signature(self._llm.forward).parameters
        self.first = self._read(filled)
        """[B, V] logits of the first token of each utterance."""

    def go_on(
        self, rows: Sequence[int], utterance_of: Sequence[int], tokens: Sequence[int]
    ) -> Tensor:
        """Extend row rows[r] of the last step by a token; the result is row r.

        Args:
            rows: [N] rows of the last step; in the first step, utterances.
            utterance_of: [N] the utterance of each new row.
            tokens: [N] the token that each new row adds.

        Returns:
            [N, V] logits of the next token.
        """
        device = self._prompts.device
        if not self._utterance_of:
            self._cache.spread(torch.tensor(rows, device=device), self._most)
        elif list(rows) != list(range(len(self._utterance_of))):
            before = self._utterance_of + [-1] * len(rows)
            moved = [row for row, one in enumerate(utterance_of) if one != before[row]]
            self._cache.go_on(
                torch.tensor(rows, device=device),
                torch.tensor(moved, dtype=torch.long, device=device),
            )
        self._utterance_of = list(utterance_of)
        ids = torch.tensor(tokens, device=device)[:, None]
        read = self._cache.get_seq_length() - self._prompts.shape[1]
        mask = nn.functional.pad(self._prompts[self._utterance_of], (0, read + 1), value=1)
        return self._logits(self._llm.get_input_embeddings()(ids), mask, self._cache)

    def _read(self, filled: Filled) -> Tensor:
        """Read the prompts, on a CPU in groups of like length, so that few pads are computed."""
        embeddings, mask = filled.embeddings, filled.attention_mask
        lengths = mask.sum(1).tolist()
        groups = _alike(lengths) if mask.device.type == "cpu" and self._cache.can_join else []
        if len(groups) < 2:
            return self._logits(embeddings, mask, self._cache)
        parts, logits = [], []
        for group in groups:
            longest = lengths[group[0]]
            parts.append(BeamCache(self._llm.config, room=0))
            logits.append(
                self._logits(embeddings[group, -longest:], mask[group, -longest:], parts[-1])
            )
        self._cache.join(parts, groups, mask.shape[1])
        order = torch.tensor([row for group in groups for row in group]).argsort()
        return torch.cat(logits)[order]

    def _logits(self, embeddings: Tensor, mask: Tensor, cache: BeamCache) -> Tensor:
        """[N, V] logits after the last of embeddings [N, T, E]."""
        options: dict[str, Any] = {}
        if self._takes_positions:
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            options["position_ids"] = positions[:, -embeddings.shape[1] :]
        last = torch.zeros(embeddings.shape[:2], dtype=torch.bool, device=embeddings.device)
        last[:, -1] = True
        with head_sees_only(self._llm, last):
            return self._llm(
                inputs_embeds=embeddings,
                attention_mask=mask,
                past_key_values=cache,
                use_cache=True,
                **options,
            ).logits


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in groups of like length, longest first; each but the last has FILLING positions."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda r: -lengths[r]):
        if not groups or len(groups[-1]) * lengths[groups[-1][0]] >= FILLING:
            groups.append([])
        groups[-1].append(row)
    return groups


@contextmanager
def quick_attention(llm: nn.Module) -> Iterator[None]:
    """Switch an LLM from eager attention to torch's SDPA inside the block, if it supports that.

    Eager attention copies each head's keys for all queries that share them, at each token. It is
    the choice for training on a CPU (speechllm.model.llm.attention).
    """
    base = base_of(llm)
    config = base.config.get_text_config(decoder=True)
    before = config._attn_implementation
    quick = before == "eager" and getattr(base, "_supports_sdpa", False)
    if quick:
        config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        if quick:
            config._attn_implementation = before
