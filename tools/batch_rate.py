#!/usr/bin/env python3
"""How many hypotheses change with the size of batches: decodes a set twice, alone and in batches.

    tools/batch_rate.py --config conf/decode.yaml --model exp/base --dump dump \
        --data data/agriculture_test precision=bf16

In fp32 none should; in bf16 the last bits of sums depend on the shapes of the matrices, and two
nearly equal tokens may change places.
"""

import argparse
from pathlib import Path

import torch

from speechllm.config import load
from speechllm.data.dirs.tables import first_ids
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decode_sets import decode_batches
from speechllm.decode.decoder import Decoder
from speechllm.files.layout import MODEL
from speechllm.model.adaptation_weight import weigh_adaptation
from speechllm.model.bundle import load_bundle
from speechllm.score.count.wer import score_texts
from speechllm.slot.corpus import Corpus
from speechllm.slot.views import Views


def decode(decoder: Decoder, corpus: Corpus, positions: int) -> dict[str, str]:
    """Hypotheses by utterance id, with batches of so many positions."""
    model = decoder.model
    config = decoder.config.model_copy(update={"batch_positions": positions})
    seconds = {utt: s for d in corpus.dirs for utt, s in d.utt2dur.items()}
    views = Views(model.tokenizer, {"test": corpus})
    texts = {}
    for ids in decode_batches(list(corpus.text), corpus.speech_lengths, seconds, model, config):
        examples = [views.render("audio", "test", utt) for utt in ids]
        decoded = decoder.decode(examples, [seconds[utt] for utt in ids])
        texts |= {one.best.utt_id: one.best.text for one in decoded}
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--dump", required=True, type=Path)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args()
    config = load(DecodeConfig, args.config, args.overrides)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_bundle(args.model / MODEL)
    weigh_adaptation(model, config.adapted)
    model.to(device)
    corpus = Corpus.load([args.data])
    corpus.open_frames(args.dump, model.config.audio_model, model.config.encoder_settings)
    corpus.measure(model.tokenizer, model.projector.output_length)
    decoder = Decoder.load(model, config)
    if config.biasing:
        decoder.use_lists(corpus.dirs[0].bias_lists)
    alone = decode(decoder, corpus, 1)
    together = decode(decoder, corpus, config.batch_positions)
    differ = sorted(utt for utt in alone if alone[utt] != together[utt])
    rate = len(differ) / len(alone)
    print(
        f"{config.precision}, beam {config.beam}, {device}: {rate:.2%} differ, {first_ids(differ)}"
    )
    for name, texts in (("alone", alone), ("in batches", together)):
        print(f"WER {name}: {score_texts(corpus.text, texts).words.percent:.2f}")


if __name__ == "__main__":
    main()
