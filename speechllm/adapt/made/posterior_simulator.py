"""Small Transformer that simulates the CTC posteriors that a text's speech would have given.

TASU2 (2604.08384): encoder and decoder, conditioned on a bin of WER, trained on the posteriors of a
recogniser on pairs. Here it predicts only the positions that the LLM is given.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechllm.errors import ConfigError
from speechllm.files.progress import Progress
from speechllm.slot.pseudo_audio.sparse_posteriors import Posteriors
from speechllm.train.optim import up_and_down

if TYPE_CHECKING:
    from speechllm.adapt.methods.tasu2 import SimulatorConfig

TINY = 1e-9
LONGEST = 3.0
"""Maximum length of a simulation, relative to its expected number of positions."""
Memory = tuple[Tensor, Tensor]
"""Keys and values [B, H, S, D] for attention."""


class Lesson(NamedTuple):
    """Training example: symbols of a text, its WER bin, and the posteriors of its speech."""

    text: Sequence[int]
    bin: int
    posteriors: Posteriors


class Ask(NamedTuple):
    """Request for simulated symbols of a text.

    Attributes:
        text: CTC symbols.
        bin: WER bin.
        seed: seed of the draws.
        sharpness: exponent of the predicted probabilities before a draw.
    """

    text: Sequence[int]
    bin: int
    seed: str
    sharpness: float = 1.0


class Attention(nn.Module):
    """Multi-head attention by scaled dot products."""

    def __init__(self, config: "SimulatorConfig"):
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.query = nn.Linear(config.width, config.width)
        self.memory = nn.Linear(config.width, 2 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def remember(self, x: Tensor) -> Memory:
        keys, values = self.memory(x).chunk(2, -1)
        return self._split(keys), self._split(values)

    def forward(self, x: Tensor, memory: Memory, mask: Tensor | None, causal: bool) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(
            self._split(self.query(x)), *memory, mask, dropout, causal
        )
        return self.out(found.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """Layer of the encoder, or of the decoder, which attends to the text too; pre-norm."""

    def __init__(self, config: "SimulatorConfig", reads_text: bool):
        super().__init__()
        self.own = Attention(config)
        self.text = Attention(config) if reads_text else None
        self.dense = nn.Sequential(
            nn.Linear(config.width, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, config.width),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        text: Memory | None = None,
        before: Memory | None = None,
    ) -> tuple[Tensor, Memory]:
        """Compute a layer.

        Args:
            x: [B, T, W].
            mask: [B, 1, 1, S], False on the text's padding.
            text: keys and values of the text, in the decoder.
            before: keys and values of the positions before `x`, in the decoder; `x` is then one
                position.

        Returns:
            Output [B, T, W], and keys and values of all positions so far.
        """
        normed = self.norms[0](x)
        memory = self.own.remember(normed)
        if before is not None:
            memory = tuple(torch.cat(pair, 2) for pair in zip(before, memory, strict=True))
        causal = self.text is not None and before is None
        x = x + self.dropout(self.own(normed, memory, None if self.text else mask, causal))
        if self.text is not None:
            x = x + self.dropout(self.text(self.norms[1](x), text, mask, False))
        return x + self.dropout(self.dense(self.norms[2](x))), memory


class PosteriorSimulator(nn.Module):
    """Predicts from a text and a bin a distribution over symbols and the end, at each position.

    The decoder's input is the bin, then the symbol of the position before: in training the most
    likely one, in simulation the drawn one. A symbol may be predicted, or copied from the text by
    attention (See et al., 1704.04368): from few pairs a Transformer hardly learns to copy.

    Args:
        config: its size.
        symbols: number of CTC symbols with the blank: 1 + U.
        bins: number of WER bins.

    Attributes:
        stretch: mean number of positions per symbol of a text.
    """

    def __init__(self, config: "SimulatorConfig", symbols: int, bins: int):
        super().__init__()
        self.end, self.width, self.stretch = symbols, config.width, 1.0
        self.embedding = nn.Embedding(symbols + 1 + bins, config.width)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)
        self.previous = nn.Linear(config.width, config.width, bias=False)
        """Projection of the preceding symbol in the text: the decoder looks for what follows it."""
        self.encoder = nn.ModuleList(Layer(config, False) for _ in range(config.layers))
        self.decoder = nn.ModuleList(Layer(config, True) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(symbols + 1))
        self.pointer = nn.Linear(config.width, config.width)
        self.copies = nn.Linear(config.width, 1)
        self.dropout = nn.Dropout(config.dropout)

    def bin_token(self, number: int) -> int:
        return self.end + 1 + number

    def read(self, text: Tensor) -> Tensor:
        """Encode a text: [B, S] tokens, padded with zeros -> [B, S, W]."""
        before = functional.pad(self.embedding(text), (0, 0, 1, -1)) * self.width**0.5
        x, mask = self._embed(text) + self.previous(before), (text > 0)[:, None, None]
        for layer in self.encoder:
            x, _ = layer(x, mask)
        return self.norms[0](x)

    def forward(self, text: Tensor, before: Tensor) -> Tensor:
        """Predict all positions at once.

        Args:
            text: [B, S] the bin and the symbols of each text, padded with zeros.
            before: [B, T] the bin and the symbols of all positions; the end is no input.

        Returns:
            Log-probabilities [B, T, 2 + U] of the symbols and the end.
        """
        known, mask = self.read(text), (text > 0)[:, None, None]
        x = self._embed(before)
        for layer in self.decoder:
            x, _ = layer(x, mask, layer.text.remember(known))
        return self._predict(x, known, text)

    def _embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        places = torch.arange(first, first + tokens.shape[1], dtype=torch.float32)
        rates = torch.exp(torch.arange(0, self.width, 2) * (-math.log(1e4) / self.width))
        angles = places[:, None] * rates
        waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, : self.width]
        return self.dropout(self.embedding(tokens) * self.width**0.5 + waves)

    def _predict(self, x: Tensor, known: Tensor, text: Tensor) -> Tensor:
        x = self.norms[1](x)
        shares = (x @ self.embedding.weight[: self.end + 1].T + self.bias).softmax(-1)
        scores = self.pointer(x) @ known.transpose(1, 2) * self.width**-0.5
        scores = scores.masked_fill((text == 0)[:, None], -math.inf)
        symbols = text.clamp(max=self.end)  # attention to the bin copies the end
        points = scores.softmax(-1)
        copied = torch.zeros_like(shares).scatter_add(2, symbols[:, None].expand_as(points), points)
        return torch.lerp(shares, copied, self.copies(x).sigmoid()).clamp_min(TINY).log()

    @torch.inference_mode()
    def draw(self, asked: Sequence[Ask]) -> list[list[int]]:
        """Draw symbols for some texts as one batch; a text's result does not depend on the others.

        Args:
            asked: the texts.

        Returns:
            Symbols of each position, for each text.
        """
        text = _padded([[self.bin_token(a.bin), *a.text] for a in asked])
        mask, known = (text > 0)[:, None, None], self.read(text)
        of_text = [layer.text.remember(known) for layer in self.decoder]
        before: list[Memory | None] = [None] * len(self.decoder)
        chance = [random.Random(f"symbols {a.bin} {a.seed}") for a in asked]
        limits = [LONGEST * self.stretch * len(a.text) + 10 for a in asked]
        paths: list[list[int]] = [[] for _ in asked]
        unfinished, token, place = set(range(len(asked))), text[:, :1].clone(), 0
        while unfinished:
            x = self._embed(token, place)
            for number, layer in enumerate(self.decoder):
                x, before[number] = layer(x, mask, of_text[number], before[number])
            predicted = self._predict(x, known, text)[:, 0].exp().numpy()
            for row in sorted(unfinished):
                shares = predicted[row] ** asked[row].sharpness
                # The first position cannot be the end: an utterance has at least one.
                symbol = _drawn(shares if place else shares[: self.end], chance[row])
                if symbol == self.end or place >= limits[row]:
                    unfinished.remove(row)
                else:
                    paths[row].append(symbol)
                    token[row] = symbol
            place += 1
        return paths


def _drawn(shares: np.ndarray, rng: random.Random) -> int:
    sums = shares.cumsum(dtype=np.float64)
    return min(int(np.searchsorted(sums, rng.random() * sums[-1], "right")), len(shares) - 1)


def learn(
    config: "SimulatorConfig",
    symbols: int,
    bins: int,
    lessons: Sequence[Lesson],
    held_out: Sequence[Lesson],
    seed: int,
) -> tuple[PosteriorSimulator, float]:
    """Train a simulator; it keeps the weights of the epoch with the best held-out cross-entropy.

    Args:
        config: size and optimisation.
        symbols, bins: as for `PosteriorSimulator`.
        lessons, held_out: examples to train and to evaluate on, at least one each.
        seed: seed of initial weights, order and dropout.

    Returns:
        The simulator in eval mode, and its held-out cross-entropy in nats per position.

    Raises:
        ConfigError: the held-out cross-entropy was never finite.
    """
    torch.manual_seed(seed)
    rng = random.Random(f"simulator {seed}")
    network = PosteriorSimulator(config, symbols, bins)
    positions = sum(len(one.posteriors.symbols) for one in lessons)
    network.stretch = positions / max(1, sum(len(one.text) for one in lessons))
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=0.01)
    schedule = up_and_down(optimizer, config.epochs * math.ceil(len(lessons) / config.batch))
    best, kept = math.inf, {}
    with Progress("learn to simulate posteriors", config.epochs, "epochs") as progress:
        for _ in range(config.epochs):
            network.train()
            for batch in _batches(lessons, config.batch, rng):
                loss, positions = cross_entropy(network, batch)
                (loss / positions).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
            found = mean_cross_entropy(network, held_out, config.batch)
            if found < best:
                best = found
                kept = {name: value.clone() for name, value in network.state_dict().items()}
            progress.advance(1, f"cross-entropy {found:.3f}")
    if not kept:
        raise ConfigError("tasu2: the simulator's loss is not finite", "lower simulator.lr")
    network.load_state_dict(kept)
    return network.eval(), best


def cross_entropy(network: PosteriorSimulator, batch: Sequence[Lesson]) -> tuple[Tensor, int]:
    """Cross-entropy in nats, summed over all utterances' positions and ends, and their number."""
    starts = [network.bin_token(lesson.bin) for lesson in batch]
    text = _padded([[bin, *lesson.text] for bin, lesson in zip(starts, batch, strict=True)])
    best = [lesson.posteriors.symbols[:, 0].tolist() for lesson in batch]
    before = _padded([[bin, *row] for bin, row in zip(starts, best, strict=True)])
    count = batch[0].posteriors.symbols.shape[1]
    symbols = torch.zeros(*before.shape, count, dtype=torch.long)
    shares = torch.zeros(*before.shape, count)
    for row, lesson in enumerate(batch):
        length = len(lesson.posteriors.symbols)
        symbols[row, :length] = torch.from_numpy(lesson.posteriors.symbols)
        shares[row, :length] = torch.from_numpy(lesson.posteriors.shares)
        symbols[row, length], shares[row, length, 0] = network.end, 1.0
    predicted = network(text, before).gather(2, symbols)
    return -(shares * predicted).sum(), sum(len(row) + 1 for row in best)


