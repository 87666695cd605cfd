"""train a language model of domain text, for fusion and rescoring (stage lm)"""

import argparse
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `speechllm lm`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml: kind, sizes, training")
    parser.add_argument(
        "--text",
        required=True,
        nargs="+",
        type=Path,
        help="data dirs, or their text files, to learn from",
    )
    parser.add_argument(
        "--dev", required=True, nargs="+", type=Path, help="the same, to choose by and to measure"
    )
    parser.add_argument(
        "--base",
        type=Path,
        help="folder of a recogniser, whose tokens a network learns; an n-gram needs none",
    )
    parser.add_argument("--exp", required=True, type=Path, help="folder of the language model")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Train it, or find it finished."""
    from speechllm.adapt.folder import is_finished
    from speechllm.errors import ConfigError
    from speechllm.files import sha256_of
    from speechllm.layout import DESCRIPTION, MODEL
    from speechllm.lm.config import NGramConfig, load_lm_config

    config = load_lm_config(args.config, args.overrides)
    text = [path / "text" if path.is_dir() else path for path in args.text]
    dev = [path / "text" if path.is_dir() else path for path in args.dev]
    inputs = {
        "text": [str(path) for path in text],
        "dev": [str(path) for path in dev],
        "sha256": [sha256_of([path]) for path in [*text, *dev]],
    }
    if not isinstance(config, NGramConfig):
        if args.base is None:
            raise ConfigError(f"kind {config.kind} needs the tokens of a recogniser", "give --base")
        inputs["base"] = str(args.base)
        inputs["base_sha256"] = sha256_of([args.base / MODEL / DESCRIPTION])
    if is_finished(args.exp, config, inputs):
        log.info("%s is made already", args.exp)
        return

    from speechllm.lm.make import make_lm

    make_lm(config, text, dev, args.base, args.exp)
