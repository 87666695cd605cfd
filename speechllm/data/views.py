"""What fills the speech slot: the one question that every way of adapting answers.

A view turns an utterance into the contents of the slot. Each is a function of the corpus, the
utterance and a random generator that is seeded by (seed, epoch, utterance), so that noise is
fresh in every epoch and the same again in a resumed run.
"""

import random
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

from speechllm.data.collate import Example
from speechllm.data.confusions import Confusions
from speechllm.data.corpus import Corpus
from speechllm.data.noise import NoiseConfig, corrupt
from speechllm.data.prompt import Prompt
from speechllm.data.pseudo_audio import PseudoAudio
from speechllm.data.slot_contents import Slot, Soft
from speechllm.data.upsample import mask_token, upsample_and_mask
from speechllm.errors import ConfigError, did_you_mean

NOISE_GROWTH = {"naive": 1.6, "echo": 1.0, "empty": 0.0}
"""Corrupted text has about so many times the tokens of its clean form, for kinds of noise where
that hardly varies; used to plan batches."""
UPSAMPLED = 1.5
"""The same for upsampled text."""


class PromptMaker(Protocol):
    """Makes an utterance's prompt out of its transcript; None is the model's own.

    Attributes:
        growth: LLM positions that it is longer by, on average.
    """

    growth: int

    def __call__(self, text: str, rng: random.Random) -> Prompt | None: ...


class Views:
    """Renders utterances of some corpora through any view.

    Args:
        tokenizer: the LLM's tokenizer.
        corpora: by domain name ("source", "target").
        noise: the corruption of `noisy_text`.
        seed: of all noise.
        projected_text: for `projected_text`, what speech looks like once snapped to the
            vocabulary, by utterance id; for noise like the projector's, that of the source.
        soft_length: for `soft_prompt`, how many positions it takes.
        prompts: for `hotwords`, what makes the prompt of each utterance.
        spell: writes text into the slot, as ids; None is the tokenizer.
    """

    def __init__(
        self,
        tokenizer: Any,
        corpora: Mapping[str, Corpus],
        noise: NoiseConfig | None = None,
        seed: int = 0,
        projected_text: Mapping[str, str] | None = None,
        soft_length: int = 0,
        prompts: PromptMaker | None = None,
        spell: Callable[[str], list[int]] | None = None,
    ):
        self.tokenizer = tokenizer
        self.corpora = corpora
        self.noise = noise or NoiseConfig()
        self.seed = seed
        self.projected = projected_text or {}
        self.soft_length = soft_length
        self.prompts = prompts
        self.in_slot = spell or self.tokens

    def render(self, view: str, domain: str, utt_id: str, epoch: int = 0) -> Example:
        """One utterance through one view."""
        rng = random.Random(f"view {self.seed} {epoch} {view} {utt_id}")
        corpus = self.corpora[domain]
        slot = VIEWS[view](self, corpus, utt_id, rng)
        text, target = corpus.text[utt_id], corpus.targets[utt_id]
        tokens = self.tokens(target)
        plain = text == target and self.in_slot == self.tokens
        transcript = tokens if plain else self.in_slot(text)
        prompt = self.prompts(text, rng) if self.prompts and view == "hotwords" else None
        return Example(utt_id, view, slot, tokens, transcript, prompt)

    def length(self, view: str, domain: str, utt_id: str) -> int:
        """Positions of slot + target, exact unless chance has a say in the slot.

        Text without prompt counts as if it had one, so that its batches hold as many items as
        those of `empty`.
        """
        corpus = self.corpora[domain]
        target = corpus.target_tokens[utt_id]
        if view in ("audio", "pseudo_audio"):
            return corpus.speech_lengths[utt_id] + target
        if view == "hotwords":
            growth = self.prompts.growth if self.prompts else 0
            return corpus.speech_lengths[utt_id] + growth + target
        if view in ("empty", "no_prompt"):
            return target
        if view == "soft_prompt":
            return self.soft_length + target
        if view == "projected_text":
            return len(self.in_slot(self.projected[utt_id])) + target
        if view == "noisy_text" and self.noise.kind not in NOISE_GROWTH:
            return len(self.render(view, domain, utt_id).slot) + target  # as in the first epoch
        growth = {"noisy_text": NOISE_GROWTH.get(self.noise.kind), "upsample_mask": UPSAMPLED}
        shown = corpus.text_tokens[utt_id]
        if self.in_slot != self.tokens:
            shown = len(self.in_slot(corpus.text[utt_id]))
        return round(growth.get(view, 1) * shown) + target

    def corrupt(self, text: str, rng: random.Random) -> str:
        """Noise of the configured kind."""
        if self.noise.kind == "projector":
            return self._confusions.corrupt(text, rng)
        return corrupt(text, self.noise, rng)

    @cached_property
    def _confusions(self) -> Confusions:
        source = self.corpora["source"].text
        return Confusions((text, self.projected[utt]) for utt, text in source.items())

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids


def _audio(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return corpus.frames[utt_id]


def _empty(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return []


def _clean_text(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return views.in_slot(corpus.text[utt_id])


def _noisy_text(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return views.in_slot(views.corrupt(corpus.text[utt_id], rng))


def _projected_text(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return views.in_slot(views.projected[utt_id])


def _no_prompt(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return None


def _upsample_mask(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    tokens = views.in_slot(corpus.text[utt_id])
    return upsample_and_mask(tokens, mask_token(views.tokenizer), rng)


def _soft_prompt(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    return Soft(views.soft_length)


def _pseudo_audio(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    if not isinstance(corpus, PseudoAudio):
        raise ConfigError("the view pseudo_audio shows text that a method has prepared for it")
    return corpus.simulate(utt_id, rng)


def _hotwords(views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
    if views.prompts is None:
        raise ConfigError("the view hotwords is shown by the method of that name alone")
    return corpus.frames[utt_id]


VIEWS: dict[str, Callable[[Views, Corpus, str, random.Random], Slot]] = {
    "audio": _audio,
    "empty": _empty,
    "clean_text": _clean_text,
    "noisy_text": _noisy_text,
    "projected_text": _projected_text,
    "no_prompt": _no_prompt,
    "upsample_mask": _upsample_mask,
    "soft_prompt": _soft_prompt,
    "pseudo_audio": _pseudo_audio,
    "hotwords": _hotwords,
}
SPEECH = {"audio", "hotwords"}
"""Views that fill the slot with real speech."""
NEED_AUDIO = {*SPEECH, "projected_text"}
NEED_TRANSCRIPT = {"clean_text", "noisy_text", "upsample_mask"}
"""Views that show the transcript; the others do without where the task's answer is another text."""


def shown_by(view: str, corpus: Corpus) -> list[str]:
    """The utterances of a corpus that have what a view shows, in the corpus' order."""
    if view in NEED_AUDIO:
        return corpus.spoken
    return corpus.written if view in NEED_TRANSCRIPT else list(corpus.text)


def check_view(view: str) -> None:
    """Raise ConfigError with the nearest name if there is no such view."""
    if view not in VIEWS:
        raise ConfigError(f"there is no view '{view}'{did_you_mean(view, VIEWS)}")
