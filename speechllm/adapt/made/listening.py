"""Decoding of unlabelled speech, and scores of how far to trust the hypotheses."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

import jiwer

from speechllm.adapt.made.made_data import key
from speechllm.adapt.made.selection import Filters, Recognised
from speechllm.adapt.method import Workspace
from speechllm.data.dirs.kaldi import read_table
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decode_sets import decode_batches, decode_corpus
from speechllm.decode.decoder import Decoder
from speechllm.decode.results import SUMMARY, TEXT
from speechllm.decode.words.confidence import mean_log_probs
from speechllm.files.layout import DESCRIPTION, MODEL, TENSORS
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import sha256_of
from speechllm.model.bundle import load_bundle
from speechllm.model.compute.precision import autocast
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import collate
from speechllm.slot.corpus import Corpus
from speechllm.slot.views import Views


def listen(
    workspace: Workspace,
    corpus: Corpus,
    folder: Path,
    config: DecodeConfig,
    filters: Filters,
    second_model: str | None,
) -> dict[str, Recognised]:
    """Decode a corpus, and compute the scores that the filters need.

    Args:
        workspace: workspace whose model decodes.
        corpus: corpus with frames, measured; its transcripts are not looked at.
        folder: folder for the hypotheses, with one subfolder per decode; a killed run resumes.
        config: settings of the search.
        filters: filters that will use the scores.
        second_model: folder of a second model to decode with; None: the same model, greedily.

    Returns:
        Hypotheses with their scores, by utterance id.
    """
    model = workspace.model
    texts, truncated = _decode(model, workspace.bundle, corpus, config, folder)
    log_probs = dict.fromkeys(corpus.text)
    if filters.min_log_prob is not None:
        log_probs = _confidence(model, corpus, texts, config)
    disagreements = dict.fromkeys(corpus.text)
    if filters.max_disagreement is not None:
        again = _decode_again(workspace, corpus, folder, config, second_model)
        disagreements = {utt: disagreement(texts[utt], again[utt]) for utt in corpus.text}
    return {
        utt: Recognised(texts[utt], utt in truncated, log_probs[utt], disagreements[utt])
        for utt in corpus.text
    }


def disagreement(text: str, again: str) -> float:
    """Character errors of a second decode per character of the first; 1 for an empty first."""
    return float(jiwer.cer(text, again)) if text else 1.0


def _decode_again(
    workspace: Workspace, corpus: Corpus, folder: Path, config: DecodeConfig, model: str | None
) -> dict[str, str]:
    """Hypotheses of a second model, or of the same one with greedy search, by utterance id."""
    if model is None:
        greedy = config.model_copy(update={"beam": 1, "nbest": 1})
        return _decode(workspace.model, workspace.bundle, corpus, greedy, folder)[0]
    bundle = Path(model) / MODEL
    other = load_bundle(bundle).to(workspace.device)
    # Its encoder may be another one, so it gets a corpus with frames of its own.
    same = Corpus.load([d.path for d in corpus.dirs], with_text=False)
    same.open_frames(workspace.dump, other.config.audio_model, other.config.encoder_settings)
    same.measure(other.tokenizer, other.projector.output_length)
    same.label(corpus.targets)
    return _decode(other, bundle, same, config, folder)[0]


def _decode(
    model: SpeechLLM, bundle: Path, corpus: Corpus, config: DecodeConfig, folder: Path
) -> tuple[dict[str, str], set[str]]:
    """Hypotheses of all sets by utterance id, and the ids of the truncated ones."""
    sha = sha256_of([bundle / TENSORS, bundle / DESCRIPTION])
    settings = config.model_dump(mode="json", exclude={"batch_positions"})
    out = folder / f"decode.{key([sha, settings])}"
    decoder = Decoder.load(model, config)
    texts: dict[str, str] = {}
    truncated: set[str] = set()
    for part in _sets(corpus):
        decode_corpus(decoder, part, bundle, out / part.name)
        texts |= read_table(out / part.name / TEXT)
        truncated |= set(
            read_mapping(out / part.name / SUMMARY, made_again(out / part.name))["truncated"]
        )
    return texts, truncated


def _sets(corpus: Corpus) -> Iterator[Corpus]:
    """Corpora of one data dir each, with those of its utterances that the corpus holds."""
    for data_dir in corpus.dirs:
        part = copy.copy(corpus)
        part.dirs, part.name = [data_dir], data_dir.name
        part.label({utt: "" for utt in data_dir.ids if utt in corpus.text})
        if part.text:
            yield part


def _confidence(
    model: SpeechLLM, corpus: Corpus, texts: Mapping[str, str], config: DecodeConfig
) -> dict[str, float]:
    """Mean token log-probability of each hypothesis, scored as a label."""
    labelled = copy.copy(corpus).label({utt: texts[utt] for utt in corpus.text})
    seconds = {utt: s for d in corpus.dirs for utt, s in d.utt2dur.items()}
    views = Views(model.tokenizer, {"heard": labelled})
    found: dict[str, float] = {}
    lengths = labelled.speech_lengths
    for ids in decode_batches(list(labelled.text), lengths, seconds, model, config):
        examples = [views.render("audio", "heard", utt) for utt in ids]
        batch = collate(examples, model.prompt, model.projector.output_length).to(model.device)
        with autocast(config.precision, str(model.device)):
            found |= zip(ids, mean_log_probs(model, batch), strict=True)
    return found
