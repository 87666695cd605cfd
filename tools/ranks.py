#!/usr/bin/env python3
"""Print the losses of one training by other numbers of processes, as a table in markdown.

tools/ranks.py            # in minutes, on CPUs: a tiny LLM with LoRA and a projector

An arm such as 2 -> 1 -> 4 is stopped and goes on with another number of processes. Each arm takes
the same batches; its losses should differ from those of one process by rounding alone.
"""

import json
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.helpers.forkserver import command_folder, run_ranks
from tests.helpers.tiny import make_encoder, make_llm, make_set

STEPS = 6
ARMS = ([1], [2], [4], [2, 1, 4])
CONFIG = {
    "trainable": ["projector.*", "llm.*lora_*"],
    "train": {
        "steps": STEPS,
        "global_batches": 4,
        "batch_positions": 100,
        "lr": 0.01,
        "warmup_steps": 1,
        "log_every": 1,
        "precision": "fp32",
    },
    "monitor": {"every": 3},
}


def main() -> None:
    """Train all arms in a temporary folder."""
    with tempfile.TemporaryDirectory() as place, command_folder() as command:
        work = Path(place)
        make_encoder(work / "encoder")
        make_llm(work / "llm")
        sets = [
            make_set(work / name, name, seed=seed) for seed, name in enumerate(("train", "dev"))
        ]
        parts = {"encoder": str(work / "encoder"), "llm": str(work / "llm")}
        projector = {"downsampling": 2, "hidden": 16}
        model = {**parts, "projector": projector, "lora": {"dropout": 0.2}}
        (work / "base.yaml").write_text(yaml.safe_dump({"model": model, **CONFIG}))
        dump = ["--dump", str(work / "dump")]
        run_ranks(command, ["features", "--encoder", parts["encoder"], *dump, *map(str, sets)], 1)
        options = ["--config", f"{work}/base.yaml", *dump]
        options += ["--train", str(sets[0]), "--dev", str(sets[1])]
        arms = {}
        for shard in (False, True):
            for sizes in ARMS[shard:]:
                name = f"{' -> '.join(map(str, sizes))}{', sharded' if shard else ''}"
                exp = work / name.replace(" ", "")
                train = ["base", *options, "--exp", str(exp), f"train.shard={shard}"]
                arms[name] = trained(command, train, exp, sizes)
    one = arms["1"]
    print(f"| step | {' | '.join(arms)} |")
    print("|---|" + "---:|" * len(arms))
    for step in range(STEPS):
        print(f"| {step + 1} | {' | '.join(f'{losses[step]:.7f}' for losses in arms.values())} |")
    furthest = [max(abs(a - b) for a, b in zip(x, one, strict=True)) for x in arms.values()]
    print(f"| largest difference | {' | '.join(f'{value:.1g}' for value in furthest)} |")


def trained(command: Path, words: list[str], exp: Path, sizes: list[int]) -> list[float]:
    """Losses of a run of two steps with each of `sizes` processes, and of the rest with the last.

    Args:
        command: folder of the command `speechllm`.
        words: words of the training.
        exp: folder of its model.
        sizes: numbers of processes.
    """
    for size in sizes[:-1]:
        for _ in range(2):
            run_ranks(command, [*words, "--max_time", "0"], size, code=75)
    run_ranks(command, words, sizes[-1])
    lines = [json.loads(line) for line in (exp / "train.jsonl").read_text().splitlines()]
    return [line["train"]["loss"] for line in lines if "train" in line]


if __name__ == "__main__":
    main()
