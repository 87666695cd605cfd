"""CTC whose output layer is the LLM's own table of token embeddings.

A projector trained with it maps speech to where the LLM's tokens lie, without running the LLM
(2506.05706 aligns speech and text embeddings so).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechllm.config import CtcConfig
from speechllm.model.compute.cpu_layers import product


class Read(NamedTuple):
    """Projected speech, read as tokens.

    Attributes:
        vectors: [N, E] the LLM's input at each position.
        keep: [N] bool, positions that stay; None for all of them.
    """

    vectors: Tensor
    keep: Tensor | None


class EmbeddingCtc(nn.Module):
    """Scores positions of speech against token embeddings, by cosine, and against a blank.

    By cosine, because an embedding's length depends on how frequent its token is.

    Args:
        config: settings of the CTC.
        width: width of an embedding.

    Attributes:
        temperature: temperature of the posteriors behind expected embeddings; decoding may take
            another one than training (LegoSLM, 2505.11352).
    """

    def __init__(self, config: CtcConfig, width: int):
        super().__init__()
        self.config, self.temperature = config, config.temperature
        self.sharpness = nn.Parameter(torch.tensor(math.log(20.0)))
        self.blank = nn.Parameter(torch.zeros(width))
        self.blank_bias = nn.Parameter(torch.tensor(0.0))
        self.blank_vector = nn.Parameter(torch.zeros(width))
        """[E] vector that stands for the blank in expected embeddings."""

    def logits(self, speech: Tensor, table: Tensor) -> Tensor:
        """Scores of blank and tokens, blank first, in float32.

        Args:
            speech: [N, E] projected speech.
            table: [V, E] embeddings of tokens; or [N, K, E] embeddings for each position.

        Returns:
            [N, 1 + V] or [N, 1 + K].
        """
        with torch.autocast(speech.device.type, enabled=False):  # cosines are near to each other
            directions = functional.normalize(speech.float(), dim=-1)
            blank = directions @ self.blank + self.blank_bias
            rows = functional.normalize(table.float(), dim=-1)
            cosines = product(directions, rows) if rows.dim() == 2 else _dots(directions, rows)
            return torch.cat([blank[:, None], self.sharpness.exp() * cosines], dim=1)

    @staticmethod
    def loss(logits: Tensor, lengths: list[int], labels: list[Tensor]) -> Tensor:
        """Negative log-likelihood of transcripts, summed (nats).

        An utterance with fewer positions than its transcript needs is left out.

        Args:
            logits: [N, 1 + V] of all utterances, one after the other.
            lengths: positions of each utterance.
            labels: each transcript, as columns of `logits`; 0 is the blank.
        """
        return functional.ctc_loss(
            nn.utils.rnn.pad_sequence(logits.log_softmax(-1).split(lengths)),
            torch.cat(labels),
            torch.tensor(lengths),
            torch.tensor([len(label) for label in labels]),
            reduction="sum",
            zero_infinity=True,
        )

    @staticmethod
    def paths(logits: Tensor, lengths: list[int]) -> list[list[int]]:
        """Most likely path of each utterance, without blanks and repeats.

        Args:
            logits: [N, 1 + V] of all utterances, one after the other.
            lengths: positions of each utterance.

        Returns:
            Columns of `logits` for each utterance.
        """
        runs = [torch.unique_consecutive(best) for best in logits.argmax(-1).split(lengths)]
        return [run[run > 0].tolist() for run in runs]

    def read(self, speech: Tensor, lengths: list[int], table: Tensor) -> Read:
        """Read projected speech as tokens: the LLM's input in its place.

        Args:
            speech: [N, E] of all utterances, one after the other.
            lengths: positions of each utterance.
            table: [V, E] token embeddings.
        """
        if self.config.vectors == "projected" and not self.config.compress:
            return Read(self._as_long(speech, table), None)
        tokens = likely_tokens(speech, table, self.config.candidates)
        embeddings = functional.embedding(tokens, table).float()
        logits = self.logits(speech, embeddings)
        if self.config.vectors == "projected":
            vectors = self._as_long(speech, table)
        else:
            posteriors = (logits / self.temperature).softmax(-1)
            vectors = (posteriors[:, None, 1:] @ embeddings)[:, 0]
            vectors = vectors + posteriors[:, :1] * self.blank_vector
        if not self.config.compress:
            return Read(vectors, None)
        symbols = functional.pad(tokens + 1, (1, 0))
        best = symbols.gather(1, logits.argmax(-1, keepdim=True))[:, 0]
        return compress(vectors, best, lengths)

    @staticmethod
    def _as_long(speech: Tensor, table: Tensor) -> Tensor:
        length = table.float().norm(dim=-1).mean()
        return functional.normalize(speech.float(), dim=-1) * length


@torch.no_grad()
def likely_tokens(speech: Tensor, table: Tensor, wanted: int) -> Tensor:
    """Tokens nearest to each position of speech, by cosine.

    The whole vocabulary is compared in the precision of training's products and without
    gradients; with gradients it would cost more than a small LLM does.

    Args:
        speech: [N, E] projected speech.
        table: [V, E] token embeddings.
        wanted: number of tokens K for each position; V where there are fewer.

    Returns:
        [N, K] rows of `table`, nearest first.
    """
    cosines = product(speech, functional.normalize(table.float(), dim=-1).to(speech.dtype))
    return cosines.topk(min(wanted, len(table)), dim=-1).indices


def _dots(vectors: Tensor, rows: Tensor) -> Tensor:
    """[N, E] with [N, K, E] -> [N, K]."""
    return (rows @ vectors[:, :, None])[:, :, 0]


def compress(vectors: Tensor, best: Tensor, lengths: list[int]) -> Read:
    """Drop blanks, and merge each run of a token into the mean of its vectors, at its first place.

    Args:
        vectors: [N, E] of all utterances, one after the other.
        best: [N] most likely symbol of each position; 0 is the blank.
        lengths: positions of each utterance.
    """
    starts = torch.ones_like(best, dtype=torch.bool)
    starts[1:] = best[1:] != best[:-1]
    first = torch.tensor(lengths).cumsum(0)[:-1]
    starts[first[first < len(best)].to(best.device)] = True
    run = starts.cumsum(0) - 1
    count = torch.bincount(run)
    sums = vectors.new_zeros(len(count), vectors.shape[1]).index_add(0, run, vectors)
    return Read((sums / count[:, None])[run], starts & (best > 0))
