"""Learning curves of runs, from train.jsonl, and a figure of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.compare.grid import Cell
from speechllm.config import MonitorConfig
from speechllm.files.guarded import guarded
from speechllm.files.layout import LOG
from speechllm.files.own import made_again, read_objects
from speechllm.report.canvas import COLOURS, draw_legend, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAID = {"linestyle": "none", "color": "black", "markersize": 6}
ACTIONS = {
    "best": {**SAID, "marker": "o", "markersize": 2.5},
    "lower_lr": {**SAID, "marker": "v", "markersize": 10, "markerfacecolor": "white"},
    "rollback": {**SAID, "marker": "X"},
    "stop": {**SAID, "marker": "s", "markerfacecolor": "white"},
    "change of the mixture": {**SAID, "marker": "|", "markersize": 9},
    "kept": {**SAID, "marker": "*", "markersize": 11, "markerfacecolor": "white"},
}
DOMAINS = {"target": {"color": COLOURS[0]}, "source": {"color": COLOURS[1], "linestyle": "--"}}
COLUMNS = 4  # panels in a row


@dataclass
class Curve:
    """Evaluations of the monitor in a run, and its actions.

    Attributes:
        steps: finished optimiser steps at each evaluation; phases follow each other.
        loss: dev loss of speech by domain, nats per token, at each of `steps`.
        actions: (index into `steps`, action).
        kept: index of the evaluation whose weights were kept; None if it is not in the log.
        watched: domain that the monitor watched to decide.
    """

    steps: list[int] = field(default_factory=list)
    loss: dict[str, list[float]] = field(default_factory=dict)
    actions: list[tuple[int, str]] = field(default_factory=list)
    kept: int | None = None
    watched: str = MonitorConfig().watch


def read_curve(cell: Cell) -> Curve:
    """Read the evaluations of a finished cell; the curve is empty if there is no log."""
    curve = Curve()
    monitor = cell.run.get("config", {}).get("monitor") or {}
    curve.watched = monitor.get("watch", curve.watched)
    before = start = 0
    for phase in cell.run.get("phases") or [{"name": "", "steps": 0}]:
        log = cell.folder / phase["name"] / LOG
        start = before
        with guarded(log, "is damaged", remedy=made_again(cell.folder)):
            records = read_objects(log, made_again(cell.folder)) if log.is_file() else []
            _follow(curve, start, records)
        before += phase["steps"]
    kept = start + cell.run.get("kept_step", -1)
    if kept in curve.steps:
        # Two phases meet at one step: the later one's evaluation is the one that counts.
        curve.kept = len(curve.steps) - 1 - curve.steps[::-1].index(kept)
    return curve


def _follow(curve: Curve, start: int, records: Sequence[Mapping[str, Any]]) -> None:
    """Add the evaluations of a phase that begins at step `start`."""
    for record in records:
        if "dev" not in record:
            continue
        curve.actions += [(len(curve.steps), action) for action in record["actions"]]
        curve.steps.append(start + record["step"])
        for domain in DOMAINS:  # other dev sets, such as text alone, are left out
            if domain in record["dev"]:
                curve.loss.setdefault(domain, []).append(record["dev"][domain]["loss"])


def draw_curves(curves: Mapping[str, Sequence[Curve]], file: Path) -> None:
    """Draw a small panel for each arm; all panels share their axes."""
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    with new_figure(max(5.0, 2.7 * columns), 2.0 * rows + 1.0, file) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for i, (axes, (arm, runs)) in enumerate(zip(grid, curves.items(), strict=False)):
            axes.set_title(arm, fontsize=8)
            for curve in runs:
                _draw_curve(axes, curve)
            if i >= len(curves) - columns:  # nothing stands below it
                axes.set_xlabel("optimiser steps")
                axes.tick_params(labelbottom=True)
        for axes in grid[len(curves) :]:
            axes.set_visible(False)
        _log_scale(grid[0])
        figure.supylabel("dev loss (nats per token)", fontsize=9)
        draw_legend(figure, grid[: len(curves)], columns=max(3, columns * 2))


def _log_scale(axes: "Axes") -> None:
    """Make the y axis logarithmic, so that a collapse does not flatten the rest; plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_curve(axes: "Axes", curve: Curve) -> None:
    for domain, loss in curve.loss.items():
        axes.plot(curve.steps, loss, linewidth=0.9, label=f"{domain} dev", **DOMAINS[domain])
    marks = sorted((a if a in ACTIONS else "change of the mixture", i) for i, a in curve.actions)
    if curve.kept is not None:
        marks.append(("kept", curve.kept))
    for action, group in groupby(marks, key=lambda mark: mark[0]):
        at = [i for _, i in group]
        loss = curve.loss[curve.watched]
        axes.plot(
            [curve.steps[i] for i in at], [loss[i] for i in at], label=action, **ACTIONS[action]
        )
