"""Whisper's frames of short utterances in windows that are cut: seconds of audio in a second.

`batches` is what batches gain over one utterance after the other in the same dtype, in this build.
`all` is what this build's batches gain over the baseline's way: one after the other in float32.
"""

import argparse
from pathlib import Path
from typing import Any

from turns import BUILD, Worker, figure, in_turn

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One by one and in batches, in turn."""
    workers = {
        (dtype, way): _worker(args, BUILD, dtype, way == "alone")
        for dtype in args.dtypes
        for way in ("alone", "batches")
    }
    if args.baseline:
        workers["baseline"] = _worker(args, args.baseline, "fp32", alone=True)
    rates = in_turn(workers, args.rounds)
    figures = []
    for dtype in args.dtypes:
        now = rates[dtype, "batches"]
        figures.append(figure("features", "batches", dtype, rates[dtype, "alone"], now, "s/s"))
        if args.baseline:
            figures.append(figure("features", "all", dtype, rates["baseline"], now, "s/s"))
    return figures


def _worker(args: argparse.Namespace, build: Path, dtype: str, alone: bool) -> Worker:
    settings = {
        "encoder": str(args.encoder),
        "data": str(args.source),
        "utterances": args.utterances,
        "dtype": DTYPES[dtype],
        "alone": alone,
    }
    return Worker("features_worker.py", build, args.threads, settings)
