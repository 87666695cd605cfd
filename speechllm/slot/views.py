"""Views: what fills the speech slot, the one question that every adaptation method answers.

A view turns an utterance into the contents of the slot, and knows their length and what they need.
Its random generator is seeded by (seed, epoch, view, utterance), so that noise is fresh in every
epoch and the same again in a resumed run.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

from speechllm.errors import ConfigError, did_you_mean
from speechllm.slot.collate import Example
from speechllm.slot.corpus import Corpus
from speechllm.slot.prompt import Prompt
from speechllm.slot.pseudo_audio.contents import Slot, Soft
from speechllm.slot.pseudo_audio.corpus import PseudoAudio
from speechllm.slot.text.confusions import Confusions
from speechllm.slot.text.noise import NoiseConfig, corrupt
from speechllm.slot.text.upsample import mask_token, upsample_and_mask

NOISE_GROWTH = {"naive": 1.6, "echo": 1.0, "empty": 0.0}
"""Tokens of noisy text relative to its clean form, for kinds of noise where the ratio hardly
varies; used to plan batches."""
UPSAMPLED = 1.5
"""Mean ratio for upsampled text."""


class PromptMaker(Protocol):
    """Makes an utterance's prompt from its transcript; None: the model's own.

    Attributes:
        growth: mean number of LLM positions by which such a prompt is longer.
    """

    growth: int

    def __call__(self, text: str, rng: random.Random) -> Prompt | None: ...


class Views:
    """Renders utterances of some corpora through any view, and holds what views need for it.

    Args:
        tokenizer: the LLM's tokenizer.
        corpora: corpora by domain name ("source", "target").
        noise: corruption of `noisy_text`.
        seed: seed of all noise.
        projected_text: speech snapped to the vocabulary, by utterance id, for the view
            `projected_text`; that of the source also for noise of kind `projector`.
        soft_length: number of positions of `soft_prompt`.
        prompts: makes each utterance's prompt for `hotwords`.
        spell: turns text for the slot into token ids; None: the tokenizer.
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
        """Render one utterance through one view.

        Args:
            view: name of the view.
            domain: domain of the utterance.
            utt_id: utterance id.
            epoch: number of the epoch, which changes what is random.
        """
        rng = self.generator(view, utt_id, epoch)
        corpus = self.corpora[domain]
        slot = VIEWS[view].fill(self, corpus, utt_id, rng)
        text, target = corpus.text[utt_id], corpus.targets[utt_id]
        tokens = self.tokens(target)
        plain = text == target and self.in_slot == self.tokens
        transcript = tokens if plain else self.in_slot(text)
        prompt = VIEWS[view].prompt(self, text, rng)
        return Example(utt_id, view, slot, tokens, transcript, prompt, domain)

    def length(self, view: str, domain: str, utt_id: str) -> int:
        """LLM positions of slot + target, exact unless the slot is random.

        Text without prompt counts as if it had one, so that its batches hold as many items as
        those of `empty`.

        Args:
            view: name of the view.
            domain: domain of the utterance.
            utt_id: utterance id.
        """
        corpus = self.corpora[domain]
        return VIEWS[view].length(self, corpus, utt_id) + corpus.target_tokens[utt_id]

    def generator(self, view: str, utt_id: str, epoch: int = 0) -> random.Random:
        """Random generator for one utterance, view and epoch.

        Args:
            view: name of the view.
            utt_id: utterance id.
            epoch: number of the epoch.
        """
        return random.Random(f"view {self.seed} {epoch} {view} {utt_id}")

    def text_length(self, corpus: Corpus, utt_id: str) -> int:
        """Number of tokens of a transcript in the slot."""
        if self.in_slot == self.tokens:
            return corpus.text_tokens[utt_id]
        return len(self.in_slot(corpus.text[utt_id]))

    def corrupt(self, text: str, rng: random.Random) -> str:
        """Corrupt a text by the configured kind of noise."""
        if self.noise.kind == "projector":
            return self._confusions.corrupt(text, rng)
        return corrupt(text, self.noise, rng)

    @cached_property
    def _confusions(self) -> Confusions:
        source = self.corpora["source"].text
        return Confusions((text, self.projected[utt]) for utt, text in source.items())

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids


