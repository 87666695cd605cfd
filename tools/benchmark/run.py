#!/usr/bin/env python3
"""How fast this build is: ratios of what is measured in turn, in one run, on one machine.

    tools/benchmark/run.py step features --baseline ../before --encoder pretrained/whisper-base \
        --llm pretrained/smollm2-135m-instruct --source data/source_train \
        --target data/alphanumeric_train --work exp/benchmark

writes exp/benchmark/benchmark.json and prints it as a table (docs/performance.md).
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from machine import describe
from tiny import make_tiny

CASES = {
    "step": ("encoder", "llm", "source", "target", "baseline"),
    "features": ("encoder", "source"),
    "published": ("encoder", "llm", "source"),
    "slam": ("encoder", "llm", "source"),
    "decode": ("encoder", "llm", "bundle", "set"),
    "check": (),  # these make their data
    "score": (),
    "plan": (),
}
"""What each needs; it is a module beside this one: `measure(args)` gives its figures."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="+", choices=tuple(CASES))
    parser.add_argument("--work", required=True, type=Path, help="folder for all that is made")
    parser.add_argument(
        "--shape",
        choices=("smollm2", "tiny"),
        default="smollm2",
        help="tiny: random models and noise, which are made; smollm2: the models and data given",
    )
    parser.add_argument("--encoder", type=Path, help="folder of whisper-base")
    parser.add_argument("--llm", type=Path, help="folder of smollm2-135m-instruct")
    parser.add_argument("--source", type=Path, help="data dir with audio")
    parser.add_argument("--target", type=Path, help="data dir with audio, to be adapted to")
    parser.add_argument(
        "--baseline", type=Path, help="checkout of an older build; features do without"
    )
    parser.add_argument("--slam", type=Path, help="slam: checkout of SLAM-LLM")
    parser.add_argument("--bundle", type=Path, help="decode: folder of a trained model")
    parser.add_argument("--set", type=Path, help="decode: data dir with audio and text")
    parser.add_argument("--weights", type=Path, help="step: the recipe's warm_start tensors")
    parser.add_argument("--utterances", type=int, default=44, help="of each set (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of each turn (%(default)s)")
    parser.add_argument("--lines", type=int, default=100_000, help="of text (%(default)s)")
    parser.add_argument(
        "--kaldi", type=Path, help="check: a folder that holds utils, such as egs/wsj/s5"
    )
    parser.add_argument("--sclite", type=Path, help="score: the program")
    parser.add_argument("--dtypes", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    args = parser.parse_args()
    if args.shape == "tiny" and any(CASES[case] for case in args.cases):
        vars(args).update(make_tiny(args.work / "tiny"))
    for name in dict.fromkeys(name for case in args.cases for name in CASES[case]):
        if getattr(args, name) is None:
            parser.error(f"--{name} is missing")
    for name, value in vars(args).items():
        if isinstance(value, Path):
            setattr(args, name, value.resolve())
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def main() -> None:
    args = parse()
    found = {"shape": args.shape, **describe(args.threads), "figures": []}
    args.gflops = {d: max(rate, found["own_gflops"][d]) for d, rate in found["gflops"].items()}
    rates = ", ".join(f"{dtype} {rate:.0f}" for dtype, rate in found["gflops"].items())
    print(f"{found['machine']}, {args.threads} of {found['cores']} cores, GFLOPS: {rates}")
    print(f"{'':<42} {'before':>9} {'now':>9} {'ratio':>7}")
    for case in args.cases:
        figures = importlib.import_module(case).measure(args)
        found["figures"] += figures
        (args.work / "benchmark.json").write_text(json.dumps(found, indent=2) + "\n")
        for row in figures:
            name = ", ".join(filter(None, (row["case"], row["what"], row["dtype"])))
            numbers = f"{row['before']:>9.2f} {row['now']:>9.2f} {row['ratio']:>7.2f}"
            print(f"{name:<42} {numbers}  {row.get('note', '')}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
