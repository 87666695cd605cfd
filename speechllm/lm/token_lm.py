"""A network as a language model of transcripts: where it begins, and what ends a sentence."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speechllm.lm.network import Network
from speechllm.lm.perplexity import Perplexity, Text

LOGITS = 1 << 26
"""Most logits at once when whole sentences are scored."""


class TokenLM:
    """p(token | tokens before it), and of whole sentences.

    Args:
        network: in eval mode.
        begin: tokens that stand before every sentence: bos, or a prompt.
        end: the token that ends one.
        device: of the network.
    """

    def __init__(
        self, network: Network, begin: Sequence[int], end: int, device: torch.device | str
    ):
        self.network, self.begin, self.end, self.device = network, list(begin), end, device

    @torch.inference_mode()
    def first(self) -> tuple[Tensor, Any]:
        """Log-probabilities of the first token, [1, V], and the state behind the beginning."""
        ids = torch.tensor([self.begin], device=self.device)
        logits, state = self.network.advance(ids)
        return logits[:, -1].float().log_softmax(-1), state

    @torch.inference_mode()
    def next(self, state: Any, rows: Tensor, tokens: Tensor) -> tuple[Tensor, Any]:
        """Log-probabilities [N, V] behind one more token.

        Args:
            state: of the last step; it may be used up.
            rows: [N], which row of the last step each goes on from.
            tokens: [N], the token that each goes on with.
        """
        known = tokens.clamp(max=self.network.size - 1)  # an LLM may have rows of no token
        logits, state = self.network.advance(known[:, None], self.network.select(state, rows))
        return logits[:, -1].float().log_softmax(-1), state

    @torch.inference_mode()
    def score(self, sentences: Sequence[Sequence[int]], ended: Sequence[bool]) -> list[float]:
        """Log-probability of each sentence in nats, with its end where it has `ended`."""
        rows = [
            [*self.begin, *sentence, *([self.end] if end else [])]
            for sentence, end in zip(sentences, ended, strict=True)
        ]
        scores = [0.0] * len(rows)
        by_length = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        while by_length:
            longest = len(rows[by_length[0]])
            many = max(1, LOGITS // (longest * self.network.size))
            part, by_length = by_length[:many], by_length[many:]
            found = self._score([rows[i] for i in part])
            for i, score in zip(part, found, strict=True):
                scores[i] = score
        return scores

    def perplexity(self, text: Text) -> Perplexity:
        """Of a text, sentence by sentence, ends included."""
        scores = self.score(text.sentences, [True] * len(text.sentences))
        return Perplexity(-sum(scores), text.tokens, text.words + len(text.sentences))

    def _score(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """Pads stand on the right, where nothing that counts can see them."""
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        longest = int(lengths.max())
        ids = torch.tensor([[*row, *[self.end] * (longest - len(row))] for row in rows])
        ids = ids.to(self.device).clamp(max=self.network.size - 1)
        if longest < 2:
            return [0.0] * len(rows)
        logits, _ = self.network.advance(ids[:, :-1])
        steps = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        places = torch.arange(1, longest, device=self.device)
        counted = (places >= len(self.begin)) & (places < lengths[:, None])
        return torch.where(counted, steps, 0.0).double().sum(1).tolist()
