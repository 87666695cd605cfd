"""write one folder with a base, its domains and pretrained models; it transcribes by itself"""

import argparse
from pathlib import Path
from typing import get_args

from speechllm.commands.options.card import add_card, card_facts
from speechllm.errors import ConfigError

NOTES = """\
With --format peft or vllm, --out gets an adapter folder for each domain instead, which PEFT or vLLM
loads; with --merge, models that transformers loads by itself (docs/peft.md)."""
OURS = ("decode", "carry")
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
    parser.add_argument(
        "--push",
        metavar="OWNER/NAME[@BRANCH]",
        help="upload it to the model hub as well, in one commit whose address is printed; adapters "
        "and merged models go to OWNER/NAME-DOMAIN each",
    )
    parser.add_argument(
        "--public", action="store_true", help="let everybody read a repository that --push makes"
    )
    add_card(parser)
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
    """Write the models, and push them if asked to.

    Raises:
        ConfigError: options do not go together, or as `pack`, `write_adapters`, `write_merged`.
        SpeechLLMError: as `check_push`, `push`, and these.
    """
    if args.push:
        from speechllm.pack.push import check_push

        check_push(args.push)
    elif args.public:
        raise ConfigError("--public is for a repository that --push makes", "leave it out")
    others = args.format != "speechllm" or args.merge
    for address in _write_for_others(args) if others else _write_ours(args):
        print(address)


def _write_ours(args: argparse.Namespace) -> list[str]:
    """Write a packed folder; return addresses of commits."""
    from speechllm.config import load
    from speechllm.decode.config import DecodeConfig
    from speechllm.pack.push import push_packed
    from speechllm.pack.write import pack

    decode = load(DecodeConfig, args.decode) if args.decode else DecodeConfig()
    tag = args.decode.stem if args.decode else "decode"
    facts = card_facts(args, args.push or args.out.resolve().name)
    pack(args.base, args.out, args.models, decode, tag, args.carry or "local", facts)
    return [push_packed(args.out, args.push, args.public)] if args.push else []


def _write_for_others(args: argparse.Namespace) -> list[str]:
    """Write adapters or merged models; return addresses of commits."""
    if given := [f"--{name}" for name in OURS if getattr(args, name)]:
        raise ConfigError(f"{given[0]} is for --format speechllm alone", "leave it out")
    if args.merge and args.format != "peft":
        raise ConfigError("--merge writes a model for transformers", "give --format peft with it")
    if args.push and "@" in args.push:
        raise ConfigError("--push: a branch is for --format speechllm alone", "leave it out")
    if len(args.base_model) > 1:
        raise ConfigError("--base_model: an adapter stands on one model", "name the LLM alone")
    from speechllm.convert.peft.push import HERE, push_each

    facts = card_facts(args, args.push or HERE)
    if args.merge:
        from speechllm.convert.peft.merge import write_merged

        domains = write_merged(args.base, args.out, args.models, facts)
    else:
        from speechllm.convert.peft.export import write_adapters

        domains = write_adapters(args.base, args.out, args.models, args.format, facts)
    return push_each(args.out, domains, args.push, args.public) if args.push else []
