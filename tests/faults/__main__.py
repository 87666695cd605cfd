"""Kill harness: `python -m tests.faults --kills 200 --seed 1` (docs/scaling.md, "Nothing is lost").

Stages of a tiny recipe are killed at random places, given again, and what they leave is compared
with what they leave when nothing kills them.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

# Tiny models gain nothing by threads, and a process with threads cannot be forked.
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

from tests.faults.process import preload, run_commands, start_fork, wait_for
from tests.faults.recipe import STAGES, commands, make_recipe, recipe_folder
from tests.faults.trial import Reference, Trial

REFERENCES = "references.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="trials with SIGKILL (%(default)s)")
    parser.add_argument(
        "--stops", type=int, default=36, help="trials with SIGTERM and SIGINT (%(default)s)"
    )
    parser.add_argument(
        "--scripts",
        type=int,
        default=0,
        help="trials with SIGKILL to the process group of run.sh; nothing is imported before, so "
        "they take long (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (%(default)s)")
    parser.add_argument("--nj", type=int, default=2, help="trials at once (%(default)s)")
    parser.add_argument(
        "--work",
        type=Path,
        help="folder of log, references and what failed; given again, finished trials stand "
        "(default: a temporary one, kept if there are faults)",
    )
    parser.add_argument(
        "--each",
        nargs="+",
        choices=STAGES,
        default=[],
        metavar="STAGE",
        help="besides, kill these stages at each of their calls in turn",
    )
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="speechllm-faults-"))
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    preload()
    references = _references(work)
    trials = [
        Trial(kind, STAGES[number % len(STAGES)], number)
        for kind in ("kill", "stop", "script")
        for number in range(getattr(args, f"{kind}s"))
    ]
    trials += [Trial("each", s, n) for s in args.each for n in range(1, references[s].calls + 1)]
    log = work / f"seed-{args.seed}.jsonl"
    done = _read(log)
    left = [trial for trial in trials if trial.key not in done]
    workers = [
        start_fork(partial(_run, left[n :: args.nj], references, args.seed, work, n))
        for n in range(args.nj)
    ]
    ended = [wait_for(worker) for worker in workers]
    done = _read(log)
    trials = [done[trial.key] for trial in trials if trial.key in done]
    print(_table(trials))
    faulty = any(ended) or any(trial.faults for trial in trials)
    if faulty or args.work:
        print(f"log and what failed: {work}")
    else:
        shutil.rmtree(work)
    return int(faulty)


def _run(
    trials: Sequence[Trial], references: Mapping[str, Reference], seed: int, work: Path, worker: int
) -> None:
    """Run a worker's trials; each adds its line to the log."""
    recipe = recipe_folder(work / str(worker))
    for place, trial in enumerate(trials, 1):
        trial.run(seed, references[trial.stage], recipe)
        with (work / f"seed-{seed}.jsonl").open("a") as stream:
            stream.write(json.dumps(asdict(trial)) + "\n")
        said = f"{worker}: {place}/{len(trials)} {trial.stage}: {'; '.join(trial.deaths)}"
        print(said, *(f"  FAULT {fault}" for fault in trial.faults), sep="\n", flush=True)
        if trial.faults:
            kept = work / "failed" / "-".join(map(str, trial.key))
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(recipe, kept, symlinks=True)


def _read(log: Path) -> dict[tuple[str, str, int], Trial]:
    lines = log.read_text().splitlines() if log.is_file() else []
    return {trial.key: trial for trial in (Trial(**json.loads(line)) for line in lines)}


def _references(work: Path) -> dict[str, Reference]:
    """Run all stages once without a death, unless that was done."""
    path = work / REFERENCES
    if not path.is_file():
        for folder in ("first", "states"):
            shutil.rmtree(work / folder, ignore_errors=True)
        recipe = recipe_folder(work / "first")
        wait_for(start_fork(partial(make_recipe, recipe)))
        shutil.copytree(recipe, work / "states/data", symlinks=True)
        told: dict[str, Any] = {}
        before = "data"
        for stage in ("check", *STAGES):
            planned = commands(recipe, stage)
            ended = run_commands(planned, recipe)
            if ended.code:
                sys.exit(f"stage {stage} fails by itself:\n{ended.output}")
            shutil.copytree(recipe, work / "states" / stage, symlinks=True)
            told[stage] = {"commands": planned, "before": before}
            told[stage] |= {"calls": ended.calls, "seconds": ended.seconds}
            before = stage
            print(f"{stage}: {len(planned)} commands, {ended.calls} calls, {ended.seconds:.1f} s")
        path.write_text(json.dumps(told))
    told = json.loads(path.read_text())
    states = work / "states"
    return {
        stage: Reference(**{**row, "before": states / row["before"]}, after=states / stage)
        for stage, row in told.items()
        if stage in STAGES
    }


def _table(trials: Sequence[Trial]) -> str:
    """Trials, deaths and faults by stage."""
    lines = ["| stage | killed | deaths | of them torn writes | stopped | faults |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for stage in (*STAGES, "all"):
        own = [trial for trial in trials if stage in (trial.stage, "all")]
        kills = [trial for trial in own if trial.kind != "stop"]
        deaths = [death for trial in kills for death in trial.deaths if ": died" in death]
        torn = sum("bytes on" in death for death in deaths)
        faults = sum(bool(trial.faults) for trial in own)
        cells = (len(kills), len(deaths), torn, len(own) - len(kills), faults)
        lines.append(f"| {stage} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
