"""decode test sets with one model by batched beam search"""

import argparse
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `speechllm decode`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml of DecodeConfig")
    parser.add_argument("--model", required=True, type=Path, help="folder of a trained run")
    parser.add_argument("--dump", required=True, type=Path, help="root of the feature cache")
    parser.add_argument("--data", required=True, nargs="+", type=Path, help="data dirs with audio")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Decode what has no hypothesis yet."""
    from speechllm.config import DecodeConfig, load
    from speechllm.data.kaldi import DataDir
    from speechllm.decode.results import is_decoded
    from speechllm.layout import MODEL

    config = load(DecodeConfig, args.config, args.overrides)
    bundle = args.model / MODEL
    out = {path: args.model / f"decode_{args.config.stem}" / path.name for path in args.data}
    left = [p for p in args.data if not is_decoded(DataDir.load(p), bundle, config, out[p])]
    for path in args.data:
        if path not in left:
            log.info("%s: decoded already", out[path])
    if not left:
        return

    import torch

    from speechllm.data.corpus import Corpus
    from speechllm.decode.run import decode_corpus
    from speechllm.model.bundle import load_bundle

    model = load_bundle(bundle).to("cuda" if torch.cuda.is_available() else "cpu")
    for path in left:
        corpus = Corpus.load([path])
        corpus.open_frames(args.dump, model.config.audio_model, model.config.encoder_settings)
        corpus.measure(model.tokenizer, model.projector.output_length)
        decode_corpus(model, corpus, bundle, config, out[path])
