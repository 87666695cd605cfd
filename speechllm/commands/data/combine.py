"""join data dirs, as Kaldi's utils/combine_data.sh: data combine data/all data/one data/two"""

import argparse
from pathlib import Path

from speechllm.errors import bounded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm data combine`."""
    parser.add_argument("data", type=Path, help="data dir to write; it appears whole")
    parser.add_argument("sources", nargs="+", type=Path, help="data dirs to read")


def run(args: argparse.Namespace) -> None:
    """Join the data dirs, and print the sizes."""
    from speechllm.data.dirs.combine import combine
    from speechllm.data.dirs.set_tables import read_set

    sets = [read_set(path) for path in args.sources]
    whole = combine(sets, args.data)
    whole.write(args.data)
    sizes = " + ".join(f"{len(tables.ids)} ({tables.path})" for tables in sets)
    print(bounded(f"{args.data}: {len(whole.ids)} utterances = {sizes}: {' '.join(whole.names)}"))
