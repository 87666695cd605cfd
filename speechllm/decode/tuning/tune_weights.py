"""Decode a dev set once, with n-best lists, and tune weights on it."""

import time
from dataclasses import replace
from pathlib import Path

from speechllm.decode.config import DecodeConfig
from speechllm.decode.decode_sets import decode_corpus
from speechllm.decode.decoder import Decoder
from speechllm.decode.results import NBEST, SUMMARY, tuning_settings
from speechllm.decode.scorers.build import knowledge_hashes, make_scorers
from speechllm.decode.tuning.weights import Tuning, save_tuning, tune
from speechllm.files.own import made_again, read_by_id, read_mapping
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.corpus import Corpus


def tune_on(
    model: SpeechLLM, corpus: Corpus, bundle: Path, config: DecodeConfig, out: Path
) -> Tuning:
    """Tune the weights that are null in `config`; a killed run is resumed.

    Args:
        model: in eval mode, on its device.
        corpus: the dev set, with frames opened; never a test set.
        bundle: the model's folder.
        config: decode config that the weights are for.
        out: folder of the dev set's hypotheses and of tuning.json.
    """
    if config.tune.utterances:
        kept = sorted(corpus.text)[: config.tune.utterances]
        corpus.label({utt: corpus.targets[utt] for utt in kept})
    made = make_scorers(config, model)
    search = config.model_copy(
        update={"beam": config.tune.beam, "nbest": config.tune.beam, "biasing": None, "guard": None}
    )
    # A scorer without weight in the search is only listed: hypotheses keep the search's order.
    inside = made["fusion"][:1] if config.tune.fusion_weight else []
    listed = [*made["fusion"][len(inside) :], *made["rescore"]]
    for source in inside:
        source.weight = config.tune.fusion_weight
    for source in listed:
        source.weight = 0.0
    decoder = Decoder(model, search, inside, listed, knowledge_hashes(config))
    decode_corpus(decoder, corpus, bundle, out)
    lines = read_by_id(out / NBEST, made_again(out))
    lists = {utt: line["nbest"] for utt, line in lines.items()}
    started = time.perf_counter()
    tuning = tune(lists, corpus.targets, config, corpus.name, model.task)
    took = (
        read_mapping(out / SUMMARY, made_again(out))["decode_seconds"]
        + time.perf_counter()
        - started
    )
    made_from = tuning_settings(
        corpus.dirs[0], bundle, config, knowledge_hashes(config), model.task
    )
    tuning = replace(tuning, seconds=round(took, 3), made_from=made_from)
    save_tuning(tuning, out)
    return tuning
