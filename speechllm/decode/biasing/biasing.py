"""Contextual biasing by the bias lists of a set: before the search, and inside it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.decode.biasing.hotword_prompts import HotwordPrompts
from speechllm.decode.biasing.trie_boost import TrieBoost
from speechllm.decode.config import BiasingConfig
from speechllm.decode.scorers.scorer import Scorer
from speechllm.decode.words.ctc import CtcReader
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example


class Biased(NamedTuple):
    """Utterance, and the bias words that stand in its prompt."""

    example: Example
    words: tuple[str, ...]


class Biasing:
    """Biasing of the set that is decoded; without a config or without lists it does nothing.

    Args:
        model: it reads the prompts, and its tokens are boosted.
        config: whether lists stand in prompts, inside the search, or both.
        lists: bias lists of the set.
        reader: the encoder's CTC head, for `prompt.filter: ctc`.

    Attributes:
        growth: LLM positions that bias words add to a prompt.

    Raises:
        ConfigError: whole lists are to stand in prompts, and one is too long.
    """

    def __init__(
        self,
        model: SpeechLLM,
        config: BiasingConfig | None = None,
        lists: BiasLists | None = None,
        reader: CtcReader | None = None,
    ):
        self._prompts: HotwordPrompts | None = None
        self._inside: list[Scorer] = []
        self.growth = 0
        if not (config and lists):
            return
        lists = lists.folded(config.fold)
        if config.prompt:
            self._prompts = HotwordPrompts(model, config.prompt, lists, reader)
            self.growth = self._prompts.growth
        if config.trie:
            assert config.trie.boost is not None, "an open boost is chosen before"
            self._inside = [TrieBoost(model, lists, config.trie.boost)]

    def before(
        self, examples: Sequence[Example], transcribe: Callable[[], Sequence[str]]
    ) -> list[Biased]:
        """Put the likeliest bias words into the prompts of a batch, before its search.

        Args:
            examples: utterances.
            transcribe: gives a rough transcript of each; called only where words are chosen by it.
        """
        if self._prompts is None:
            return [Biased(example, ()) for example in examples]
        heard = transcribe() if self._prompts.needs_transcripts else [""] * len(examples)
        chosen = map(self._prompts.choose, examples, heard)
        return [
            Biased(self._prompts.with_prompt(example, words), tuple(words))
            for example, words in zip(examples, chosen, strict=True)
        ]

    def inside(self) -> list[Scorer]:
        """Scorers that make phrases of the lists likelier inside the search."""
        return self._inside
