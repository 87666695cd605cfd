"""Plots of the overview page, as SVG for a light and a dark theme.

The same results give the same bytes. Only drawing needs matplotlib.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.experiment import target_set
from speechllm.files.whole import whole_file
from speechllm.report.canvas import COLOURS, STYLE, draw_legend
from speechllm.report.comparison import contenders
from speechllm.report.tree import BaseRuns, Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "s^DvPX<>ph"
HUES = COLOURS[:-1]  # black cannot be seen on a dark ground
THEMES = {
    "light": {"ink": "#3a3d42", "faint": "#d9d7d0", "point": COLOURS[0], "base": "#8a8780"},
    "dark": {"ink": "#c9ccd1", "faint": "#3a3e45", "point": COLOURS[5], "base": "#8b919b"},
}


@dataclass(frozen=True)
class PagePlot:
    """Plot on disk, `plots/<name>.<theme>.svg`; the caption describes all that it shows."""

    name: str
    title: str
    caption: str


def draw_plots(
    family: BaseRuns, tag: str, normalizer: str, number: int, folder: Path
) -> list[PagePlot]:
    """Draw the plots that a base and its models allow under one decode config.

    Args:
        family: a base and its models.
        tag: tag of the decoding.
        normalizer: name of the normaliser.
        number: number of the table that the plots stand below; part of their names.
        folder: the report's folder.
    """
    plots = []
    panels = {target: _points(family, target, tag, normalizer) for target in family.targets}
    panels = {target: points for target, points in panels.items() if points}
    if panels:
        plots.append(
            PagePlot(
                f"target-{number}",
                f"Target {family.task.main.title}",
                f"{family.task.main.title} on the target's test set, with 95 % intervals; the "
                "dotted line is the base.",
            )
        )
        _draw(folder, plots[-1], panels, _forest)
    both = {
        target: [p for p in points if p.source is not None] for target, points in panels.items()
    }
    both = {target: points for target, points in both.items() if len(points) > 1}
    if both:
        plots.append(
            PagePlot(
                f"forgetting-{number}",
                "Target against source",
                "Left is better on the target, low is better on the source: below and left of the "
                "dotted lines a model beats the base on both.",
            )
        )
        _draw(folder, plots[-1], both, _scatter)
    return plots


@dataclass(frozen=True)
class _Point:
    model: Model
    error: float
    interval: Sequence[float] | None
    source: float | None


def _points(family: BaseRuns, target: str, tag: str, normalizer: str) -> list[_Point]:
    points = []
    for model in contenders(family, target):
        here = model.error(tag, target_set(target), normalizer)
        if here.get("percent") is not None:
            source = model.error(tag, family.source, normalizer).get("percent")
            points.append(_Point(model, here["percent"], here.get("interval"), source))
    return points


def _draw(folder: Path, plot: PagePlot, panels: dict[str, list[_Point]], draw: Any) -> None:
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    tallest = max(map(len, panels.values()))
    height = 0.75 + 0.28 * tallest if draw is _forest else 2.9
    for theme, colours in THEMES.items():
        file = folder / "plots" / f"{plot.name}.{theme}.svg"
        with _figure(3.9 * columns, height * rows, colours, file) as figure:
            grid = list(figure.subplots(rows, columns, squeeze=False).flat)
            for axes, (target, points) in zip(grid, panels.items(), strict=False):
                axes.set_title(target, loc="left", fontweight="bold", color=colours["ink"])
                draw(axes, points, colours)
            for axes in grid[len(panels) :]:
                axes.set_axis_off()
            if draw is _scatter:
                draw_legend(figure, grid[: len(panels)], columns=2 * columns)


def _forest(axes: "Axes", points: Sequence[_Point], colours: dict[str, str]) -> None:
    for place, point in enumerate(points):
        colour = colours["base"] if point.model.is_base else colours["point"]
        if point.interval:
            axes.plot(point.interval, [place, place], color=colour, linewidth=2.2, alpha=0.55)
        axes.plot([point.error], [place], "o", color=colour, markersize=5.5)
        if point.model.is_base:
            axes.axvline(point.error, color=colours["base"], linestyle=":", linewidth=1)
    axes.set_yticks(range(len(points)), [point.model.name for point in points])
    axes.set_ylim(len(points) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{_error(points)} (%)")


def _scatter(axes: "Axes", points: Sequence[_Point], colours: dict[str, str]) -> None:
    for point in points:
        look = {"label": point.model.name, "linestyle": "", "markersize": 6.5}
        if point.model.is_base:
            line = {"color": colours["base"], "linestyle": ":", "linewidth": 1}
            axes.axvline(point.error, **line)
            axes.axhline(point.source, **line)
            look |= {"color": colours["base"], "marker": "o", "zorder": 3}
        else:
            # By the index of the name: a model looks the same in every panel.
            i = _names(points).index(point.model.name)
            look |= {"color": HUES[i % len(HUES)], "marker": MARKERS[i % len(MARKERS)]}
        axes.plot([point.error], [point.source], alpha=0.9, **look)
    axes.margins(x=0.15, y=0.15)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"target {_error(points)} (%)")
    axes.set_ylabel(f"source {_error(points)} (%)")


def _error(points: Sequence[_Point]) -> str:
    """Title of the error rate that is drawn."""
    return points[0].model.task.main.title


def _names(points: Sequence[_Point]) -> list[str]:
    return sorted(point.model.name for point in points if not point.model.is_base)


@contextmanager
def _figure(width: float, height: float, colours: dict[str, str], file: Path) -> Iterator["Figure"]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    inked = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    faint = ("grid.color", "axes.edgecolor", "xtick.color", "ytick.color")
    theme = {
        **dict.fromkeys(inked, colours["ink"]),
        **dict.fromkeys(faint, colours["faint"]),
        "axes.spines.left": False,
    }
    with rc_context(STYLE | theme):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        with whole_file(file, "wb") as stream:
            figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
