"""cut a data dir into parts of about equal length; no speaker is in two parts

`speechllm data split data/train 4` writes data/train/split4/1 to 4, as Kaldi's utils/split_data.sh
does (with --per_utt split4utt); `speechllm data split data/all --into data/train=8 data/dev=1
data/test=1` cuts at random, in these shares.
"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import whole
from speechllm.errors import bounded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm data split`."""
    parser.add_argument("data", type=Path, help="data dir to read")
    parser.add_argument("parts", nargs="?", type=whole(1), help="number of equal parts")
    parser.add_argument(
        "--into", nargs="+", metavar="DIR=SHARE", default=[], help="data dirs to write instead"
    )
    parser.add_argument("--seed", type=int, default=0, help="of --into (default: %(default)s)")
    parser.add_argument("--per_utt", action="store_true", help="do not keep speakers together")


def run(args: argparse.Namespace) -> None:
    """Cut the data dir, write the parts, and print their sizes.

    Raises:
        SpeechLLMError: neither a number of parts nor --into is given, or both are.
    """
    from speechllm.data.dirs.parts import describe_parts
    from speechllm.data.dirs.set_tables import read_set, refuse_inside
    from speechllm.data.dirs.split import shared_recordings, split_by_share, split_evenly
    from speechllm.data.dirs.tables import first_ids
    from speechllm.errors import SpeechLLMError

    if (args.parts is None) == (not args.into):
        raise SpeechLLMError("a number of parts is needed, or --into DIR=SHARE ...")
    tables = read_set(args.data)
    if args.into:
        shares = _shares(args.into)
        said = split_by_share(tables, list(shares.values()), args.seed, args.per_utt)
        folders = list(shares)
    else:
        said = split_evenly(tables, args.parts, args.per_utt)
        root = args.data / f"split{args.parts}{'utt' if args.per_utt else ''}"
        folders = [root / str(number) for number in range(1, args.parts + 1)]
    parts = {folder: tables.select(utts) for folder, utts in zip(folders, said, strict=True)}
    for folder in parts:
        refuse_inside(args.data, folder)
    for folder, part in parts.items():
        part.write(folder)
    for line in describe_parts(tables, parts):
        print(bounded(line))
    if shared := shared_recordings(tables, said):
        cut = f"warning: recordings cut into several parts: {first_ids(shared)}"
        print(bounded(f"{args.data}: {cut}"))


def _shares(words: list[str]) -> dict[Path, float]:
    from speechllm.errors import SpeechLLMError

    shares: dict[Path, float] = {}
    for word in words:
        folder, _, share = word.rpartition("=")
        try:
            shares[Path(folder)] = float(share)
        except ValueError:
            shares[Path(folder)] = 0.0
        if not folder or not 0 < shares[Path(folder)] < float("inf"):
            raise SpeechLLMError(f"--into takes DIR=SHARE with a share above 0, not {word}")
    if len(shares) < len(words):
        raise SpeechLLMError("--into names a folder twice")
    return shares
