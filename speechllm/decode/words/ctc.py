"""CTC head of the encoder on cached frames: most likely symbols, and times of words."""

import logging
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from speechllm.decode.config import SpellingConfig
from speechllm.decode.words.word_times import Times, ctc_word_times
from speechllm.model.ctc import load_ctc_head
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.text.spelling import other_form, read_lexicon, spell_words

log = logging.getLogger(__name__)

TINY = np.finfo(np.float32).tiny


class CtcReader:
    """Reads frames with the CTC head of a model's encoder.

    Args:
        model: its encoder has the head.
        spelling: how words are spelled in the head's symbols.

    Raises:
        ConfigError: the encoder has no CTC head, or the lexicon cannot be read.
    """

    def __init__(self, model: SpeechLLM, spelling: SpellingConfig):
        from transformers import Wav2Vec2PhonemeCTCTokenizer

        config = model.config
        self._head, self._tokenizer = load_ctc_head(config.audio_model, config.trust_remote_code)
        self._by_sound = isinstance(self._tokenizer, Wav2Vec2PhonemeCTCTokenizer)
        self._spelling = spelling
        self._lexicon = read_lexicon(spelling.lexicon) if spelling.lexicon else None
        self._is_told = False
        self._spelled: dict[str, list[int]] = {}
        delimiter = getattr(self._tokenizer, "word_delimiter_token_id", None)
        self._between = [] if self._by_sound or delimiter is None else [delimiter]

    def spell(self, words: Iterable[str]) -> dict[str, list[int]]:
        """Symbols of words and phrases, as ids; [] for those that cannot be spelled.

        Raises:
            SpeechLLMError: espeak is needed and not installed, or does not know the accent.
        """
        words = list(words)
        if new := [word for word in words if word not in self._spelled]:
            s = self._spelling
            self._spelled |= spell_words(
                new, self._tokenizer, self._by_sound, s.accent, self._lexicon, s.fold
            )
            if self._lexicon is not None and not self._is_told:
                hint = other_form(dict.fromkeys(new, 1), self._lexicon, s.fold, "ctc.fold")
                self._is_told = hint is not None
                if hint:
                    log.warning("ctc.lexicon: %s: %s", s.lexicon, hint)
        return {word: self._spelled[word] for word in words}

    def heard(self, frames: np.ndarray) -> list[int]:
        """Most likely symbols of frames [T, D]: repeats merged, blanks left out."""
        path = self._head.posteriors(frames).argmax(axis=1)
        return [int(s) for s, _ in groupby(path) if s not in self._head.special]

    def word_times(self, frames: np.ndarray, words: Sequence[str], seconds: float) -> Times:
        """Times of words by forced alignment (speechllm.decode.words.word_times).

        Args:
            frames: [T, D] of the utterance.
            words: of the transcript.
            seconds: duration of the utterance.
        """
        log_probs = np.log(np.maximum(self._head.posteriors(frames), TINY))
        spelled = self.spell(words)
        symbols = [spelled[words[0]]] if words else []
        for word in words[1:]:
            symbols += [self._between, spelled[word]]
        return ctc_word_times(log_probs, symbols, self._head.blank, seconds)[::2]
