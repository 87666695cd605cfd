"""Try hostile inputs of all kinds: `python -m tests.hostile 10000`.

A line for each kind as it is done: cases, how many were read, how many refused with a clear line,
seconds and megabytes. A fault is printed with what repeats it, and its inputs are kept.
"""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

# Tiny models gain nothing by threads, and a child of a process with threads may wait for them.
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

from tests.hostile.inputs import make_all
from tests.hostile.kinds import KINDS, is_there
from tests.hostile.trials import Outcome, try_all, try_whole

LINE = "{:<24}{:>8}{:>8}{:>9}{:>9.1f}{:>6}  {}"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("cases", type=int, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal cases")
    parser.add_argument("--kind", default="", help="only kinds whose name begins so")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name.startswith(args.kind) and is_there(kind)]
    if not kinds:
        parser.error(
            f"no kind begins with {args.kind!r}; known: {', '.join(k.name for k in KINDS)}"
        )
    cases = -(-args.cases // len(kinds))
    work = Path(tempfile.mkdtemp(prefix="hostile-"))
    (work / "whole").mkdir()
    logging.getLogger().addHandler(logging.NullHandler())
    make_all(work / "whole", {kind.folder for kind in kinds})
    for kind in kinds:  # imports what the kinds need, once for all children
        assert try_whole(kind, work / "whole", work / "tried") == kind.refused, kind.name
    print(f"{len(kinds)} kinds of {cases} cases, seed {args.seed}, in {work}")
    print(LINE.replace(".1f", "").format("kind", "cases", "read", "refused", "seconds", "MB", ""))
    done: list[Outcome] = []
    for outcome in try_all(kinds, work / "whole", work, cases, args.seed, args.jobs):
        done.append(outcome)
        print(_line(outcome, "FAULT" if outcome.fault else ""), flush=True)
    total = [sum(getattr(outcome, name) for outcome in done) for name in ("read", "refused")]
    seconds, most = sum(o.seconds for o in done), max(o.megabytes for o in done)
    print(_line(Outcome("all", *total, seconds, most), ""))
    faults = [outcome for outcome in done if outcome.fault]
    for outcome in faults:
        print(f"\n{outcome.name}: inputs in {work / outcome.name}/box; again: python -m")
        print(f"tests.hostile {cases} --seed {args.seed} --kind {outcome.name}\n{outcome.fault}")
    sys.exit(bool(faults))


def _line(outcome: Outcome, note: str) -> str:
    counts = outcome.cases, outcome.read, outcome.refused
    return LINE.format(outcome.name, *counts, outcome.seconds, outcome.megabytes, note)


if __name__ == "__main__":
    main()
