"""Training to use a bias list in the prompt (after CTC-assisted LLM-based ASR, 2411.06437)."""

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from speechllm.adapt.method import Method, Phase
from speechllm.decode.config import HotwordsConfig, Template
from speechllm.slot.mixture import Component
from speechllm.slot.text.hotword_lists import HotwordLists, HotwordListsConfig, hotword_sentence

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.model.speech_llm import SpeechLLM
    from speechllm.slot.corpus import Corpus
    from speechllm.slot.prompt import Prompt


class HotwordTuning(Method):
    """LoRA on source speech whose prompts hold lists with the utterance's rare words.

    Nothing is learnt from the target: its bias list comes in at decoding, with `biasing.prompt`
    and the same `template`.
    """

    lists: HotwordListsConfig = HotwordListsConfig()
    template: Template = HotwordsConfig().template
    """Template of the prompt's sentence with the list, as in `biasing.prompt`."""

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return [Component("hotwords", "source", 1.0)]

    def phases(self, sizes: Mapping[str, int]) -> Sequence[Phase]:
        components = self.components(sizes)
        return [
            Phase("", components, self.trainable, self.train, self.monitor, heard_as="hotwords")
        ]

    def prompts(self, model: "SpeechLLM", corpora: Mapping[str, "Corpus"]) -> "HotwordPrompter":
        lists = HotwordLists(corpora["source"].text.values(), self.lists)
        return HotwordPrompter(model, lists, self.template)


class HotwordPrompter:
    """Makes each utterance's prompt, with a bias list drawn for it.

    Attributes:
        growth: mean number of LLM positions that a list adds to the prompt, over some lists.
    """

    def __init__(self, model: "SpeechLLM", lists: HotwordLists, template: str):
        self._model, self._lists, self._template = model, lists, template
        rng = random.Random("growth")
        texts = [" ".join(rng.choices(lists.rare, k=2)) if lists.rare else "" for _ in range(50)]
        sentences = [self._sentence(lists.draw(text, rng)) for text in texts]
        ids = model.tokenizer(sentences, add_special_tokens=False).input_ids
        self.growth = round(sum(map(len, ids)) / len(ids))

    def __call__(self, text: str, rng: random.Random) -> "Prompt | None":
        """Prompt for an utterance; None: the model's own."""
        words = self._lists.draw(text, rng)
        return self._model.prompt_with(self._sentence(words)) if words else None

    def _sentence(self, words: Sequence[str]) -> str:
        return hotword_sentence(self._template, words)
