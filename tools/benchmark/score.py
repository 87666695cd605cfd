"""`speechllm score` with its listings: utterances in a second, beside sclite's."""

import argparse
import os
from typing import Any

from commands import Command, beside, builds, speechllm
from text_data import make_text


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """This build beside the baseline's, and beside sclite: sums, alignments and confusions."""
    data = make_text(args.work, args.lines)
    options = ["--ref", data / "set" / "text", "--hyp", data / "hyp", "--normalizer", "plain"]
    runs = {
        name: speechllm(build, args, "score", "--force", *options, "--out", data / f"score-{name}")
        for name, build in builds(args).items()
    }
    if args.sclite:
        sides = ["-r", data / "ref.trn", "trn", "-h", data / "hyp.trn", "trn", "-i", "rm", "-s"]
        listed = ["-e", "utf-8", "-o", "sum", "pra", "dtl", "-O", data, "-n", "sclite"]
        runs["sclite"] = Command([args.sclite, *sides, *listed], args.lines, data, os.environ)
    return beside("score", runs.pop("now"), runs, args.rounds)
