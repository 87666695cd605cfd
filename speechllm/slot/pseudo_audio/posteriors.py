"""Simulated CTC posteriors of text, as the vectors that they stand for (numpy alone).

TASU (2511.03310) trains on simulated posteriors because its projector takes posteriors. Here a
posterior p [V] becomes the vector that is expected under it, p @ C. This is an encoder frame if
C [V, D] holds each symbol's mean frame in real speech, or an LLM input if the symbols are the LLM's
tokens and C [V, E] holds their embeddings.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

import numpy as np

from speechllm.config import Fraction, Section
from speechllm.slot.pseudo_audio.contents import Projected, Slot
from speechllm.slot.pseudo_audio.corpus import PseudoAudio


class Alphabet(NamedTuple):
    """Symbols of a CTC classifier.

    Attributes:
        size: number of all symbols.
        blank: id of the blank.
        special: ids that stand for no sound: blank, unknown, begin and end.
    """

    size: int
    blank: int
    special: frozenset[int]


@dataclass(frozen=True)
class CtcHead:
    """CTC classifier on top of an encoder.

    Attributes:
        weight: [V, D] weights.
        bias: [V] biases.
        blank: id of the blank.
        special: ids that stand for no sound: blank, unknown, begin and end.
    """

    weight: np.ndarray
    bias: np.ndarray
    blank: int
    special: frozenset[int]

    @property
    def alphabet(self) -> Alphabet:
        return Alphabet(len(self.weight), self.blank, self.special)

    def posteriors(self, frames: np.ndarray) -> np.ndarray:
        """Compute posteriors: [T, D] frames -> [T, V] probabilities."""
        logits = frames.astype(np.float32) @ self.weight.T + self.bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Codebook:
    """Statistics of a CTC classifier over real speech.

    Attributes:
        frames: [V, D] vector for each symbol: its mean frame, weighted by the symbol's posterior,
            or an embedding.
        mass: [V] number of frames of each symbol: a sum of posteriors, or a count.
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
    """Measure a codebook on speech.

    Args:
        head: CTC head of the encoder.
        utterances: encoder frames [T, D] of each utterance.
    """
    size, width = head.weight.shape
    sums, mass = np.zeros((size, width)), np.zeros(size)
    paths = []
    for frames in utterances:
        posteriors = head.posteriors(frames)
        sums += posteriors.T @ frames.astype(np.float32)
        mass += posteriors.sum(axis=0)
        paths.append(posteriors.argmax(axis=1))
    means = sums / np.maximum(mass, np.finfo(np.float64).tiny)[:, None]
    return Codebook(means.astype(np.float32), mass, *stretches(paths, head.blank))


def stretches(
    paths: Iterable[Sequence[int] | np.ndarray], blank: int
) -> tuple[list[int], list[int], list[int]]:
    """`Codebook.runs`, `gaps` and `edges` of most likely paths; all-blank paths are skipped."""
    runs: list[int] = []
    gaps: list[int] = []
    edges: list[int] = []
    for symbols in paths:
        path = [(int(s), len(list(run))) for s, run in groupby(symbols)]
        spoken = [i for i, (symbol, _) in enumerate(path) if symbol != blank]
        if not spoken:
            continue
        runs += [path[i][1] for i in spoken]
        gaps += [sum(n for _, n in path[i + 1 : j]) for i, j in pairwise(spoken)]
        edges += [sum(n for _, n in path[: spoken[0]]), sum(n for _, n in path[spoken[-1] + 1 :])]
    return runs, gaps or [0], edges


class SimulationConfig(Section):
    """Deviation of simulated posteriors from the text; the defaults are those of TASU."""

    drop: Fraction = 0.05
    """Probability that a symbol is left out."""
    insert: Fraction = 0.0
    """Probability that a symbol is followed by more of itself or, as often, by more blanks."""
    substitute: Fraction = 0.0
    """Probability that another symbol, drawn evenly, replaces a symbol (not in TASU)."""
    smooth: Fraction = 0.1
    """Maximum share of a frame's probability, drawn from 0 on, that is spread over all symbols."""


