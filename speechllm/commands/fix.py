"""Mend data dirs: sort, drop what does not fit, rebuild; the old files are kept in .backup/."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Data dirs."""
    parser.add_argument("data", nargs="+", type=Path, help="data dirs to mend")
    parser.add_argument(
        "--allow_pipes", action="store_true", help="run the shell commands in wav.scp"
    )


def run(args: argparse.Namespace) -> None:
    """Mend each data dir and print what was dropped."""
    from speechllm.data.fix import fix_data_dir

    for path in args.data:
        for line in fix_data_dir(path, allow_pipes=args.allow_pipes).lines():
            print(f"{path}: {line}", flush=True)
