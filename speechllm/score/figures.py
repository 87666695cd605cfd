"""All metrics of one scored set under one normaliser: contents of wer.json (docs/scoring.md)."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from speechllm.score.count.entities import EntityCounts, score_entities
from speechllm.score.count.loops import empty, half_lost, looping
from speechllm.score.count.wer import WordScore
from speechllm.score.count.word_classes import BIASED, UNBIASED, count_biased, count_by_frequency
from speechllm.score.inputs import ScoreInputs
from speechllm.score.rates import Figure, Rates, percent, table_of

LENGTHS = {"0": 0, "1-5": 5, "6-10": 10, "11-20": 20, "21-40": 40, ">40": None}
"""Bins of an utterance's reference words, each by its highest number."""
MISSED_WORDS = 20  # number of unseen words that are listed


def figures(
    score: WordScore, inputs: ScoreInputs, frequencies: Mapping[str, int] | None, rates: Rates
) -> Figure:
    """Return every metric; None stands for one that the set has no data for.

    Args:
        score: word score of the set.
        inputs: see `ScoreInputs`.
        frequencies: counts of the words of the training text; None without one.
        rates: makes the rates and their intervals.
    """
    words = table_of([u.words for u in score.utterances])
    return {
        "wer": rates.errors(words),
        "cer": rates.errors(table_of([u.characters for u in score.utterances])),
        "ser": {
            "percent": score.sentence_percent,
            "errors": score.wrong_utterances,
            "reference": len(score.utterances),
        },
        "entities": None if inputs.entities is None else _entities(score, inputs, rates),
        "biasing": _biasing(score, inputs, rates) if inputs.biasing else None,
        **_by_frequency(score, frequencies, rates),
        "lengths": _by_length(words, rates),
        "speakers": _by_speaker(score, words, inputs.speakers, rates),
        "loops": _ids(looping(score), len(score.utterances)),
        "deletions": {
            "percent": percent(score.words.deletions, score.words.reference),
            "half_lost": _ids(half_lost(score), len(score.utterances)),
            "empty": _ids(empty(score), len(score.utterances)),
        },
    }


def _entities(score: WordScore, inputs: ScoreInputs, rates: Rates) -> Figure:
    found = score_entities(score, inputs.entities or {})

    def of(counts: EntityCounts) -> Figure:
        heard = counts.right + counts.false
        return {
            "error": rates.share(counts.errors, counts.reference, "errors/reference"),
            "recall": rates.share(counts.right, counts.annotated, "right/annotated"),
            "precision": rates.share(counts.right, heard, "right/heard"),
            "f1": {
                "percent": counts.f1,
                "interval": rates.interval(2 * counts.right, counts.annotated + heard),
            },
        }

    return {
        **of(found.overall),
        "types": {kind: of(counts) for kind, counts in found.by_type.items()},
        "unplaced": found.unplaced,
    }


def _biasing(score: WordScore, inputs: ScoreInputs, rates: Rates) -> Figure:
    tables = count_biased(score, inputs.biasing)
    return {"b_wer": rates.errors(tables[BIASED]), "u_wer": rates.errors(tables[UNBIASED])}


def _by_frequency(
    score: WordScore, frequencies: Mapping[str, int] | None, rates: Rates
) -> dict[str, Figure | None]:
    if frequencies is None:
        return {"oov": None, "frequency": None}
    tables = count_by_frequency(score, frequencies)
    unseen = tables["0"]
    missed: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for utterance in score.utterances:
        for reference, hypothesis in utterance.pairs:
            if reference is not None and not frequencies.get(reference):
                said[reference] += 1
                missed[reference] += reference != hypothesis
    most = sorted((-count, word) for word, count in missed.items() if count)[:MISSED_WORDS]
    return {
        "oov": {
            "recall": rates.share(unseen[:, 0], unseen[:, :3].sum(axis=1), "right/reference"),
            "types": len(said),
            "missed": {word: [-count, said[word]] for count, word in most},
        },
        "frequency": {
            name: rates.errors(table, with_interval=False) for name, table in tables.items()
        },
    }


def _by_length(words: NDArray[np.int64], rates: Rates) -> Figure:
    names = list(LENGTHS)
    highest = [most for most in LENGTHS.values() if most is not None]
    groups: dict[str, list[int]] = {name: [] for name in names}
    for i, reference in enumerate(words[:, :3].sum(axis=1).tolist()):
        groups[names[bisect_left(highest, reference)]].append(i)
    return _groups(words, {name: found for name, found in groups.items() if found}, rates)


def _by_speaker(
    score: WordScore, words: NDArray[np.int64], speakers: Mapping[str, str] | None, rates: Rates
) -> Figure | None:
    """Metrics by speaker; None if speakers are unknown: no table, or each utterance its own."""
    if speakers is None or len(set(speakers.values())) == len(speakers):
        return None
    groups: dict[str, list[int]] = defaultdict(list)
    for i, utterance in enumerate(score.utterances):
        groups[speakers[utterance.id]].append(i)
    return _groups(words, dict(sorted(groups.items())), rates)


def _groups(words: NDArray[np.int64], groups: Mapping[str, list[int]], rates: Rates) -> Figure:
    return {
        name: {"utterances": len(rows), **rates.errors(words[np.array(rows)], with_interval=False)}
        for name, rows in groups.items()
    }


def _ids(ids: list[str], utterances: int) -> Figure:
    return {"percent": percent(len(ids), utterances), "utterances": len(ids), "ids": ids}