class View(ABC):
    """Way to fill the speech slot. A new one is a subclass and a line in `VIEWS`.

    Attributes:
        needs: what an utterance must have to be shown; None: nothing.
        is_speech: whether the slot holds real speech.
    """

    needs: ClassVar[Literal["audio", "transcript"] | None] = None
    is_speech: ClassVar[bool] = False

    @abstractmethod
    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        """Make the contents of the slot.

        Args:
            views: holds what views need.
            corpus: corpus of the utterance.
            utt_id: utterance id.
            rng: the only source of chance.
        """

    @abstractmethod
    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        """LLM positions of the slot, for the plan of batches.

        If they are random: their mean, or those of the first epoch.

        Args:
            views: holds what views need.
            corpus: corpus of the utterance.
            utt_id: utterance id.
        """

    def prompt(self, views: Views, text: str, rng: random.Random) -> Prompt | None:
        """Prompt around the slot; None: the model's own.

        Args:
            views: holds what views need.
            text: transcript of the utterance.
            rng: the only source of chance.
        """
        return None


class AudioView(View):
    """Speech: encoder frames."""

    needs, is_speech = "audio", True

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return corpus.frames[utt_id]

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return corpus.speech_lengths[utt_id]


class HotwordsView(AudioView):
    """Speech behind a prompt that lists words."""

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        if views.prompts is None:
            raise ConfigError("the view hotwords is shown by the method of that name alone")
        return super().fill(views, corpus, utt_id, rng)

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        growth = views.prompts.growth if views.prompts else 0
        return super().length(views, corpus, utt_id) + growth

    def prompt(self, views: Views, text: str, rng: random.Random) -> Prompt | None:
        return views.prompts(text, rng) if views.prompts else None


class PseudoAudioView(View):
    """Simulated speech of a text, which a method has prepared."""

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        if not isinstance(corpus, PseudoAudio):
            raise ConfigError("the view pseudo_audio shows text that a method has prepared for it")
        return corpus.simulate(utt_id, rng)

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return corpus.speech_lengths[utt_id]


class EmptyView(View):
    """Empty slot inside the prompt."""

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return []

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return 0


class NoPromptView(EmptyView):
    """Neither slot nor prompt: the target follows bos."""

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return None


class CleanTextView(View):
    """The transcript itself."""

    needs = "transcript"

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return views.in_slot(corpus.text[utt_id])

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return views.text_length(corpus, utt_id)


class NoisyTextView(View):
    """The transcript, corrupted."""

    needs = "transcript"

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return views.in_slot(views.corrupt(corpus.text[utt_id], rng))

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        if (growth := NOISE_GROWTH.get(views.noise.kind)) is not None:
            return round(growth * views.text_length(corpus, utt_id))
        first = views.generator("noisy_text", utt_id)  # noise of the first epoch
        return len(self.fill(views, corpus, utt_id, first))


class UpsampleMaskView(View):
    """The transcript, each token once or twice by chance, half of them masked."""

    needs = "transcript"

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        tokens = views.in_slot(corpus.text[utt_id])
        return upsample_and_mask(tokens, mask_token(views.tokenizer), rng)

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return round(UPSAMPLED * views.text_length(corpus, utt_id))


class ProjectedTextView(View):
    """Projected speech as text: the nearest entries of the vocabulary."""

    needs = "audio"

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return views.in_slot(views.projected[utt_id])

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return len(views.in_slot(views.projected[utt_id]))


class SoftPromptView(View):
    """Soft prompt: vectors that are learnt."""

    def fill(self, views: Views, corpus: Corpus, utt_id: str, rng: random.Random) -> Slot:
        return Soft(views.soft_length)

    def length(self, views: Views, corpus: Corpus, utt_id: str) -> int:
        return views.soft_length


VIEWS: dict[str, View] = {
    "audio": AudioView(),
    "empty": EmptyView(),
    "clean_text": CleanTextView(),
    "noisy_text": NoisyTextView(),
    "projected_text": ProjectedTextView(),
    "no_prompt": NoPromptView(),
    "upsample_mask": UpsampleMaskView(),
    "soft_prompt": SoftPromptView(),
    "pseudo_audio": PseudoAudioView(),
    "hotwords": HotwordsView(),
}


def shown_by(view: str, corpus: Corpus) -> list[str]:
    """Utterances of a corpus that have what a view needs, in the corpus's order."""
    utterances = {"audio": lambda: corpus.spoken, "transcript": lambda: corpus.written}
    return utterances.get(VIEWS[view].needs, lambda: list(corpus.text))()


def needs_audio(view: str) -> bool:
    """Whether a view needs utterances with audio."""
    return VIEWS[view].needs == "audio"


def check_view(view: str) -> None:
    """Raise ConfigError with the nearest name if there is no such view."""
    if view not in VIEWS:
        raise ConfigError(f"there is no view '{view}'{did_you_mean(view, VIEWS)}")
