"""Whisper's frames of short utterances in windows that are cut: seconds of audio in a second.

`batches` is what batches gain over one utterance after the other in the same precision; `all` is
what they gain together with the precision over one after the other in float32.
"""

import argparse
from typing import Any

from turns import BUILD, Worker, figure, in_turn

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One by one and in batches, in turn."""
    workers = {
        (dtype, alone): _worker(args, DTYPES[dtype], alone)
        for dtype in dict.fromkeys(["fp32", *args.dtypes])
        for alone in (True, False)
    }
    rates = in_turn(workers, args.rounds)
    figures = []
    for dtype in args.dtypes:
        now = rates[dtype, False]
        for what, before in (("batches", rates[dtype, True]), ("all", rates["fp32", True])):
            figures.append(figure("features", what, dtype, before, now, "s/s"))
    return figures


def _worker(args: argparse.Namespace, dtype: str, alone: bool) -> Worker:
    settings = {
        "encoder": str(args.encoder),
        "data": str(args.source),
        "utterances": args.utterances,
        "dtype": dtype,
        "alone": alone,
    }
    return Worker("features_worker.py", BUILD, args.threads, settings)
