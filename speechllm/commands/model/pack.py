"""write one folder with a base, its domains and pretrained models; it transcribes by itself"""

import argparse
from pathlib import Path
from typing import get_args

from speechllm.errors import ConfigError

NOTES = """\
With --format peft or vllm, --out gets an adapter folder for each domain instead, which PEFT or vLLM
loads; with --merge, models that transformers loads by itself (docs/peft.md)."""
OURS = ("decode", "carry", "push", "public")
"""Options of our own format alone."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm pack`."""
    from speechllm.pack.pretrained import Carry

    parser.epilog = NOTES
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
        help="pretrained models to copy inside: those given as folders (local, the default), those "
        "of the hub too, or none",
    )
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload it to the model hub as well")
    parser.add_argument(
        "--public", action="store_true", help="let everybody read a repository that --push makes"
    )
    parser.add_argument(
        "--format",
        choices=("speechllm", "peft", "vllm"),
        default="speechllm",
        help="what to write: a packed folder, or adapters under the names of transformers' classes "
        "(peft) or of vLLM's (default: %(default)s)",
    )
    parser.add_argument(
        "--merge", action="store_true", help="with --format peft: whole models, no adapters"
    )


def run(args: argparse.Namespace) -> None:
    """Pack the models, and push the folder if asked to."""
    if args.format != "speechllm" or args.merge:
        _write_for_others(args)
        return
    from speechllm.config import load
    from speechllm.decode.config import DecodeConfig
    from speechllm.pack.push import check_target, push
    from speechllm.pack.write import pack

    if args.push:
        check_target(args.push)
    decode = load(DecodeConfig, args.decode) if args.decode else DecodeConfig()
    tag = args.decode.stem if args.decode else "decode"
    pack(args.base, args.out, args.models, decode, tag, args.carry or "local")
    if args.push:
        push(args.out, args.push, args.public)


def _write_for_others(args: argparse.Namespace) -> None:
    if given := [f"--{name}" for name in OURS if getattr(args, name)]:
        raise ConfigError(f"{given[0]} is for --format speechllm alone", "leave it out")
    if not args.merge:
        from speechllm.convert.peft.export import write_adapters

        write_adapters(args.base, args.out, args.models, args.format)
        return
    if args.format != "peft":
        raise ConfigError("--merge writes a model for transformers", "give --format peft with it")
    from speechllm.convert.peft.merge import write_merged

    write_merged(args.base, args.out, args.models)
