"""Sparse posteriors, and text that is shown through simulated ones (numpy alone)."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from speechllm.slot.pseudo_audio.contents import Projected
from speechllm.slot.pseudo_audio.corpus import PseudoAudio


class Posteriors(NamedTuple):
    """Sparse distributions over CTC symbols at M positions: the K most likely symbols of each.

    Attributes:
        symbols: int32 [M, K], the most likely first; 0 is the blank.
        shares: float32 [M, K]; those of a position add up to one.
    """

    symbols: np.ndarray
    shares: np.ndarray

    def vectors(self, table: np.ndarray) -> np.ndarray:
        """Expected rows [M, E] of `table` [1 + U, E]."""
        return np.einsum("mk,mke->me", self.shares, table[self.symbols])


def most_likely(shares: np.ndarray, count: int) -> Posteriors:
    """Keep the `count` most likely symbols of dense distributions [M, 1 + U], renormalised."""
    count = min(count, shares.shape[1])
    some = np.argpartition(-shares, count - 1, axis=1)[:, :count]
    order = np.take_along_axis(shares, some, 1).argsort(1, kind="stable")[:, ::-1]
    symbols = np.take_along_axis(some, order, 1)
    kept = np.take_along_axis(shares, symbols, 1)
    return Posteriors(symbols.astype(np.int32), (kept / kept.sum(1, keepdims=True)).astype("f4"))


class PosteriorBank:
    """Posteriors of real speech by their most likely symbol, and by WER bin.

    Args:
        heard: bin and posteriors of each utterance.
    """

    def __init__(self, heard: Iterable[tuple[int, Posteriors]]):
        self._found: dict[tuple[int | None, int], list[tuple[np.ndarray, np.ndarray]]] = {}
        for bin, posteriors in heard:
            for symbols, shares in zip(*posteriors, strict=True):
                for key in (bin, int(symbols[0])), (None, int(symbols[0])):
                    self._found.setdefault(key, []).append((symbols, shares))

    def dress(self, path: Sequence[int], bin: int, rng: random.Random) -> Posteriors:
        """Draw a real posterior for each symbol of a path, from its bin if there is one.

        A symbol that never occurs in real speech gets probability 1.

        Args:
            path: M symbols.
            bin: WER bin.
            rng: the only source of chance.
        """
        rows = [self._draw(symbol, bin, rng) for symbol in path]
        count = max(len(symbols) for symbols, _ in rows)
        symbols = np.zeros((len(rows), count), np.int32)
        shares = np.zeros((len(rows), count), np.float32)
        for row, (some, parts) in enumerate(rows):
            symbols[row, : len(some)], shares[row, : len(some)] = some, parts
        return Posteriors(symbols, shares)

    def _draw(self, symbol: int, bin: int, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        heard = self._found.get((bin, symbol)) or self._found.get((None, symbol))
        return rng.choice(heard) if heard else (np.array([symbol]), np.ones(1))


class SimulatedText(PseudoAudio):
    """Target text with simulated posteriors, of which one variant is drawn at each showing.

    Args:
        name, text, targets: as for `PseudoAudio`.
        variants: variants of each utterance, by bin from easy to hard.
        table: [1 + U, E] vector of each symbol.

    Attributes:
        open_bins: number of bins, the easiest, that are drawn from.
    """

    def __init__(
        self,
        name: str,
        text: Mapping[str, str],
        targets: Mapping[str, str],
        variants: Mapping[str, Sequence[Sequence[Posteriors]]],
        table: np.ndarray,
    ):
        # Before a variant is drawn the longest must have room.
        longest = {
            utt: max(len(one.symbols) for variants in bins for one in variants)
            for utt, bins in variants.items()
        }
        super().__init__(name, text, targets, longest)
        self.variants, self.table = variants, table
        self.open_bins = max((len(bins) for bins in variants.values()), default=0)

    def simulate(self, utt_id: str, rng: random.Random) -> Projected:
        """Draw a variant from the open bins: float32 [M, E] LLM inputs."""
        bins = self.variants[utt_id][: self.open_bins]
        return Projected(rng.choice(rng.choice(bins)).vectors(self.table))
