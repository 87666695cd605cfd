"""copy a data dir at another speed: speechllm data perturb 0.9 data/train data/train_sp0.9

Like Kaldi's utils/perturb_data_dir_speed.sh; 0.9 is slower. The audio is in the new data dir.
"""

import argparse
from pathlib import Path

from speechllm.commands.options.numbers import real
from speechllm.errors import bounded

SLOWEST, FASTEST = 0.1, 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm data perturb`."""
    parser.add_argument("speed", type=real(SLOWEST, FASTEST), help="times as fast, e.g. 0.9")
    parser.add_argument("source", type=Path, help="data dir to read")
    parser.add_argument("data", type=Path, help="data dir to write; it appears whole")
    parser.add_argument(
        "--allow_pipes", action="store_true", help="run the shell commands in wav.scp"
    )


def run(args: argparse.Namespace) -> None:
    """Write the new data dir, and print its size."""
    from speechllm.data.dirs.parts import describe_parts
    from speechllm.data.speech.speed import perturb

    made = perturb(args.source, args.speed, args.data, args.allow_pipes)
    for line in describe_parts(made, {}):
        print(bounded(line))