def simulate_path(
    symbols: Sequence[int],
    alphabet: Alphabet,
    book: Codebook,
    config: SimulationConfig,
    rng: random.Random,
) -> list[int]:
    """Draw a CTC path through text: a symbol or the blank for each frame.

    Without drops and substitutions the path always collapses to `symbols`. If all symbols would be
    dropped, all are kept.

    Args:
        symbols: CTC symbols of the text.
        alphabet: all symbols.
        book: lengths of runs and blanks in real speech.
        config: probabilities of the deviations.
        rng: the only source of chance.
    """
    others = [s for s in range(alphabet.size) if s not in alphabet.special]
    kept = [s for s in symbols if rng.random() >= config.drop] or symbols
    path = [alphabet.blank] * rng.choice(book.edges)
    previous = None
    for symbol in kept:
        if rng.random() < config.substitute:
            symbol = rng.choice([s for s in others if s != symbol])
        gap = rng.choice(book.gaps)
        if previous is not None:
            path += [alphabet.blank] * (max(gap, 1) if symbol == previous else gap)
        path += [symbol] * rng.choice(book.runs)
        if rng.random() < config.insert:
            more = symbol if rng.random() < 0.5 else alphabet.blank
            path += [more] * rng.choice(book.runs)
        previous = symbol
    return path + [alphabet.blank] * rng.choice(book.edges)


def smoothed(path: Sequence[int], size: int, smooth: float, rng: random.Random) -> np.ndarray:
    """Posteriors [T, V] of a path: one-hot, but for an even share alpha ~ U(0, smooth) per frame.

    Args:
        path: symbol of each frame.
        size: number V of symbols.
        smooth: maximum share that is spread over all symbols.
        rng: the only source of chance.
    """
    alpha = np.array([rng.uniform(0, smooth) for _ in path], np.float32)[:, None]
    posteriors = np.repeat(alpha / size, size, axis=1)
    posteriors[np.arange(len(path)), np.array(path, int)] += 1 - alpha[:, 0]
    return posteriors


class SimulatedCorpus(PseudoAudio):
    """Target text shown through simulated posteriors, which are drawn anew each time.

    Args:
        name, text, targets: as for `PseudoAudio`.
        symbols: CTC symbols by utterance id.
        alphabet, book, config: settings by which symbols become vectors.
        given: which positions become LLM inputs: "all", or "spoken" ones alone, without blanks and
            with repeats merged. None: the vectors are encoder frames.
    """

    def __init__(
        self,
        name: str,
        text: Mapping[str, str],
        targets: Mapping[str, str],
        symbols: Mapping[str, Sequence[int]],
        alphabet: Alphabet,
        book: Codebook,
        config: SimulationConfig,
        given: Literal["all", "spoken"] | None = None,
    ):
        self.symbols, self.alphabet, self.book, self.config = symbols, alphabet, book, config
        self.given = given
        around, each = 2 * np.mean(book.edges), np.mean(book.runs) * (1 + config.insert)
        each += np.mean(book.gaps)
        if given == "spoken":
            around, each = 0.0, 1.0
        lengths = {
            utt: round(around + (1 - config.drop) * each * len(spoken))
            for utt, spoken in symbols.items()
        }
        super().__init__(name, text, targets, lengths, projected=given is not None)

    def simulate(self, utt_id: str, rng: random.Random) -> Slot:
        """Simulate float16 [T, D] encoder frames, or LLM inputs, for an utterance."""
        path = simulate_path(self.symbols[utt_id], self.alphabet, self.book, self.config, rng)
        if self.given == "spoken":
            path = [s for s, _ in groupby(path) if s != self.alphabet.blank]
        vectors = smoothed(path, self.alphabet.size, self.config.smooth, rng) @ self.book.frames
        return Projected(vectors) if self.projected else vectors.astype(np.float16)
