"""Bias lists in the prompt: the few entries that a rough transcript makes likely."""

from collections.abc import Sequence
from dataclasses import replace

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.decode.config import HotwordsConfig
from speechllm.decode.words.ctc import CtcReader
from speechllm.errors import ConfigError
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example
from speechllm.slot.text.hotword_lists import hotword_sentence
from speechllm.slot.text.hotwords import Hotwords, SpelledHotwords

SAMPLE = 1000  # entries by which the length of prompts is estimated


class HotwordPrompts:
    """Puts entries of bias lists into the prompts of examples.

    Args:
        model: its prompt is extended.
        config: how entries are chosen, and the sentence that names them.
        lists: bias lists of the set.
        reader: the encoder's CTC head, for `filter: ctc`.

    Raises:
        ConfigError: `filter: none` with a list that is longer than `most`.
    """

    def __init__(
        self,
        model: SpeechLLM,
        config: HotwordsConfig,
        lists: BiasLists,
        reader: CtcReader | None = None,
    ):
        self._model, self.config, self._lists, self._reader = model, config, lists, reader
        self._of_set = self._searchable(lists.words) if lists.words else None
        if config.filter == "none":
            self._check_lengths()

    def _check_lengths(self) -> None:
        longest = max(map(len, (*self._lists.own.values(), self._lists.words)))
        if longest > self.config.most:
            raise ConfigError(
                f"biasing.prompt: a list has {longest:,} entries, and a prompt takes "
                f"{self.config.most}",
                "choose biasing.prompt.filter: first_pass, or raise biasing.prompt.most",
            )

    @property
    def growth(self) -> int:
        """LLM positions that hotwords add to a prompt, estimated from the longest entries."""
        entries = [entry for words in self._lists.own.values() for entry in words[:20]]
        entries = [*self._lists.words[:SAMPLE], *entries[:SAMPLE]]
        chosen = sorted(entries, key=len)[-self.config.most :]
        sentence = hotword_sentence(self.config.template, chosen)
        return len(self._model.tokenizer(sentence, add_special_tokens=False).input_ids)

    @property
    def needs_transcripts(self) -> bool:
        """Whether entries are chosen by the transcripts of a first pass."""
        return self.config.filter == "first_pass"

    def choose(self, example: Example, heard: str) -> list[str]:
        """Entries for one utterance, the likeliest first.

        Args:
            example: the utterance; `filter: ctc` reads its frames.
            heard: transcript of the first pass; other filters ignore it.
        """
        most, least = self.config.most, self.config.least
        utt = example.utt_id
        if self.config.filter == "none":
            return list(self._lists.of(utt))
        if utt in self._lists.own:
            words = self._searchable(self._lists.own[utt])
        elif self._of_set is not None:
            words = self._of_set
        else:
            return []
        if isinstance(words, Hotwords):
            return words.near(heard, most, least)
        assert self._reader is not None
        return words.near(self._reader.heard(example.slot), most, least)

    def with_prompt(self, example: Example, words: Sequence[str]) -> Example:
        """Example with these hotwords in its prompt; unchanged if there are none."""
        if not words:
            return example
        sentence = hotword_sentence(self.config.template, words)
        return replace(example, prompt=self._model.prompt_with(sentence))

    def _searchable(self, words: Sequence[str]) -> Hotwords | SpelledHotwords:
        if self.config.filter != "ctc":
            return Hotwords(words)
        assert self._reader is not None
        return SpelledHotwords(self._reader.spell(words))
