"""`speechllm data check` of a text-only set: utterances in a second, beside Kaldi's check."""

import argparse
import os
from typing import Any

from commands import Command, beside, builds, speechllm
from text_data import make_text


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """This build beside the baseline's, and beside utils/validate_data_dir.sh."""
    data = make_text(args.work, args.lines) / "set"
    runs = {
        name: speechllm(build, args, "check", "--force", data)
        for name, build in builds(args).items()
    }
    if args.kaldi:
        script = ["bash", "utils/validate_data_dir.sh", "--no-wav", "--no-feats", data]
        runs["kaldi"] = Command(script, args.lines, args.kaldi, os.environ)
    return beside("check", runs.pop("now"), runs, args.rounds)
