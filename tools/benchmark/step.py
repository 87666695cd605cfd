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
        amount = ("--first", str(args.utterances))
        _speechllm(BUILD, args, "subset", *amount, getattr(args, name), args.work / "data" / name)
    for build in (args.baseline, BUILD):
        for merge in ([], ["--merge"]):  # older builds join in a step of its own
            sets = [args.work / "data" / name for name in ("source", "target")]
            options = [
                "--config",
                CONF / "plain" / "base.yaml",
                "--encoder",
                args.encoder,
                "--llm",
                args.llm,
            ]
            _speechllm(
                build, args, "features", *sets, *options, "--dump", _dump(args, build), *merge
            )
    figures = []
    for dtype in args.dtypes:
        for kind in ("base", "adapt"):
            workers = {
                "before": _worker(args, args.baseline, "plain", kind, dtype),
                "same config": _worker(args, BUILD, "plain", kind, dtype),
                "recipe": _worker(args, BUILD, "recipe", kind, dtype),
            }
            rates = in_turn(workers, args.rounds)
            figures += [
                figure("step", f"{kind}, {what}", dtype, rates["before"], rates[what], "utt/s")
                for what in ("same config", "recipe")
            ]
    return figures


def _worker(args: argparse.Namespace, build: Path, conf: str, kind: str, dtype: str) -> Worker:
    settings = {
        "conf": str(CONF / conf),
        "kind": kind,
        "models": [f"model.encoder={args.encoder}", f"model.llm={args.llm}"],
        "precision": f"train.precision={dtype}",
        "data": str(args.work / "data"),
        "dump": str(_dump(args, build)),
        "weights": str(args.weights.resolve()) if args.weights and conf == "recipe" else None,
    }
    return Worker("step_worker.py", build, args.threads, settings)


def _dump(args: argparse.Namespace, build: Path) -> Path:
    return args.work / "dump" / ("now" if build == BUILD else "before")


def _speechllm(build: Path, args: argparse.Namespace, *command: str | Path) -> None:
    """Run a command of a build."""
    whole = [sys.executable, "-m", "speechllm", *map(str, command)]
    env = environment(build, args.threads)
    done = subprocess.run(whole, env=env, cwd=build, capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
