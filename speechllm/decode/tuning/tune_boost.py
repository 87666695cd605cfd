"""Tune the boost of a bias trie on a dev set, which is decoded with each value.

A boost changes the beam, so the n-best lists of one search do not suffice.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from speechllm.decode.config import DecodeConfig
from speechllm.decode.decode_sets import decode_batches
from speechllm.decode.decoder import Decoder
from speechllm.decode.form_warnings import say_fits, say_form
from speechllm.decode.results import SETTINGS, check_settings, settings_of, tuning_settings
from speechllm.decode.tuning.weights import TUNING, BoostTuning, read_boost, with_boost
from speechllm.errors import DataError
from speechllm.files.progress import Progress
from speechllm.files.whole import write_json
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.corpus import Corpus
from speechllm.slot.views import Views
from speechllm.task import Task

log = logging.getLogger(__name__)


def tune_boost(
    model: SpeechLLM, corpus: Corpus, bundle: Path, config: DecodeConfig, out: Path
) -> BoostTuning:
    """Decode a dev set with every boost of the grid, or read what was tuned already.

    Args:
        model: in eval mode, on its device.
        corpus: the dev set, with frames opened and bias lists; never a test set.
        bundle: the model's folder.
        config: of the decoding, with all other weights given.
        out: folder of tuning.json.

    Raises:
        DataError: the set has no bias lists, or nothing to count errors on.
        SpeechLLMError: the folder's boost was tuned for another model or other settings.
    """
    data_dir = corpus.dirs[0]
    if not data_dir.bias_lists:
        raise DataError(
            "no bias lists, and the boost is to be tuned on them",
            data_dir.path,
            remedy="give them (docs/decoding.md#bias-lists), or name biasing.trie.boost",
        )
    assert config.biasing and config.biasing.trie
    trie = config.biasing.trie
    off = {"guard": None, "confidence": False, "word_times": "none", "nbest": 1, "rescore": None}
    search = config.model_copy(update=off)
    decoder = Decoder.load(model, with_boost(search, 0.0))
    settings = settings_of(data_dir, bundle, search, decoder.hashes)
    check_settings(out, settings)
    task = model.task
    made_from = tuning_settings(data_dir, bundle, config, decoder.hashes, task)
    if (found := read_boost(out)) and found.made_from == made_from:
        return found
    write_json(out / SETTINGS, settings)
    ids = sorted(corpus.text)[: trie.tune_utterances]
    texts = corpus.text.values()
    say_fits(decoder, data_dir.bias_lists, corpus.name, texts, "transcripts")
    started = time.perf_counter()
    points = []
    with Progress(f"tune boost on {corpus.name}", len(trie.grid) * len(ids)) as progress:
        for boost in trie.grid:
            decoder.config = with_boost(search, boost)
            decoder.use_lists(data_dir.bias_lists)
            hypotheses = _hypotheses(decoder, corpus, ids, progress)
            error = _error(corpus, hypotheses, task)
            points.append({"boost": boost, "error": round(error, 4)})
    say_form(corpus.name, hypotheses.values(), corpus.targets.values())
    best = min(points, key=lambda point: (point["error"], point["boost"]))
    if len(points) > 1 and best["boost"] == max(trie.grid):
        log.warning("biasing.trie.boost: the best value, %g, is the end of its grid", best["boost"])
    figure = task.main.key
    tuning = BoostTuning(
        corpus.name, len(ids), best["boost"], figure, best["error"], points, made_from
    )
    tuning = replace(tuning, seconds=round(time.perf_counter() - started, 1))
    write_json(out / TUNING, asdict(tuning))
    return tuning


def _hypotheses(
    decoder: Decoder, corpus: Corpus, ids: list[str], progress: Progress
) -> dict[str, str]:
    """Hypotheses by utterance id."""
    seconds = {utt: s for d in corpus.dirs for utt, s in d.utt2dur.items()}
    views = Views(decoder.model.tokenizer, {"dev": corpus})
    lengths = {utt: corpus.speech_lengths[utt] + decoder.growth for utt in ids}
    texts: dict[str, str] = {}
    for batch in decode_batches(ids, lengths, seconds, decoder.model, decoder.config):
        examples = [views.render("audio", "dev", utt) for utt in batch]
        decoded = decoder.decode(examples, [seconds[utt] for utt in batch])
        texts |= {one.best.utt_id: one.best.text for one in decoded}
        progress.advance(len(batch))
    return texts


def _error(corpus: Corpus, hypotheses: Mapping[str, str], task: Task) -> float:
    """The task's main error in percent."""
    counted = task.count({utt: corpus.targets[utt] for utt in hypotheses}, hypotheses)
    percent = counted.rates[task.main.key].percent
    if percent is None:
        what = task.main.unit or "answers"
        raise DataError(f"the dev set {corpus.name} has no {what}, so no boost can be tuned on it")
    return percent
