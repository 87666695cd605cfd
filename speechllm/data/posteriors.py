"""Simulated CTC posteriors of text, as the encoder frames that they stand for (numpy alone).

TASU (2511.03310) trains on simulated posteriors because its projector takes posteriors. The
projector here takes encoder frames, so a posterior p [V] becomes the frame that is expected under
it, p @ C, where C [V, D] holds each symbol's mean frame in real speech.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from speechllm.config import Fraction, Section
from speechllm.data.corpus import Corpus


@dataclass(frozen=True)
class CtcHead:
    """The classifier on top of an encoder.

    Attributes:
        weight: [V, D].
        bias: [V].
        blank: id of the blank.
        special: ids that stand for no sound: blank, unknown, begin and end.
    """

    weight: np.ndarray
    bias: np.ndarray
    blank: int
    special: frozenset[int]

    def posteriors(self, frames: np.ndarray) -> np.ndarray:
        """[T, D] frames -> [T, V] probabilities."""
        logits = frames.astype(np.float32) @ self.weight.T + self.bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Codebook:
    """What a CTC head makes of real speech.

    Attributes:
        frames: [V, D] mean frame of each symbol, weighted by the symbol's posterior.
        mass: [V] frames that a symbol had in all, as sums of posteriors.
        runs: lengths of the runs of a symbol along the most likely path.
        gaps: lengths of the blank stretches between two runs; 0 where there is none.
        edges: lengths of the blank stretches at both ends.
    """

    frames: np.ndarray
    mass: np.ndarray
    runs: Sequence[int]
    gaps: Sequence[int]
    edges: Sequence[int]


def learn_codebook(head: CtcHead, utterances: Iterable[np.ndarray]) -> Codebook:
    """Measure a codebook.

    Args:
        head: of the encoder.
        utterances: encoder frames [T, D] of each.
    """
    size, width = head.weight.shape
    sums, mass = np.zeros((size, width)), np.zeros(size)
    runs: list[int] = []
    gaps: list[int] = []
    edges: list[int] = []
    for frames in utterances:
        posteriors = head.posteriors(frames)
        sums += posteriors.T @ frames.astype(np.float32)
        mass += posteriors.sum(axis=0)
        path = [(int(s), len(list(run))) for s, run in groupby(posteriors.argmax(axis=1))]
        spoken = [i for i, (symbol, _) in enumerate(path) if symbol != head.blank]
        if not spoken:
            continue
        runs += [path[i][1] for i in spoken]
        gaps += [sum(n for _, n in path[i + 1 : j]) for i, j in pairwise(spoken)]
        edges += [sum(n for _, n in path[: spoken[0]]), sum(n for _, n in path[spoken[-1] + 1 :])]
    means = sums / np.maximum(mass, np.finfo(np.float64).tiny)[:, None]
    return Codebook(means.astype(np.float32), mass, runs, gaps or [0], edges)


class SimulationConfig(Section):
    """How far simulated posteriors stray from the text; the defaults are those of TASU."""

    drop: Fraction = 0.05
    """Chance that a symbol is left out."""
    insert: Fraction = 0.0
    """Chance that a symbol is followed by more of itself or, as often, by more blanks."""
    substitute: Fraction = 0.0
    """Chance that another symbol, drawn evenly, takes a symbol's place (not in TASU)."""
    smooth: Fraction = 0.1
    """Each frame gives a part of its probability, drawn from 0 to this, evenly to all symbols."""


def simulate_path(
    symbols: Sequence[int],
    head: CtcHead,
    book: Codebook,
    config: SimulationConfig,
    rng: random.Random,
) -> list[int]:
    """A CTC path through text: a symbol or the blank for each frame.

    Without drops and substitutions it always collapses to `symbols`. If all are dropped, all stay.
    """
    others = [s for s in range(len(head.weight)) if s not in head.special]
    kept = [s for s in symbols if rng.random() >= config.drop] or symbols
    path = [head.blank] * rng.choice(book.edges)
    previous = None
    for symbol in kept:
        if rng.random() < config.substitute:
            symbol = rng.choice([s for s in others if s != symbol])
        gap = rng.choice(book.gaps)
        if previous is not None:
            path += [head.blank] * (max(gap, 1) if symbol == previous else gap)
        path += [symbol] * rng.choice(book.runs)
        if rng.random() < config.insert:
            more = symbol if rng.random() < 0.5 else head.blank
            path += [more] * rng.choice(book.runs)
        previous = symbol
    return path + [head.blank] * rng.choice(book.edges)


def smoothed(path: Sequence[int], size: int, smooth: float, rng: random.Random) -> np.ndarray:
    """[T, V] posteriors: one-hot, but for an even share alpha ~ U(0, smooth) in each frame."""
    alpha = np.array([rng.uniform(0, smooth) for _ in path], np.float32)[:, None]
    return (1 - alpha) * np.eye(size, dtype=np.float32)[list(path)] + alpha / size


class SimulatedCorpus(Corpus):
    """Target text that is heard through simulated posteriors, anew each time.

    Args:
        text: transcript by utterance id.
        targets: what the LLM has to answer, by utterance id.
        symbols: CTC symbols by utterance id.
        head, book, config: how they become frames.
    """

    def __init__(
        self,
        name: str,
        text: Mapping[str, str],
        targets: Mapping[str, str],
        symbols: Mapping[str, Sequence[int]],
        head: CtcHead,
        book: Codebook,
        config: SimulationConfig,
    ):
        super().__init__([])
        self.name, self.text, self.targets = name, dict(text), dict(targets)
        self.symbols, self.head, self.book, self.config = symbols, head, book, config
        # Expected lengths: batches are planned before they are simulated.
        around = 2 * np.mean(book.edges)
        each = np.mean(book.runs) * (1 + config.insert) + np.mean(book.gaps)
        self.frame_counts = {
            utt: round(around + (1 - config.drop) * each * len(spoken))
            for utt, spoken in symbols.items()
        }

    def simulate(self, utt_id: str, rng: random.Random) -> np.ndarray:
        """float16 [T, D] frames that the encoder might have given."""
        path = simulate_path(self.symbols[utt_id], self.head, self.book, self.config, rng)
        posteriors = smoothed(path, len(self.head.weight), self.config.smooth, rng)
        return (posteriors @ self.book.frames).astype(np.float16)
