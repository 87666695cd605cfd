"""Conformer that turns embeddings of text into what a projector gives for its speech."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from speechllm.files.progress import Progress
from speechllm.train.optim import up_and_down

if TYPE_CHECKING:
    from speechllm.adapt.methods.te2sl import RefinerConfig


class RefinerPair(NamedTuple):
    """Utterance as the refiner learns from it.

    Attributes:
        rows: [M] row of each position's unit in the table of embeddings.
        vectors: float16 [M, E] projected speech at these positions.
    """

    rows: np.ndarray
    vectors: np.ndarray


class Refiner(nn.Module):
    """Adds to each embedding what speech has and text lacks, predicted from its neighbours.

    Untrained it adds nothing. It always computes in float32: grouped convolutions in bfloat16 are
    wrong on some CPUs.

    Args:
        config: size of its blocks.
        width: dimension E of an embedding.
    """

    scale: Tensor

    def __init__(self, config: "RefinerConfig", width: int):
        super().__init__()
        self.reduce = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.width))
        self.blocks = nn.ModuleList(
            ConformerBlock(config.width, config.heads, config.kernel, config.dropout)
            for _ in range(config.layers)
        )
        self.expand = nn.Linear(config.width, width)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)
        self.register_buffer("scale", torch.ones(()))
        """Standard deviation of the vectors, so that an LLM's scale does not affect learning."""

    def forward(self, embeddings: Tensor, lengths: Tensor) -> Tensor:
        """Refine a padded batch.

        Args:
            embeddings: [B, M, E] embedding of each position's unit; zeros after an utterance's end.
            lengths: [B] positions of each utterance, at least one.

        Returns:
            Refined vectors [B, M, E]; those after an utterance's end mean nothing.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            positions = torch.arange(embeddings.shape[1], device=embeddings.device)
            inside = positions < lengths[:, None]
            x = self.reduce(embeddings)
            for block in self.blocks:
                x = block(x, inside)
            return embeddings + self.scale * self.expand(x)


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, convolution, the other half (2005.08100, section 2).

    Two things differ: LayerNorm inside the convolution, so that neither padding nor the batch
    matters, and attention without positional encoding, as the convolution gives positions.
    """

    def __init__(self, width: int, heads: int, kernel: int, dropout: float):
        super().__init__()
        self.first, self.last = (_feed_forward(width, dropout) for _ in range(2))
        self.before_attention, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.gate = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GLU())
        self.neighbours = nn.Conv1d(width, width, kernel, padding="same", groups=width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Compute the block: x [B, M, W], inside [B, M] (False on padding) -> [B, M, W]."""
        x = x + 0.5 * self.first(x)
        normed = self.before_attention(x)
        attended, _ = self.attention(normed, normed, normed, ~inside, need_weights=False)
        x = x + attended
        gated = self.gate(x) * inside[..., None]
        x = x + self.mix(self.neighbours(gated.transpose(1, 2)).transpose(1, 2))
        return self.after(x + 0.5 * self.last(x))


def _feed_forward(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 4 * width),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(4 * width, width),
        nn.Dropout(dropout),
    )


def train_refiner(
    pairs: Sequence[RefinerPair], table: Tensor, config: "RefinerConfig", seed: int
) -> Refiner:
    """Train a refiner; the same pairs and seed give the same one (on a GPU, not to the bit).

    The loss of a position is its squared error, relative to the vectors' variance, + 1 - cosine.

    Args:
        pairs: at least one, each with a position.
        table: [U, E] embeddings, on the device to compute on.
        config: network and its optimisation.
        seed: seed of weights, dropout and batches.

    Returns:
        The refiner in eval mode, on the table's device.
    """
    torch.manual_seed(seed)
    rng = random.Random(f"refiner {seed}")
    refiner = Refiner(config, table.shape[1]).to(table.device).train()
    variance = _variance(pairs)
    refiner.scale.fill_(variance**0.5)
    optimizer = torch.optim.AdamW(refiner.parameters(), config.lr, weight_decay=0.01)
    schedule = up_and_down(optimizer, config.steps)
    with Progress("train refiner", config.steps, "step") as progress:
        for _ in range(config.steps):
            batch = rng.sample(pairs, min(config.batch, len(pairs)))
            refined, real = _refine(refiner, batch, table)
            squared = (refined - real).square().mean() / variance
            loss = squared + 1 - functional.cosine_similarity(refined, real, dim=-1).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(refiner.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.advance(note=f"loss {loss.item():.3f}")
    return refiner.eval()


@torch.inference_mode()
def distance(
    pairs: Sequence[RefinerPair], table: Tensor, refiner: Refiner | None = None
) -> dict[str, float]:
    """Distance of a refiner's vectors from real ones.

    Args:
        pairs: at least one.
        table: [U, E] embeddings.
        refiner: the refiner; None: the embeddings are compared as they are.

    Returns:
        `error`: squared error, relative to the real vectors' variance (0 is exact, 1 is as good as
            their mean). `cosine`: mean over positions.
    """
    squared, cosine = 0.0, 0.0
    for pair in pairs:
        if refiner is None:
            real = torch.from_numpy(pair.vectors).to(table.device).float()
            refined = functional.embedding(_rows(pair, table), table).float()
        else:
            refined, real = _refine(refiner, [pair], table)
        squared += float((refined - real).square().sum())
        cosine += float(functional.cosine_similarity(refined, real, dim=-1).sum())
    count = sum(len(pair.rows) for pair in pairs)
    error = squared / (count * table.shape[1]) / _variance(pairs)
    return {"error": round(error, 4), "cosine": round(cosine / count, 4)}


def _refine(refiner: Refiner, batch: Sequence[RefinerPair], table: Tensor) -> tuple[Tensor, Tensor]:
    """Refined and real vectors [N, E] of some pairs, concatenated."""
    lengths = torch.tensor([len(pair.rows) for pair in batch], device=table.device)
    embedded = [functional.embedding(_rows(pair, table), table).float() for pair in batch]
    refined = refiner(pad_sequence(embedded, batch_first=True), lengths)
    real = torch.from_numpy(np.concatenate([pair.vectors for pair in batch]))
    parts = [row[:length] for row, length in zip(refined, lengths.tolist(), strict=True)]
    return torch.cat(parts), real.to(table.device).float()


def _rows(pair: RefinerPair, table: Tensor) -> Tensor:
    return torch.from_numpy(pair.rows).to(table.device)


def _variance(pairs: Sequence[RefinerPair]) -> float:
    """Variance of the vectors, averaged over their dimensions."""
    count = sum(len(pair.vectors) for pair in pairs)
    sums = sum(pair.vectors.sum(0, dtype=np.float64) for pair in pairs)
    squares = sum(np.square(pair.vectors, dtype=np.float64).sum(0) for pair in pairs)
    spread = squares / count - np.square(sums / count)
    return max(float(np.mean(spread)), np.finfo(np.float32).tiny)
