"""Decode whole sets: sorted, batched, resumable, keyed by utterance id."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speechllm.config import DecodeConfig
from speechllm.data.collate import collate
from speechllm.data.corpus import Corpus
from speechllm.data.views import Views
from speechllm.decode.results import LINES, claim, write_results
from speechllm.decode.search import Hypothesis, search, token_bound
from speechllm.model.speech_llm import SpeechLLM
from speechllm.progress import Progress


def decode_corpus(
    model: SpeechLLM, corpus: Corpus, bundle: Path, config: DecodeConfig, out: Path
) -> None:
    """Decode the utterances that have no hypothesis yet.

    Writes hyp.jsonl line by line as hypotheses come; when all are there, text (`id words`) and
    decode.json with the real-time factor.

    Args:
        model: in eval mode, on its device.
        corpus: one test set with frames opened.
        bundle: the model's folder, whose hash is recorded.
        config: search settings.
        out: folder of the results.

    Raises:
        SpeechLLMError: the folder holds hypotheses of another model or other settings.
    """
    done = claim(corpus.dirs[0], bundle, config, out)
    seconds = {utt: dur for d in corpus.dirs for utt, dur in d.utt2dur.items()}
    missing = [utt for utt in corpus.text if utt not in done]
    views = Views(model.tokenizer, {"test": corpus})
    with (
        (out / LINES).open("a", encoding="utf-8") as stream,
        Progress(f"decode {corpus.name}", len(done) + len(missing), done=len(done)) as progress,
    ):
        for ids in decode_batches(missing, corpus.speech_lengths, seconds, model, config):
            started = time.perf_counter()
            examples = [views.render("audio", "test", utt) for utt in ids]
            batch = collate(examples, model.prompt, model.projector.output_length, False)
            hypotheses = search(model, batch.to(model.device), [seconds[i] for i in ids], config)
            took = time.perf_counter() - started
            for hypothesis in hypotheses:
                done[hypothesis.utt_id] = _record(hypothesis, seconds, took / len(ids))
                stream.write(json.dumps(done[hypothesis.utt_id], ensure_ascii=False) + "\n")
            stream.flush()
            progress.advance(len(ids))
    write_results(out, corpus.name, done, config, corpus.encode_seconds)


def _record(hypothesis: Hypothesis, seconds: Mapping[str, float], took: float) -> dict[str, Any]:
    record = asdict(hypothesis)
    return {
        "id": record.pop("utt_id"),
        **record,
        "seconds": seconds[hypothesis.utt_id],
        "decode_seconds": round(took, 4),
    }


def decode_batches(
    ids: Sequence[str],
    speech_lengths: Mapping[str, int],
    seconds: Mapping[str, float],
    model: SpeechLLM,
    config: DecodeConfig,
) -> Iterator[list[str]]:
    """Utterances of like length, longest first, within the budget of beams x positions."""
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
