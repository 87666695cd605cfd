"""train the base model: projector (and more) on source pairs"""

import argparse
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `speechllm base`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml of BaseConfig")
    parser.add_argument("--encoder", help="overrides model.encoder")
    parser.add_argument("--llm", help="overrides model.llm")
    parser.add_argument("--dump", required=True, type=Path, help="root of the feature cache")
    parser.add_argument("--train", required=True, nargs="+", type=Path, help="paired data dirs")
    parser.add_argument("--dev", required=True, nargs="+", type=Path, help="paired dev data dirs")
    parser.add_argument("--exp", required=True, type=Path, help="folder of the model")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Train, go on, or find the model finished."""
    from speechllm.adapt.folder import base_inputs, is_finished
    from speechllm.config import BaseConfig, load

    overrides = list(args.overrides)
    overrides += [f"model.encoder={args.encoder}"] if args.encoder else []
    overrides += [f"model.llm={args.llm}"] if args.llm else []
    config = load(BaseConfig, args.config, overrides)
    if is_finished(args.exp, config, base_inputs(config, args.train, args.dev)):
        log.info("%s is trained already", args.exp)
        return

    from speechllm.adapt.base import train_base

    train_base(config, args.train, args.dev, args.dump, args.exp)
