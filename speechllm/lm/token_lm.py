"""Language model of transcripts: a network with the tokens that begin and end a sentence."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speechllm.lm.network import Network
from speechllm.lm.perplexity import Perplexity, Text

LOGITS = 1 << 26
"""Most logits at once when whole sentences are scored."""


class TokenLM:
    """Scores next tokens, p(token | tokens before it), and whole sentences.

    Args:
        network: in eval mode.
        begin: tokens that stand before every sentence: bos, or a prompt.
        end: the token that ends a sentence.
        device: of the network.
    """

    def __init__(
        self, network: Network, begin: Sequence[int], end: int, device: torch.device | str
    ):
        self.network, self.begin, self.end, self.device = network, list(begin), end, device

    @torch.inference_mode()
    def first(self) -> tuple[Tensor, Any]:
        """Log-probabilities of the first token, [1, V], and the state after `begin`."""
        ids = torch.tensor([self.begin], device=self.device)
        logits, state = self.network.advance(ids)
        return logits[:, -1].float().log_softmax(-1), state

    @torch.inference_mode()
    def next(self, state: Any, rows: Tensor, tokens: Tensor) -> tuple[Tensor, Any]:
        """Log-probabilities [N, V] after one more token, and the new state.

        Args:
            state: of the last step; it must not be used again.
            rows: [N] row of the last step that each new row extends.
            tokens: [N] token that each new row adds.
        """
        known = tokens.clamp(max=self.network.size - 1)  # an LLM may have more rows than tokens
        logits, state = self.network.advance(known[:, None], self.network.select(state, rows))
        return logits[:, -1].float().log_softmax(-1), state

    @torch.inference_mode()
    def score(self, sentences: Sequence[Sequence[int]], ended: Sequence[bool]) -> list[float]:
        """Log-probability of each sentence in nats; its end counts if it has `ended`."""
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
        """Perplexity of a text; each sentence's end token counts."""
        scores = self.score(text.sentences, [True] * len(text.sentences))
        return Perplexity(-sum(scores), text.tokens, text.words + len(text.sentences))

    def _score(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """Log-probability of each row; padding is on the right, where no counted token sees it."""
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
