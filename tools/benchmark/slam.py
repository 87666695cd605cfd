"""This build's training against SLAM-LLM's own code, from a checkout: utterances in a second.

Its code needs, in the environment that runs the benchmark, omegaconf and openai-whisper (and of the
latter's dependencies numba, scipy, tiktoken and more-itertools). It runs its encoder in every step,
so what is compared are whole epochs: the first, in which this build runs the encoder once, and
later ones. Frames, prompts and so losses are its own: its Whisper hears 30 s whatever an utterance
has, and its LLM the silence too, so of short utterances most of the ratio is that.
"""

import argparse
from pathlib import Path
from typing import Any

from published import prepare, speeds, this_build
from turns import BUILD, Worker, figure, in_turn


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Steps of both in each dtype, in turn."""
    if not args.slam:
        print("slam: left out, since --slam is not given")
        return []
    weights = prepare(args)
    return [row for dtype in args.dtypes for row in _rows(args, dtype, weights)]


def _rows(args: argparse.Namespace, dtype: str, weights: Path) -> list[dict[str, Any]]:
    settings = {
        "slam": str(args.slam),
        "encoder": str(args.encoder),
        "llm": str(args.llm),
        "data": str(args.work / "data" / "source"),
        "weights": str(weights),
        "work": str(args.work),
        "dtype": dtype,
    }
    workers = {
        "slam": Worker("slam_worker.py", BUILD, args.threads, settings),
        **this_build(args, dtype, weights),
    }
    rates = in_turn(workers, args.rounds)
    rows = [
        figure("slam", f"{epoch} epoch, {what}", dtype, rates["slam"], now[epoch], "utt/s")
        for what, now in speeds(workers, rates).items()
        for epoch in ("first", "later")
    ]
    positions = workers["slam"].said["positions"]
    rows[0] |= {"positions": positions, "note": f"slam: {positions:.0f} positions an utterance"}
    return rows
