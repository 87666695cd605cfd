"""Report of a comparison: tables, verdicts, controls and figures, and how they were made."""

import logging
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from urllib.parse import quote

import yaml

from speechllm.compare.grid import BASE, Cell, Grid, Match
from speechllm.compare.legends import control_legend, legend, pair_legend
from speechllm.compare.notes import notes
from speechllm.compare.plots import draw_plots
from speechllm.compare.results import ArmResults, read_results
from speechllm.compare.tables import (
    control_table,
    main_table,
    pair_table,
    type_table,
)
from speechllm.compare.verdict import verdicts
from speechllm.files.whole import whole_file
from speechllm.report.canvas import can_plot
from speechllm.report.markdown import code, fenced, text
from speechllm.report.results import bullets, environment_lines
from speechllm.score.normalize.normalize import normalizer as find_normalizer
from speechllm.version import __version__

log = logging.getLogger(__name__)

SEGMENTS = {
    True: "matched pairs with segments that two or more words right in all runs part",
    False: "matched pairs of utterances",
}
MATCHED: dict[Match, str] = {
    "steps": "{:g} optimiser steps",
    "epochs": "{:g} passes over what each uses of the target",
    "text": "as many items of the target as {:g} times its utterances",
    "time": "{:g} seconds of training",
}


def write_comparison(
    grid: Grid,
    cells: Sequence[Cell],
    exp: Path,
    data: Path,
    out: Path,
    normalizer: str = "plain",
) -> None:
    """Write the report to `out`, a Markdown file, and its figures into a folder of that name.

    Without matplotlib a note stands where the figures would.

    Args:
        grid: the grid.
        cells: all its cells, finished or not.
        exp: the recipe's exp folder; folders of models are named from there.
        data: root of the data dirs, with the test sets.
        out: file to write, e.g. RESULTS.compare.md.
        normalizer: normaliser of references and hypotheses.

    Raises:
        DataError: a test set or hypotheses are missing or malformed.
        ConfigError: unknown normaliser.
    """
    results = read_results(cells, data, normalizer)
    remarks = list(notes(results, cells, exp, grid.baseline))
    main = main_table(results, grid.baseline)
    controls, pairs = control_table(results), pair_table(results, grid.pairs)
    types = {target: type_table(results, target) for target in results.targets}
    task = results.task
    name = next((cell.folder.parent.name for cell in cells if cell.label != BASE), out.stem)
    parts = [
        f"# Comparison {text(name)}",
        f"Made by `speechllm compare` {__version__} on {date.today().isoformat()}; do not edit.",
        "## What was found",
        bullets(line for verdict in verdicts(results) for line in verdict.lines),
        "## Arms",
        main.markdown(),
        legend(task),
    ]
    if controls.rows:
        parts += ["## Controls", controls.markdown(), control_legend(task)]
    if pairs.rows:
        parts += ["## One beside another", pairs.markdown(), pair_legend(task)]
    parts += ["## Figures", _figures(results, out)]
    for target, table in types.items():
        if table.rows:
            parts += [f"## {task.by_type} (%) by type: {text(target)}", table.markdown()]
    if remarks:
        parts += ["## Notes", bullets(map(text, remarks))]
    parts += ["## How this was made", bullets(_method(grid, cells, results, normalizer))]
    parts += ["The grid:", fenced(_yaml(grid), "yaml")]
    runs = {cell.folder: cell.run for cell in cells if cell.run}
    parts += ["Environment:", bullets(map(text, environment_lines(list(runs.values()))))]
    with whole_file(out) as stream:
        stream.write("\n\n".join(filter(None, parts)) + "\n")


def _figures(results: ArmResults, out: Path) -> str:
    if not can_plot():
        remark = "No figures: matplotlib is not installed (pip install 'speechllm[report]')."
        log.warning("%s", remark)
        return remark
    folder = out.with_suffix("")
    plots = draw_plots(results, folder)
    return "\n\n".join(
        f"![{text(plot.name)}]({quote(f'{folder.name}/{plot.name}')}.png)\n\n"
        f"{text(plot.caption)} ([SVG]({quote(f'{folder.name}/{plot.name}')}.svg))"
        for plot in plots
    )


def _method(
    grid: Grid, cells: Sequence[Cell], results: ArmResults, normalizer: str
) -> Iterator[str]:
    planned = [cell for cell in cells if cell.match]
    finished = sum(cell.is_finished for cell in planned)
    yield text(f"targets: {', '.join(dict.fromkeys(cell.target for cell in cells))}")
    yield f"seeds: {', '.join(map(str, grid.seeds))}; the base model was trained once"
    yield f"cells: {finished} of {len(planned)} finished"
    yield f"matched: {MATCHED[grid.match].format(grid.budget)} for every arm, over all its phases"
    for arm, how in dict.fromkeys((cell.arm, (cell.match, cell.budget)) for cell in planned):
        match, budget = how
        if match and budget is not None and how != (grid.match, grid.budget):
            yield f"but {code(arm)}: {MATCHED[match].format(budget)}"
    for arm, decoding in grid.decodings.items():
        changes = code(" ".join(decoding.words))
        yield f"{code(arm)}: the models of {code(decoding.of)}, decoded with {changes}"
    yield f"baseline of the tests: {code(grid.baseline)}"
    for target in results.targets:
        if full := results.full_audio(target):
            yield f"end of the audio gap of {text(target)}: {code(full.arm)}"
    yield "weights: those that each config's monitor kept (kept step), which sees dev sets only"
    found = find_normalizer(normalizer)
    yield text(f"normaliser {found}, on both sides: {'; '.join(r.says for r in found.rules)}")
    yield (
        "intervals: 95 %, percentiles of 10000 resamples of seeds (one less than there are) and "
        "utterances (Bisani and Ney 2004; Owen 2007; Rao and Wu 1988), seed 0"
    )
    yield (
        "tests: paired bootstrap, resampled in the same way but 200 times for each test of the "
        f"table where that is more; {SEGMENTS[results.task.is_aligned]} (Gillick and Cox 1989); "
        "Holm 1979 in each table"
    )


def _yaml(grid: Grid) -> str:
    return yaml.safe_dump(
        grid.model_dump(mode="json", exclude_unset=True), sort_keys=False, default_flow_style=None
    )
