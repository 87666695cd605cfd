"""Target text as the encoder frames of simulated CTC posteriors, for methods that want it heard."""

import json
import logging
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from speechllm.adapt.method import Workspace
from speechllm.config import PositiveInt, Section
from speechllm.data.forms import Folding
from speechllm.data.posteriors import SimulatedCorpus, SimulationConfig, learn_codebook
from speechllm.data.spelling import spell
from speechllm.errors import ConfigError

if TYPE_CHECKING:  # to read a config needs no torch
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

SIMULATED = "simulated"
"""Domain of the simulated speech of target text."""


class SimulatedSpeech(Section):
    """How text is spelled in CTC symbols and turned into frames (docs/methods/posterior.md)."""

    simulation: SimulationConfig = SimulationConfig()
    accents: tuple[str, ...] = ()
    """Accents of espeak, one drawn for each utterance, where the CTC symbols are phones."""
    lexicon: str | None = None
    """File of lines `word symbol symbol ...` instead."""
    fold: Folding = ()
    """Forms that words are brought into before the lexicon is asked for them."""
    codebook_utterances: PositiveInt = 1000
    """Source utterances on which the codebook is measured, at most."""

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        if self.accents and self.lexicon:
            raise ValueError("give either accents or lexicon")
        if self.fold and not self.lexicon:
            raise ValueError("fold is of words that a lexicon is asked for: give lexicon")
        return self

    def simulate(self, workspace: Workspace, seed: int) -> SimulatedCorpus:
        """The target's text with its simulation, measured; the source must have audio.

        Raises:
            ConfigError: the encoder has no CTC head, the source has no audio, the head hears
                nothing in it, or the text cannot be spelled in the head's symbols.
        """
        from speechllm.model.ctc import load_ctc_head

        model = workspace.model
        source, target = workspace.corpora["source"], workspace.corpora["target"]
        head, tokenizer = load_ctc_head(model.config.audio_model, model.config.trust_remote_code)
        self._check_spelling(tokenizer)
        symbols, unknown = spell(
            target.text, tokenizer, self.accents, self.lexicon, seed, self.fold
        )
        if not source.frames:
            source.open_frames(
                workspace.dump, model.config.audio_model, model.config.encoder_settings
            )
        ids = list(source.text)[:: max(1, len(source.text) // self.codebook_utterances)]
        ids = ids[: self.codebook_utterances]
        book = learn_codebook(head, (source.frames[utt] for utt in ids))
        if not book.runs:
            raise ConfigError("the encoder's CTC head hears nothing but blanks in source speech")
        corpus = SimulatedCorpus(
            target.name, target.text, target.targets, symbols, head, book, self.simulation
        )
        corpus.measure(model.tokenizer, model.projector.output_length)
        used = {symbol for line in symbols.values() for symbol in line}
        corpus.origin = {
            "codebook_utterances": len(ids),
            "unknown_symbols": round(unknown, 4),
            "unheard_symbols": tokenizer.convert_ids_to_tokens(
                sorted(symbol for symbol in used if book.mass[symbol] < 1)
            ),
            "frames_per_symbol": round(sum(book.runs) / len(book.runs), 3),
            "blanks_between": round(sum(book.gaps) / len(book.gaps), 3),
        }
        log.info("simulated posteriors: %s", json.dumps(corpus.origin, ensure_ascii=False))
        return corpus

    def _check_spelling(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        from transformers import Wav2Vec2PhonemeCTCTokenizer

        by_sound = isinstance(tokenizer, Wav2Vec2PhonemeCTCTokenizer)
        if by_sound and not (self.accents or self.lexicon):
            raise ConfigError("the encoder's CTC symbols are phones: give accents or a lexicon")
        if self.accents and not by_sound:
            raise ConfigError("accents: the encoder's CTC symbols are characters, not phones")
