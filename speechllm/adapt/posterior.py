"""Simulated CTC posteriors of target text in the speech slot (after TASU, 2511.03310)."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from speechllm.adapt.made_data import MadeData
from speechllm.adapt.method import Workspace
from speechllm.config import PositiveInt
from speechllm.data.mixture import Component
from speechllm.data.posteriors import SimulatedCorpus, SimulationConfig, learn_codebook
from speechllm.data.spelling import spell
from speechllm.errors import ConfigError

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.data.corpus import Corpus

log = logging.getLogger(__name__)


class Posterior(MadeData):
    """LoRA on target text, heard as the encoder frames that its CTC posteriors would stand for.

    The simulation of posteriors (drop, smooth, insert) is that of TASU (ICASSP 2026, 2511.03310).
    What differs: TASU's projector takes posteriors of one frame for each symbol, with blanks taken
    out, and is what is trained. Here the projector takes encoder frames at their full rate. So
    posteriors get runs and blanks as long as in source speech, become frames by a codebook that is
    measured on source speech, and LoRA is what is trained.
    """

    simulation: SimulationConfig = SimulationConfig()
    accents: tuple[str, ...] = ()
    """Accents of espeak, one drawn for each utterance, where the CTC symbols are phones."""
    lexicon: str | None = None
    """File of lines `word symbol symbol ...` instead."""
    codebook_utterances: PositiveInt = 1000
    """Source utterances on which the codebook is measured, at most."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.tau == 0:
            raise ValueError("tau: without a share of simulated speech it is another method")
        if self.accents and self.lexicon:
            raise ValueError("give either accents or lexicon")
        return self

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return self.mixture(Component("posterior", "simulated"), Component("noisy_text", "target"))

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """The target's text with its simulation, in domain "simulated".

        Raises:
            ConfigError: the encoder has no CTC head, the source has no audio, the head hears
                nothing in it, or the text cannot be spelled in the head's symbols.
        """
        from transformers import Wav2Vec2PhonemeCTCTokenizer

        from speechllm.model.ctc import load_ctc_head

        model = workspace.model
        source, target = workspace.corpora["source"], workspace.corpora["target"]
        head, tokenizer = load_ctc_head(model.config.encoder, model.config.trust_remote_code)
        by_sound = isinstance(tokenizer, Wav2Vec2PhonemeCTCTokenizer)
        if by_sound and not (self.accents or self.lexicon):
            raise ConfigError("the encoder's CTC symbols are phones: give accents or a lexicon")
        if self.accents and not by_sound:
            raise ConfigError("accents: the encoder's CTC symbols are characters, not phones")
        symbols, unknown = spell(
            target.text, tokenizer, self.accents, self.lexicon, self.train.seed
        )
        if not source.frames:
            source.open_frames(workspace.dump, model.config.encoder)
        ids = list(source.text)[:: max(1, len(source.text) // self.codebook_utterances)]
        ids = ids[: self.codebook_utterances]
        book = learn_codebook(head, (source.frames[utt] for utt in ids))
        if not book.runs:
            raise ConfigError("the encoder's CTC head hears nothing but blanks in source speech")
        corpus = SimulatedCorpus(target.name, target.text, symbols, head, book, self.simulation)
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
        return {"simulated": corpus}
