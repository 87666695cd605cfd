"""Decode whole sets: sorted, batched, resumable, keyed by utterance id."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoder
from speechllm.decode.form_warnings import say_fits, say_form
from speechllm.decode.record import LINES
from speechllm.decode.results import NBEST, claim, write_results
from speechllm.decode.search.search import token_bound
from speechllm.files.locks import locked_folder
from speechllm.files.os_errors import naming
from speechllm.files.progress import Progress
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.corpus import Corpus
from speechllm.slot.views import Views

log = logging.getLogger(__name__)


def decode_corpus(
    decoder: Decoder,
    corpus: Corpus,
    bundle: Path,
    out: Path,
    extra: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Decode the utterances that have no hypothesis yet.

    Writes hyp.jsonl (and, for n-best lists, nbest.jsonl) line by line as hypotheses come; when all
    are there, text (`id words`) and decode.json with the real-time factor.

    Args:
        decoder: model and scorers.
        corpus: one test set with frames opened.
        bundle: the model's folder, whose hash is recorded.
        out: folder of the results.
        extra: further fields of decode.json.

    Raises:
        SpeechLLMError: the folder holds hypotheses of another model or other settings, or another
            process is at work there.
    """
    with locked_folder(out):
        _decode_missing(decoder, corpus, bundle, out, extra)


def _decode_missing(
    decoder: Decoder, corpus: Corpus, bundle: Path, out: Path, extra: Mapping[str, Any]
) -> None:
    model, config = decoder.model, decoder.config
    data_dir = corpus.dirs[0]
    done = claim(data_dir, bundle, config, decoder.hashes, out)
    if config.biasing:
        decoder.use_lists(data_dir.bias_lists)
        if not data_dir.bias_lists:
            log.warning("%s has no bias lists: decoded as without biasing", data_dir.path)
    bias_lists = data_dir.bias_lists if config.biasing else BiasLists()
    fits = say_fits(decoder, bias_lists, corpus.name, corpus.text.values(), "transcripts")
    seconds = {utt: dur for d in corpus.dirs for utt, dur in d.utt2dur.items()}
    missing = [utt for utt in corpus.text if utt not in done]
    views = Views(model.tokenizer, {"test": corpus})
    total = len(done) + len(missing)
    with Progress(f"decode {corpus.name}", total, done=len(done)) as progress:
        lengths = {utt: n + decoder.growth for utt, n in corpus.speech_lengths.items()}
        for ids in decode_batches(missing, lengths, seconds, model, config):
            started = time.perf_counter()
            examples = [views.render("audio", "test", utt) for utt in ids]
            decoded = decoder.decode(examples, [seconds[utt] for utt in ids])
            took = (time.perf_counter() - started) / len(ids)
            if config.nbest > 1:  # before the hypotheses, by which an utterance is known as done
                lists = (
                    {"id": d.best.utt_id, "nbest": [c.listed() for c in d.nbest]} for d in decoded
                )
                _append(out / NBEST, lists)
            records = [d.record(seconds[d.best.utt_id], took) for d in decoded]
            _append(out / LINES, (record.to_json() for record in records))
            done |= {record.id: record for record in records}
            progress.advance(len(ids))
    hypotheses = [record.text for record in done.values()]
    if fits is not False:  # the model may write otherwise than the transcripts
        level = logging.DEBUG if fits else logging.INFO
        say_fits(decoder, bias_lists, corpus.name, hypotheses, "hypotheses", level)
    say_form(corpus.name, hypotheses, corpus.targets.values())
    write_results(out, corpus.name, done, config, corpus.encode_seconds, extra, decoder.times_by)


def _append(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with naming(path), path.open("a", encoding="utf-8") as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def decode_batches(
    ids: Sequence[str],
    speech_lengths: Mapping[str, int],
    seconds: Mapping[str, float],
    model: SpeechLLM,
    config: DecodeConfig,
) -> Iterator[list[str]]:
    """Group utterances of like length, longest first, within `config.batch_positions`.

    Args:
        ids: utterances to decode.
        speech_lengths: LLM positions of speech, by utterance id.
        seconds: duration by utterance id, which bounds the hypothesis.
        model: its prompt adds to the length.
        config: beam, bounds and budget.

    Returns:
        An iterator over the utterance ids of each batch.
    """
    batch: list[str] = []
    most = 0
    for utt in sorted(ids, key=lambda i: (-speech_lengths[i], i)):
        length = model.prompt.overhead + speech_lengths[utt]
        length += token_bound(seconds[utt], config)
        most = max(most, length)
        if batch and most * config.beam * (len(batch) + 1) > config.batch_positions:
            yield batch
            batch, most = [], length
        batch.append(utt)
    if batch:
        yield batch
