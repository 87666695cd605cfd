"""cache the frozen encoder's output of data dirs"""

import argparse
import logging
import re
from pathlib import Path

from speechllm.commands.base import add_config_arguments, model_overrides
from speechllm.commands.options.numbers import real
from speechllm.errors import ConfigError

VERIFIES = True

log = logging.getLogger(__name__)

THREADS_OF_A_GPU = 4
"""Threads that prepare audio for a GPU, which would wait for one: a core takes longer to read,
normalise and check it than a GPU takes to encode it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm features`."""
    parser.add_argument("data", nargs="+", type=Path, help="data dirs with audio")
    add_config_arguments(parser)
    parser.add_argument("--dump", required=True, type=Path, help="root of the cache")
    parser.add_argument(
        "--job",
        default="1/1",
        metavar="J/N",
        help="do part J of N (1-based); of one part, all is joined",
    )
    parser.add_argument("--merge", action="store_true", help="join the parts that jobs made")
    parser.add_argument(
        "--batch_seconds", type=real(0.0), default=100.0, help="padded seconds of a batch"
    )
    parser.add_argument("--allow_pipes", action="store_true", help="let wav.scp hold commands")
    parser.add_argument("--trust_remote_code", action="store_true", help="run the model's code")


def run(args: argparse.Namespace) -> None:
    """Encode the part of this job, or join all parts.

    Raises:
        ConfigError: `--job` is malformed, or no encoder is given.
    """
    from speechllm.data.dirs.kaldi import DataDir
    from speechllm.data.speech.features import extract, merge

    encoder, settings, trusted = _encoder(args)
    sets = [DataDir.load(path, with_text=False) for path in args.data]
    if args.merge:
        merge(sets, args.dump, encoder, settings)
        return
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", args.job)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--job must be J/N with J from 1 to N, not {args.job}")

    def load():
        import torch

        from speechllm.model.encoder.encoder import Encoder

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return Encoder(encoder, device, trusted, **settings).encode

    def threads() -> int:
        import torch

        return THREADS_OF_A_GPU if torch.cuda.is_available() else 1

    extract(
        sets,
        args.dump,
        encoder,
        load,
        job=int(match[1]),
        jobs=int(match[2]),
        batch_seconds=args.batch_seconds,
        allow_pipes=args.allow_pipes,
        settings=settings,
        threads=threads,
    )
    if int(match[2]) == 1:
        merge(sets, args.dump, encoder, settings)
    else:
        log.info("when all %s jobs are done, the same command with --merge joins them", match[2])


def _encoder(args: argparse.Namespace) -> tuple[str, dict[str, str], bool]:
    """Encoder: folder or hub id, settings that are not the default, whether its code is trusted."""
    from speechllm.config import BaseConfig, ModelConfig, load

    if args.config is None:
        if args.set or not (args.speech_llm or args.encoder):
            raise ConfigError(
                "which encoder, and with which settings?",
                "give the base config as --config, or the encoder alone as --encoder",
            )
        if args.speech_llm:
            model = ModelConfig(speech_llm=args.speech_llm)
            return model.audio_model, model.encoder_settings, args.trust_remote_code
        return args.encoder, {}, args.trust_remote_code
    model = load(BaseConfig, args.config, [*args.set, *model_overrides(args)]).model
    trusted = args.trust_remote_code or model.trust_remote_code
    return model.audio_model, model.encoder_settings, trusted
