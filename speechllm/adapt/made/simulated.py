"""Target text as simulated speech: encoder frames or LLM inputs behind simulated posteriors."""

import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from speechllm.adapt.method import Workspace
from speechllm.config import PositiveInt, Section
from speechllm.data.dirs.forms import Folding
from speechllm.errors import ConfigError
from speechllm.slot.mixture import spread
from speechllm.slot.pseudo_audio.posteriors import (
    Alphabet,
    Codebook,
    SimulatedCorpus,
    SimulationConfig,
    learn_codebook,
    stretches,
)
from speechllm.slot.text.spelling import spell

if TYPE_CHECKING:  # to read a config needs no torch
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

_Made = tuple[SimulatedCorpus, Callable[[Sequence[int]], list[str]], dict[str, float]]
"""Corpus, function that names its symbols, and further entries of its `origin`."""

SIMULATED = "simulated"
"""Domain of the simulated speech of target text."""


class SimulatedSpeech(Section):
    """Simulation of speech: text is spelled in CTC symbols (docs/methods/posterior.md)."""

    simulation: SimulationConfig = SimulationConfig()
    accents: tuple[str, ...] = ()
    """Accents of espeak, one drawn for each utterance, where the CTC symbols are phones."""
    lexicon: str | None = None
    """File of lines `word symbol symbol ...` that spells all words; then no accents are given."""
    fold: Folding = ()
    """Foldings of words before they are looked up in the lexicon."""
    codebook_utterances: PositiveInt = 1000
    """Maximum number of source utterances on which the codebook is measured."""

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        if self.accents and self.lexicon:
            raise ValueError("give either accents or lexicon")
        if self.fold and not self.lexicon:
            raise ValueError("fold is of words that a lexicon is asked for: give lexicon")
        return self

    def simulate(self, workspace: Workspace, seed: int) -> SimulatedCorpus:
        """Make the target's text with its simulation, measured; the source must have audio.

        If the base's projector has CTC, its posteriors are simulated, and the LLM inputs behind
        them; otherwise those of the encoder's CTC head, and the frames behind them.

        Raises:
            ConfigError: no suitable CTC, CTC reads only blanks in the source's speech, or the text
                cannot be spelled in the symbols.
            DataError: the source has no audio, or no features.
        """
        ids = spread(workspace.audible_source().spoken, self.codebook_utterances)
        with_ctc = workspace.model.ctc is not None
        made = (self._by_projector if with_ctc else self._by_encoder)(workspace, ids, seed)
        corpus, names, origin = made
        corpus.measure(workspace.model.tokenizer, workspace.model.projector.output_length)
        used = {symbol for line in corpus.symbols.values() for symbol in line}
        book = corpus.book
        corpus.origin = {
            "codebook_utterances": len(ids),
            **origin,
            "unheard_symbols": names(sorted(s for s in used if book.mass[s] < 1)),
            "frames_per_symbol": round(sum(book.runs) / len(book.runs), 3),
            "blanks_between": round(sum(book.gaps) / len(book.gaps), 3),
        }
        log.info("simulated posteriors: %s", json.dumps(corpus.origin, ensure_ascii=False))
        return corpus

    def _by_encoder(self, workspace: Workspace, ids: Sequence[str], seed: int) -> _Made:
        from speechllm.model.ctc import load_ctc_head

        config, target = workspace.model.config, workspace.corpora["target"]
        head, tokenizer = load_ctc_head(config.audio_model, config.trust_remote_code)
        self._check_spelling(tokenizer)
        symbols, unknown = spell(
            target.text, tokenizer, self.accents, self.lexicon, seed, self.fold
        )
        frames = workspace.corpora["source"].frames
        book = _of_speech(learn_codebook(head, (frames[utt] for utt in ids)))
        corpus = SimulatedCorpus(
            target.name,
            target.text,
            target.targets,
            symbols,
            head.alphabet,
            book,
            self.simulation,
        )
        return corpus, tokenizer.convert_ids_to_tokens, {"unknown_symbols": round(unknown, 4)}

    def _by_projector(self, workspace: Workspace, ids: Sequence[str], seed: int) -> _Made:
        import numpy as np

        from speechllm.adapt.made.heard import BLANK, ctc_of_posteriors, hear, spelled

        if self.accents or self.lexicon:
            raise ConfigError(
                "accents and lexicon are for an encoder's CTC head, and here the projector's CTC, "
                "which spells by itself, is simulated",
                "leave them out",
            )
        model, source = workspace.model, workspace.corpora["source"]
        ctc = ctc_of_posteriors(model, "simulated posteriors")
        target = workspace.corpora["target"]
        symbols = spelled(model, target.text)
        paths = [heard.logits.argmax(1) for _, heard in hear(model, source, ids)]
        table = model.unit_embeddings.detach().float().cpu()
        vectors = np.concatenate([ctc.blank_vector.detach().cpu()[None].numpy(), table.numpy()])
        mass = sum((np.bincount(p, minlength=len(vectors)) for p in paths), np.zeros(len(vectors)))
        book = _of_speech(Codebook(vectors, mass, *stretches(paths, BLANK)))
        corpus = SimulatedCorpus(
            target.name,
            target.text,
            target.targets,
            symbols,
            Alphabet(len(vectors), BLANK, frozenset({BLANK})),
            book,
            self.simulation,
            "spoken" if ctc.config.compress else "all",
        )

        def names(symbols: Sequence[int]) -> list[str]:
            return model.tokenizer.convert_ids_to_tokens([int(model.units[s - 1]) for s in symbols])

        return corpus, names, {}

    def _check_spelling(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        from transformers import Wav2Vec2PhonemeCTCTokenizer

        by_sound = isinstance(tokenizer, Wav2Vec2PhonemeCTCTokenizer)
        if by_sound and not (self.accents or self.lexicon):
            raise ConfigError("the encoder's CTC symbols are phones: give accents or a lexicon")
        if self.accents and not by_sound:
            raise ConfigError("accents: the encoder's CTC symbols are characters, not phones")


def _of_speech(book: Codebook) -> Codebook:
    """Return the codebook; raise ConfigError if it was measured on nothing but blanks."""
    if not book.runs:
        raise ConfigError("CTC hears nothing but blanks in source speech")
    return book