@torch.inference_mode()
def mean_cross_entropy(network: PosteriorSimulator, lessons: Sequence[Lesson], batch: int) -> float:
    """Cross-entropy of all lessons, in nats per position; leaves the network in eval mode.

    Args:
        network: the simulator.
        lessons: at least one.
        batch: lessons per batch.
    """
    network.eval()
    parts = [lessons[i : i + batch] for i in range(0, len(lessons), batch)]
    sums = [cross_entropy(network, part) for part in parts]
    return sum(float(loss) for loss, _ in sums) / sum(positions for _, positions in sums)


def draw_all(
    network: PosteriorSimulator,
    asked: Sequence[Ask],
    batch: int,
    done: Callable[[int], None] = lambda count: None,
) -> list[list[int]]:
    """Draw symbols for all texts, in batches of similar length.

    Args:
        network: the simulator, in eval mode.
        asked: the texts.
        batch: texts per batch.
        done: called after each batch with its number of texts.

    Returns:
        Symbols of each text, in the order of `asked`.
    """
    order = sorted(range(len(asked)), key=lambda i: (len(asked[i].text), i))
    found: list[list[int]] = [[] for _ in asked]
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        for place, path in zip(part, network.draw([asked[i] for i in part]), strict=True):
            found[place] = path
        done(len(part))
    return found


def _batches(lessons: Sequence[Lesson], size: int, rng: random.Random) -> list[list[Lesson]]:
    """Batches in random order, each of lessons of similar length."""
    order = sorted(lessons, key=lambda one: len(one.posteriors.symbols) * rng.uniform(0.9, 1.1))
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(batches)
    return batches


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
