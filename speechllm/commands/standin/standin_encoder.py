"""train a small CTC encoder, a stand-in for a pretrained one (stage 1)"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `speechllm standin encoder`."""
    parser.add_argument(
        "--data", required=True, nargs="+", type=Path, help="data dirs with audio and phones"
    )
    parser.add_argument("--dev", required=True, type=Path, help="data dir for the phone error rate")
    parser.add_argument("--out", required=True, type=Path, help="folder of the model")
    parser.add_argument("--width", type=whole(4), help="of its layers, a multiple of 4")
    parser.add_argument("--steps", type=whole(1), help="optimiser steps")
    parser.add_argument("--seed", type=whole(0), help="of weights, order and masks")


def run(args: argparse.Namespace) -> None:
    """Train the encoder, unless the folder is complete."""
    from speechllm.standin.encoder import EncoderOptions, train_encoder

    given = {name: getattr(args, name) for name in ("width", "steps", "seed")}
    options = EncoderOptions(**{k: v for k, v in given.items() if v is not None})
    train_encoder(args.data, args.dev, args.out, options)
