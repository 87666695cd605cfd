"""Words of hypotheses with confidences and times, as fields of hyp.jsonl."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from speechllm.decode.config import DecodeConfig
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.record import RecordedWord
from speechllm.decode.words.attention import speech_attention
from speechllm.decode.words.confidence import (
    token_log_probs,
    utterance_confidence,
    word_confidences,
    words_of_tokens,
)
from speechllm.decode.words.ctc import CtcReader
from speechllm.decode.words.word_times import Times, attention_word_times
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.model.compute.precision import autocast
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate

log = logging.getLogger(__name__)
DIGITS = 4  # of confidences: the last bits of a sum depend on the batch
ROWS = 16  # hypotheses scored at once: the logits of all their tokens are in memory
Source = Literal["ctc", "attention", "none"]
Look = tuple[float | None, tuple[RecordedWord, ...] | None]
"""Confidence of an utterance, and its words."""


class WordRecords:
    """Computes confidences and times of the words of hypotheses, if the config asks for them.

    Args:
        model: in eval mode.
        config: `confidence` and `word_times`.
        reader: the encoder's CTC head, where it is loaded already.

    Attributes:
        times_by: source of the times.

    Raises:
        ConfigError: `word_times: ctc` for an encoder without a CTC head.
    """

    def __init__(self, model: SpeechLLM, config: DecodeConfig, reader: CtcReader | None = None):
        self._model, self._config, self._reader = model, config, reader
        self.times_by: Source = "none"
        if config.word_times == "attention":
            self.times_by = "attention"
        elif config.word_times != "none":
            self.times_by = self._ctc_or_attention()

    def _ctc_or_attention(self) -> Source:
        try:
            self._reader = self._reader or CtcReader(self._model, self._config.ctc)
            self._reader.spell(["a"])
        except SpeechLLMError as error:
            if self._config.word_times == "ctc":
                if isinstance(error, ConfigError):
                    remedy = "choose word_times: attention"
                    raise ConfigError(f"word_times: ctc: {error.message}", remedy) from error
                raise
            log.warning("word times by attention, since there are none by CTC: %s", error.message)
            return "attention"
        return "ctc"

    def of(
        self,
        examples: Sequence[Example],
        hypotheses: Sequence[Hypothesis],
        seconds: Sequence[float],
    ) -> list[Look]:
        """Confidence and words of each utterance; None for what the config does not ask for.

        Args:
            examples: what was decoded, each with the prompt that it had.
            hypotheses: of them.
            seconds: their durations.
        """
        if not (self._config.confidence or self.times_by != "none"):
            return [(None, None)] * len(examples)
        records: list[Look] = []
        said = [
            replace(example, target=hypothesis.ids)
            for example, hypothesis in zip(examples, hypotheses, strict=True)
        ]
        log_probs = self._log_probs(said) if self._config.confidence else None
        for i, (example, hypothesis) in enumerate(zip(said, hypotheses, strict=True)):
            words = hypothesis.text.split()
            places = words_of_tokens(self._model.tokenizer, hypothesis.ids)
            sure: Sequence[float | None] = [None] * len(words)
            confidence = None
            if log_probs:
                confidence = round(utterance_confidence(log_probs[i]), DIGITS)
                sure = word_confidences(log_probs[i], places, len(words))
            times = self._times(example, words, places, seconds[i])
            recorded = tuple(
                RecordedWord(
                    word,
                    None if c is None else round(c, DIGITS),
                    None if t is None else round(t[0], 3),
                    None if t is None else round(t[1], 3),
                )
                for word, c, t in zip(words, sure, times, strict=True)
            )
            records.append((confidence, recorded))
        return records

    def _log_probs(self, said: Sequence[Example]) -> list[list[float]]:
        model, config = self._model, self._config
        found: list[list[float]] = []
        for start in range(0, len(said), ROWS):
            rows = said[start : start + ROWS]
            batch = collate(rows, model.prompt, model.projector.output_length).to(model.device)
            with autocast(config.precision, str(model.device)):
                found += token_log_probs(model, batch, config.confidence_temperature)
        return found

    def _times(
        self, example: Example, words: Sequence[str], places: Sequence[range], seconds: float
    ) -> Times:
        if self.times_by == "none" or not words:
            return [None] * len(words)
        if self.times_by == "ctc":
            assert self._reader is not None
            return self._reader.word_times(example.slot, words, seconds)
        attention = speech_attention(self._model, example)
        return attention_word_times(attention, places, len(words), seconds)
