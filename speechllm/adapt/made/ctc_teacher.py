"""Source pairs for the training of a CTC simulator: text, WER of its reading, posteriors."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from speechllm.adapt.made.heard import BLANK, ProjectedSpeech, ctc_of, hear, unit_rows
from speechllm.model.speech_llm import SpeechLLM
from speechllm.score.count.wer import score_texts
from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.sparse_posteriors import Posteriors, most_likely


class SimulatorPair(NamedTuple):
    """Utterance of the source, as the simulator learns it.

    Attributes:
        utt_id: utterance id.
        text: CTC symbols of its transcript.
        wer: WER of its reading by CTC alone, in percent.
        posteriors: posteriors at the positions that the LLM is given.
    """

    utt_id: str
    text: list[int]
    wer: float
    posteriors: Posteriors


def pairs_of(
    model: SpeechLLM, corpus: Corpus, ids: Sequence[str], candidates: int
) -> list[SimulatorPair]:
    """Read utterances by CTC; those without words, units or positions for the LLM are left out.

    Args:
        model: model whose projector has CTC.
        corpus: corpus with its frames opened.
        ids: ids of some of its spoken utterances.
        candidates: number of symbols kept of each posterior.
    """
    ctc = ctc_of(model, "tasu2")
    read: dict[str, str] = {}
    found: dict[str, Posteriors] = {}
    for utt, heard in hear(model, corpus, ids):  # one by one: all logits would be gigabytes
        if len(heard.positions):
            read[utt] = reading(model, heard.logits.argmax(1))
            found[utt] = given(heard, ctc.temperature, ctc.config.compress, candidates)
    wers = word_errors({utt: corpus.text[utt] for utt in read}, read)
    rows = {utt: unit_rows(model, corpus.text[utt]) for utt in wers}
    return [
        SimulatorPair(utt, rows[utt], wer, found[utt]) for utt, wer in wers.items() if rows[utt]
    ]


def given(
    heard: ProjectedSpeech, temperature: float, compress: bool, candidates: int
) -> Posteriors:
    """Posteriors behind the LLM's inputs, at their positions.

    Args:
        heard: projected speech of an utterance.
        temperature: divides the logits.
        compress: whether the LLM is given each run of a symbol once, as its mean.
        candidates: number of symbols kept of each posterior.
    """
    scores = heard.logits / temperature
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    if compress:
        best = heard.logits.argmax(1)
        starts = np.flatnonzero(np.diff(best, prepend=-1))
        lengths = np.diff(starts, append=len(best))
        means = np.add.reduceat(shares, starts) / lengths[:, None]
        shares = means[np.searchsorted(starts, heard.positions, "right") - 1]
    return most_likely(shares, candidates)


def reading(model: SpeechLLM, path: Sequence[int] | np.ndarray, merged: bool = False) -> str:
    """Text of a path of CTC symbols.

    Args:
        model: model with the units and the tokenizer.
        path: symbols, blanks included.
        merged: whether repeats were merged already; otherwise they are merged here.
    """
    symbols = [int(s) for s in path] if merged else [int(s) for s, _ in groupby(path)]
    ids = [int(model.units[s - 1]) for s in symbols if s != BLANK]
    return model.tokenizer.decode(ids, skip_special_tokens=True)


def word_errors(said: Mapping[str, str], read: Mapping[str, str]) -> dict[str, float]:
    """WER of each utterance in percent; those without words are left out."""
    if not said:
        return {}
    scored = score_texts(said, read).utterances
    return {u.id: percent for u in scored if (percent := u.words.percent) is not None}
