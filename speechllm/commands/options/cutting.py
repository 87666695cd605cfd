"""Options that cut long recordings at pauses."""

import argparse


def add_cutting(parser: argparse.ArgumentParser) -> None:
    """Add `--max_seconds`, `--min_pause` and `--vad`."""
    parser.add_argument(
        "--max_seconds",
        type=float,
        default=30.0,
        help="cut longer recordings at pauses into pieces that are not longer (default: 30)",
    )
    parser.add_argument(
        "--min_pause", type=float, default=0.3, help="seconds of quiet that are a pause"
    )
    parser.add_argument(
        "--vad",
        choices=("auto", "silero", "energy"),
        default="auto",
        help="detector of the pauses: Silero's network, where it is installed (pip install "
        "'speechllm[vad]'), or energy (default: %(default)s)",
    )
