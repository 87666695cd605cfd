"""make a smaller data dir: some utterances, hours or speakers of one; all tables stay consistent

As Kaldi's utils/subset_data_dir.sh: `speechllm data subset --first 500 data/train data/train_500`.
For one order and one seed, larger subsets contain the smaller ones.
"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import real, whole
from speechllm.errors import bounded

ORDERS = {
    "first": "in the order of ids",
    "last": "in the order of ids, from the end",
    "shortest": "the shortest utterances",
    "longest": "the longest utterances",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm data subset`."""
    amount = parser.add_argument_group("how much: a number of utterances, or one of these")
    amount.add_argument("--hours", type=real(0.0), help="so many hours, not more")
    amount.add_argument("--n_speakers", type=whole(1), help="so many speakers, with all they say")
    amount.add_argument("--utt_list", type=Path, help="the utterances in this file, one on a line")
    amount.add_argument("--spk_list", type=Path, help="the speakers in this file, one on a line")
    amount.add_argument(
        "--speakers",
        action="store_true",
        help="whole speakers: at least so many utterances, or at most so many hours",
    )
    amount.add_argument("--per_spk", action="store_true", help="so many utterances of each speaker")
    order = parser.add_argument_group("which (default: at random)").add_mutually_exclusive_group()
    for name, text in ORDERS.items():
        order.add_argument(
            f"--{name}", dest="order", action="store_const", const=name, default="random", help=text
        )
    parser.add_argument("--seed", type=int, default=0, help="of the random order (%(default)s)")
    parser.add_argument("utterances", nargs="?", type=whole(1), help="number of utterances")
    parser.add_argument("source", type=Path, help="data dir to read")
    parser.add_argument("data", type=Path, help="data dir to write; it appears whole")


def run(args: argparse.Namespace) -> None:
    """Choose a subset, write it, and print what was kept and what was not.

    Raises:
        SpeechLLMError: no amount is given, or more than one.
    """
    from speechllm.data.dirs.parts import describe_parts
    from speechllm.data.dirs.set_tables import read_set, refuse_inside
    from speechllm.data.dirs.subset import Amount, choose, listed
    from speechllm.errors import SpeechLLMError

    lists = [path for path in (args.utt_list, args.spk_list) if path is not None]
    numbers = [n for n in (args.utterances, args.hours, args.n_speakers) if n is not None]
    if len(lists) + len(numbers) != 1 or (lists and (args.speakers or args.per_spk)):
        raise SpeechLLMError(
            "one amount is needed: a number of utterances, --hours, --n_speakers, --utt_list "
            "or --spk_list",
            "speechllm data subset 500 data/train data/train_500",
        )
    tables = read_set(args.source)
    if lists:
        chosen = listed(tables, lists[0], speakers=args.spk_list is not None)
    else:
        amount = Amount(args.utterances, args.hours, args.n_speakers, args.speakers, args.per_spk)
        chosen = choose(tables, amount, args.order, args.seed)
    part = tables.select(chosen)
    refuse_inside(args.source, args.data)
    part.write(args.data)
    for line in describe_parts(tables, {args.data: part}):
        print(bounded(line))
