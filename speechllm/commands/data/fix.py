"""fix data dirs: sort, drop what does not fit, rebuild; the old files are kept in .backup/"""

import argparse
from pathlib import Path

from speechllm.errors import bounded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm data fix`."""
    parser.add_argument("data", nargs="+", type=Path, help="data dirs to mend")
    parser.add_argument(
        "--allow_pipes", action="store_true", help="run the shell commands in wav.scp"
    )
    parser.add_argument("--full", action="store_true", help="decode all audio, not just headers")
    parser.add_argument(
        "--min_seconds",
        type=float,
        default=0.025,
        help="drop shorter utterances (default: %(default)s, below which no encoder takes any)",
    )


def run(args: argparse.Namespace) -> None:
    """Fix each data dir and print what was dropped."""
    from speechllm.data.check.fix import fix_data_dir
    from speechllm.files.locks import LOCK, locked
    from speechllm.files.whole import beside

    for path in args.data:
        with locked(beside(path, LOCK), path):
            report = fix_data_dir(
                path,
                allow_pipes=args.allow_pipes,
                full=args.full,
                min_seconds=args.min_seconds,
            )
        for line in report.lines():
            print(bounded(f"{path}: {line}"), flush=True)
