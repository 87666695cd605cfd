"""write one folder with a base, its domains and pretrained models; it transcribes by itself"""

import argparse
from pathlib import Path
from typing import get_args


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm pack`."""
    from speechllm.pack.pretrained import Carry

    parser.add_argument("--base", required=True, type=Path, help="folder of the base model")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--models",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="run folders below the base that may stand for their domain, e.g. 'denoise_*' or one "
        "for each domain; of several of a domain the best on its dev set is taken (default: all)",
    )
    parser.add_argument(
        "--decode", type=Path, help="yaml of DecodeConfig: what `transcribe` will use"
    )
    parser.add_argument(
        "--carry",
        choices=get_args(Carry),
        default="local",
        help="pretrained models to copy inside: those given as folders (local), those of the hub "
        "too, or none (default: %(default)s)",
    )
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload it to the model hub as well")
    parser.add_argument(
        "--public", action="store_true", help="let everybody read a repository that --push makes"
    )


def run(args: argparse.Namespace) -> None:
    """Pack the models, and push the folder if asked to."""
    from speechllm.config import load
    from speechllm.decode.config import DecodeConfig
    from speechllm.pack.push import check_target, push
    from speechllm.pack.write import pack

    if args.push:
        check_target(args.push)
    decode = load(DecodeConfig, args.decode) if args.decode else DecodeConfig()
    tag = args.decode.stem if args.decode else "decode"
    pack(args.base, args.out, args.models, decode, tag, args.carry)
    if args.push:
        push(args.out, args.push, args.public)
