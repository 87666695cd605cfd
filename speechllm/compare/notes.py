"""Notes of a comparison: what is unfinished, absent, or only looks like a result."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from speechllm.compare.grid import BASE, Cell
from speechllm.compare.results import ArmResults, Result
from speechllm.data.dirs.kaldi import first_ids
from speechllm.experiment import target_set
from speechllm.report.gains import has_gap


def notes(results: ArmResults, cells: Sequence[Cell], exp: Path, baseline: str) -> Iterator[str]:
    """Yield one sentence for each thing that the tables cannot say.

    Args:
        results: results of the finished cells.
        cells: all cells.
        exp: exp folder; folders of models are shown relative to it.
        baseline: arm that the others are tested against.
    """
    for folder, target, problem in problems(cells):
        name = folder.relative_to(exp) if folder.is_relative_to(exp) else folder
        yield f"not in the tables: {name} on {target}: {problem}"
    for target in results.targets:
        if not results.find(target, baseline):
            yield f"{target}: the baseline {baseline} is not finished, so there are no tests"
        yield from _of_gap(results, target)
    for result in results:
        yield from _of_control(results, result)
        if not result.is_base and not result.is_redecoded:
            yield from _of_kept_steps(result)
        for runs, name in (
            (result.target, target_set(result.domain)),
            (result.source, result.cells[0].source_set),
        ):
            for cell, counted in zip(result.cells, runs.counted, strict=True):
                if counted.missing:
                    yield (
                        f"{_who(result)}, seed {cell.seed}: {name} lacks hypotheses (counted as "
                        f"wholly wrong): {first_ids(counted.missing)}"
                    )
    for target in results.targets:
        first = results.of(target)[0].target.counted[0]
        for what, about in first.set_remarks.items():
            yield f"{target}: {what}: {first_ids(about)}"
    for result in results:
        for cell, counted in zip(result.cells, result.target.counted, strict=True):
            for what, about in counted.remarks.items():
                yield f"{_who(result)}, seed {cell.seed}: {what}: {first_ids(about)}"


def problems(cells: Sequence[Cell]) -> Iterator[tuple[Path, str, str]]:
    """Yield folder, target and problem of cells that cannot be used, each triple once."""
    found = ((cell.folder, cell.target, cell.problem) for cell in cells)
    yield from dict.fromkeys((f, target, problem) for f, target, problem in found if problem)


def _of_gap(results: ArmResults, target: str) -> Iterator[str]:
    full, base = results.full_audio(target), results.find(target, BASE)
    if full is None:
        yield f"{target}: no finished arm fine-tuned on all its audio, so no share of the gap"
    elif base and not has_gap(base.target.error, full.target.error):
        yield f"{target}: {full.arm} is not better than the base, so no share of the gap"


def _of_control(results: ArmResults, result: Result) -> Iterator[str]:
    it = result.cells[0].control_of
    if it and not results.find(result.domain, it):
        yield f"{_who(result)} is a control of {it}, which is not finished"


def _of_kept_steps(result: Result) -> Iterator[str]:
    """Note on runs that kept step 0: no later one was better on the dev set."""
    back = [
        str(cell.seed)
        for cell in result.cells
        if cell.run.get("kept_step") == 0 and len(cell.run.get("phases", ())) < 2
    ]
    if back:
        yield f"{_who(result)}: no step was better on dev than the base, seeds {', '.join(back)}"


def _who(result: Result) -> str:
    return f"{result.arm} on {result.domain}"
