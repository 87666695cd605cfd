"""Make a language model of text: `speechllm lm`."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from speechllm.data.dirs.forms import Fold, compare, count_words, fold
from speechllm.environment import environment
from speechllm.files.layout import LANGUAGE_MODEL, LOG, MODEL, RUN
from speechllm.files.whole import whole_file, write_json
from speechllm.lm.arpa import write_arpa
from speechllm.lm.config import NetworkConfig, NGramConfig
from speechllm.lm.folder import ARPA, save_network, written_files
from speechllm.lm.kneser_ney import estimate
from speechllm.lm.ngram import NGram
from speechllm.lm.perplexity import Perplexity, Text

log = logging.getLogger(__name__)


def make_lm(
    config: NetworkConfig | NGramConfig,
    text: Sequence[str],
    dev: Sequence[str],
    base: Path | None,
    folder: Path,
) -> None:
    """Train a language model, measure it on dev text, and write its folder; run.json comes last.

    Args:
        config: kind and settings.
        text: sentences to train on, at least one.
        dev: sentences to measure on, at least one.
        base: folder of the recogniser whose tokens a network learns; unused for an n-gram.
        folder: of the language model; its config.yaml is there already.
    """
    started = time.monotonic()
    if isinstance(config, NGramConfig):
        found = _make_ngram(config, text, dev, folder)
    else:
        found = _make_network(config, text, dev, base, folder)
    figures = found.figures()
    write_json(
        folder / RUN,
        {
            "kind": LANGUAGE_MODEL,
            "config": config.model_dump(mode="json"),
            "sentences": len(text),
            "dev_perplexity": figures,
            "seconds": round(time.monotonic() - started, 1),
            "environment": environment(),
            "written": written_files(folder),
        },
    )
    log.info(
        "%s: %d sentences; perplexity on dev %.1f by word (with unknown words), %.2f by token",
        *(folder, len(text), figures["word"], figures["token"]),
    )
    fit = compare(count_words(dev), count_words(text))
    said = fit.says_unknown("words of the dev text", "the training text")
    level = logging.WARNING if fit.is_odd() else logging.INFO
    log.log(level, "%s: %s%s", folder, said, "; write both alike" if fit.is_odd() else "")


def _make_ngram(
    config: NGramConfig, text: Sequence[str], dev: Sequence[str], folder: Path
) -> Perplexity:
    model = estimate((line.split() for line in text), config.order)
    write_arpa(folder / ARPA, model)
    with whole_file(folder / LOG) as stream:
        for order, table in enumerate(model.entries, 1):
            stream.write(json.dumps({"order": order, "ngrams": len(table)}) + "\n")
    return ngram_perplexity(model, dev)


def ngram_perplexity(model: NGram, text: Sequence[str], folds: Sequence[Fold] = ()) -> Perplexity:
    """Perplexity of a text under a word n-gram; tokens are words, and unknown ones count.

    Args:
        model: the n-gram.
        text: sentences.
        folds: normalisation of the words before they are scored.
    """
    fit = compare(count_words(text), model.vocabulary, folds)
    words = [fold(line, folds).split() for line in text]
    places = sum(len(sentence) + 1 for sentence in words)
    return Perplexity(-sum(map(model.score, words)), places, places, fit)


def _make_network(
    config: NetworkConfig, text: Sequence[str], dev: Sequence[str], base: Path, folder: Path
) -> Perplexity:
    import torch

    from speechllm.lm.network import as_network, make_module
    from speechllm.lm.token_lm import TokenLM
    from speechllm.lm.train import train_network
    from speechllm.lm.vocabulary import vocabulary_hash
    from speechllm.model.bundle import read_bundle
    from speechllm.model.speech_llm import SpeechLLM

    with torch.device("meta"):  # no weights: its tokenizer and prompt are all that is needed
        recogniser = SpeechLLM(read_bundle(base / MODEL)[0])
    tokenizer, prompt = recogniser.tokenizer, recogniser.prompt
    size = max(len(tokenizer), prompt.eos + 1, prompt.bos + 1)
    torch.manual_seed(config.train.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = make_module(config, size).to(device)
    network = as_network(module)
    lm = TokenLM(network, [prompt.bos], prompt.eos, device)
    log.info(
        "%s of %d parameters, %d tokens, %d sentences",
        *(config.kind, sum(p.numel() for p in module.parameters()), size, len(text)),
    )
    best = train_network(
        module,
        network,
        lm,
        tokenised(tokenizer, text),
        tokenised(tokenizer, dev),
        config.train,
        folder,
    )
    save_network(folder, module, config, size, lm, vocabulary_hash(tokenizer))
    return best


def tokenised(tokenizer: object, text: Sequence[str]) -> Text:
    """Sentences as token ids, and their number of words."""
    ids = tokenizer(list(text), add_special_tokens=False).input_ids
    return Text(ids, sum(len(line.split()) for line in text))
