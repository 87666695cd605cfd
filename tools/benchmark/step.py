"""Training steps of this build against another's: utterances in a second.

`same config` is how fast the engine is: both builds train by conf/plain. `recipe` is what a recipe
gains: this build trains by conf/recipe, the other by conf/plain.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from turns import BUILD, Worker, environment, figure, in_turn

CONF = Path(__file__).with_name("conf")


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Base and adaptation steps in each dtype, the builds in turn."""
    for name in ("source", "target"):
        subset(args, name)
    for build in (args.baseline, BUILD):
        extract(args, build, "source", "target")
    figures = []
    for dtype in args.dtypes:
        for kind in ("base", "adapt"):
            workers = {
                "before": worker(args, args.baseline, "plain", kind, dtype),
                "same config": worker(args, BUILD, "plain", kind, dtype),
                "recipe": worker(args, BUILD, "recipe", kind, dtype, args.weights),
            }
            rates = in_turn(workers, args.rounds)
            figures += [
                figure("step", f"{kind}, {what}", dtype, rates["before"], rates[what], "utt/s")
                for what in ("same config", "recipe")
            ]
    return figures


def worker(
    args: argparse.Namespace,
    build: Path,
    conf: str,
    kind: str,
    dtype: str,
    weights: Path | None = None,
    first_loss: bool = False,
) -> Worker:
    """A build that trains by a folder of conf, from these tensors on; adapt needs the target."""
    settings = {
        "conf": str(CONF / conf),
        "kind": kind,
        "models": [f"model.encoder={args.encoder}", f"model.llm={args.llm}"],
        "precision": f"train.precision={dtype}",
        "data": str(args.work / "data"),
        "dump": str(dump(args, build)),
        "weights": str(weights) if weights else None,
        "first_loss": first_loss,
    }
    return Worker("step_worker.py", build, args.threads, settings)


def dump(args: argparse.Namespace, build: Path) -> Path:
    """A build's cache of features."""
    return args.work / "dump" / ("now" if build == BUILD else "before")


def subset(args: argparse.Namespace, name: str) -> None:
    """Take the first utterances of a set."""
    amount = ("--first", str(args.utterances))
    _speechllm(BUILD, args, "subset", *amount, getattr(args, name), args.work / "data" / name)


def extract(args: argparse.Namespace, build: Path, *names: str) -> None:
    """Make a build's features of what `subset` took."""
    sets = [args.work / "data" / name for name in names]
    options = ["--config", CONF / "plain" / "base.yaml", "--encoder", args.encoder]
    options += ["--llm", args.llm, "--dump", dump(args, build)]
    for merge in ([], ["--merge"]):  # older builds join in a step of its own
        _speechllm(build, args, "features", *sets, *options, *merge)


def _speechllm(build: Path, args: argparse.Namespace, *command: str | Path) -> None:
    """Run a command of a build, here, since paths of recordings may be relative."""
    whole = [sys.executable, "-P", "-m", "speechllm", *map(str, command)]
    env = environment(build, args.threads)
    done = subprocess.run(whole, env=env, capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
