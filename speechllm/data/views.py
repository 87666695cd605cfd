"""What fills the speech slot: the one question that every way of adapting answers.

A view turns an utterance into the contents of the slot. Each is a function of the corpus, the
utterance and a random generator that is seeded by (seed, epoch, utterance), so that noise is
fresh in every epoch and the same again in a resumed run.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from speechllm.data.collate import Example
from speechllm.data.corpus import Corpus
from speechllm.data.noise import NoiseConfig, corrupt
from speechllm.data.posteriors import SimulatedCorpus
from speechllm.errors import ConfigError, did_you_mean

NOISE_GROWTH = 1.6
"""Corrupted text has about so many times the tokens of its clean form; used to plan batches."""


class Views:
    """Renders utterances of some corpora through any view.

    Args:
        tokenizer: the LLM's tokenizer.
        corpora: by domain name ("source", "target").
        noise: the corruption of `noisy_text`.
        seed: of all noise.
        projected_text: for `projected_text`, what speech looks like once snapped to the
            vocabulary, by utterance id.
    """

    def __init__(
        self,
        tokenizer: Any,
        corpora: Mapping[str, Corpus],
        noise: NoiseConfig | None = None,
        seed: int = 0,
        projected_text: Mapping[str, str] | None = None,
    ):
        self.tokenizer = tokenizer
        self.corpora = corpora
        self.noise = noise or NoiseConfig()
        self.seed = seed
        self.projected = projected_text or {}

    def render(self, view: str, domain: str, utt_id: str, epoch: int = 0) -> Example:
        """One utterance through one view."""
        rng = random.Random(f"view {self.seed} {epoch} {view} {utt_id}")
        corpus = self.corpora[domain]
        slot = VIEWS[view](self, corpus, utt_id, rng)
        return Example(utt_id, view, slot, self.tokens(corpus.text[utt_id]))

    def length(self, view: str, domain: str, utt_id: str) -> int:
        """Positions of slot + transcript, exact unless chance has a say in the slot."""
        corpus = self.corpora[domain]
        tokens = corpus.token_counts[utt_id]
        if view in ("audio", "posterior"):
            return corpus.speech_lengths[utt_id] + tokens
        if view == "empty":
            return tokens
        if view == "projected_text":
            return len(self.tokens(self.projected[utt_id])) + tokens
        growth = NOISE_GROWTH if view == "noisy_text" else 1
        return round(growth * tokens) + tokens

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids


Slot = np.ndarray | Sequence[int]


def _audio(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return corpus.frames[utt_id]


def _empty(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return []


def _clean_text(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return views.tokens(corpus.text[utt_id])


def _noisy_text(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return views.tokens(corrupt(corpus.text[utt_id], views.noise, rng))


def _projected_text(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return views.tokens(views.projected[utt_id])


def _posterior(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    if not isinstance(corpus, SimulatedCorpus):
        raise ConfigError("the view posterior shows text that the method of that name has prepared")
    return corpus.simulate(utt_id, rng)


VIEWS: dict[str, Callable[[Views, Corpus, str, random.Random], Slot]] = {
    "audio": _audio,
    "empty": _empty,
    "clean_text": _clean_text,
    "noisy_text": _noisy_text,
    "projected_text": _projected_text,
    "posterior": _posterior,
}
NEED_AUDIO = {"audio", "projected_text"}


def check_view(view: str) -> None:
    """Raise ConfigError with the nearest name if there is no such view."""
    if view not in VIEWS:
        raise ConfigError(f"there is no view '{view}'{did_you_mean(view, VIEWS)}")
