"""A tiny recipe with every stage, and the commands of its stages as `run.sh` plans them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from tests.helpers.paths import ROOT
from tests.helpers.tiny import make_ctc_encoder, make_llm, make_set

TARGET = "farm"
SETS = [f"{domain}_{part}" for domain in ("source", TARGET) for part in ("train", "dev", "test")]
STAGES = ("features", "base", "adapt", "lm", "decode", "score", "report", "pack", "compare")
"""Stages that are killed, in the order in which they run; compare is a grid, from adapt on."""
GRID = "conf/compare.yaml"

_TRAIN = {"steps": 6, "batch_positions": 150, "lr": 1e-2, "warmup_steps": 1, "precision": "fp32"}
_TRAIN |= {"checkpoint_every": 2, "log_every": 1}
_MONITOR = {"every": 2}
_SEARCH = {"beam": 2, "batch_positions": 400, "max_tokens_per_second": 2}
_LM = {"epochs": 4, "steps": 8, "batch_tokens": 60, "evaluate_every": 2}
CONFIGS = {
    "conf/base.yaml": {
        "model": {
            "encoder": "pretrained/encoder",
            "llm": "pretrained/llm",
            "projector": {"downsampling": 2, "hidden": 16},
        },
        "trainable": ["projector.*", "llm.*"],
        "train": {**_TRAIN, "muon_lr": 0.01},
        "monitor": {**_MONITOR, "decode": True},
    },
    # A run of two phases, and one that makes data first; those of one phase are in the grid.
    "conf/adapt/pre_finetune.yaml": {"method": "pre_finetune", "text_train": {"steps": 4}},
    "conf/adapt/pseudo_label.yaml": {
        "method": "pseudo_label",
        "decode": _SEARCH,
        "keep": {"max_disagreement": 1000.0},
    },
    "conf/lm/ngram.yaml": {"kind": "ngram", "order": 3},
    "conf/lm/lstm.yaml": {"kind": "lstm", "width": 16, "layers": 1, "train": _LM},
    "conf/decode.yaml": {**_SEARCH, "nbest": 2},
    "conf/decode/shallow.yaml": {
        **_SEARCH,
        "fusion": {"kind": "shallow", "lm": "{exp}/lm/ngram_{target}"},
    },
    "conf/decode/lstm.yaml": {
        **_SEARCH,
        "nbest": 2,
        "rescore": {"kind": "lm", "lm": "{exp}/lm/lstm_{target}", "weight": 0.3},
    },
    GRID: {
        "methods": {
            "text_only": {"config": "conf/methods/text_only.yaml"},
            "audio": {"config": "conf/methods/audio.yaml", "fractions": [0.5]},
        },
        "seeds": [3],
        "budget": 4,
    },
    "conf/methods/text_only.yaml": {"method": "text_only"},
    "conf/methods/audio.yaml": {"method": "audio"},
}
RUN = f"""#!/usr/bin/env bash
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")"
targets="{TARGET}"
. ../../utils/recipe.sh "$@"
"""


def recipe_folder(root: Path) -> Path:
    """Folder of a recipe below a root, which gets what recipes find two folders up."""
    folder = root / "egs/tiny"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not (root / "utils").exists():
        (root / "utils").symlink_to(ROOT / "utils")
    (root / "tools").mkdir(exist_ok=True)  # empty, so that recipes run in this environment
    here = str(Path(sys.executable).parent)
    if here not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([here, os.environ["PATH"]])
    return folder


def make_recipe(folder: Path) -> None:
    """Write a recipe with its models and data."""
    folder.mkdir()
    (folder / "run.sh").write_text(RUN)
    (folder / "run.sh").chmod(0o755)
    for name in ("cmd.sh", "path.sh"):
        (folder / name).write_bytes((ROOT / "egs/TEMPLATE" / name).read_bytes())
    for name, values in CONFIGS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "method" in values:
            values = {**values, "train": _TRAIN, "monitor": _MONITOR}
        path.write_text(yaml.safe_dump(values, sort_keys=False))
    os.chdir(folder)  # what is made names its files from here, as in any recipe
    make_ctc_encoder(Path("pretrained/encoder"))
    make_llm(Path("pretrained/llm"))
    for seed, name in enumerate(SETS):
        make_set(Path("data", name), name.replace("_", "-"), seed=seed)


def options(stage: str) -> list[str]:
    """Options of `run.sh` for a stage."""
    if stage == "compare":
        return ["--compare", GRID, "--stage", "adapt"]
    return ["--stage", stage, "--stop_stage", stage]


def commands(recipe: Path, stage: str) -> list[list[str]]:
    """Words of a stage's commands, without `speechllm`, one for each job."""
    dry = "--dry_run"
    planned = subprocess.run(
        [recipe / "run.sh", *options(stage), dry], check=True, capture_output=True, text=True
    ).stdout
    found = []
    for line in planned.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line[2:].replace(f" {dry}", ""))  # a report quotes its command
            jobs = next((w for w in words if w.startswith("JOB=")), "JOB=1:1")
            last = len(words) - words[::-1].index("speechllm")
            for job in range(1, int(jobs.partition(":")[2]) + 1):
                found.append([w.replace("JOB", str(job)) for w in words[last:]])
    return found
