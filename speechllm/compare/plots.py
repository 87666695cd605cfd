"""Figures of a comparison, as PNG and SVG.

Each method has its own colour, marker and line, so that a print in grey can be read too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.compare.curves import draw_curves, read_curve
from speechllm.compare.grid import BASE
from speechllm.compare.results import ArmResults, Result, Runs
from speechllm.report.canvas import COLOURS, draw_legend, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<>ph"
LINES = ("-", "--", "-.", (0, (1, 1)))
BASE_LINE = {"color": "0.35", "linestyle": ":", "linewidth": 1.2}
BARS = "Bars are 95 % intervals over seeds and utterances."
Draw = Callable[["Axes", ArmResults, str], None]


@dataclass(frozen=True)
class ComparisonPlot:
    """Figure on disk, `<name>.png` and `<name>.svg`, and its caption."""

    name: str
    caption: str


def draw_plots(results: ArmResults, folder: Path) -> list[ComparisonPlot]:
    """Draw all figures into `folder`; none if there is nothing to show."""
    if not results:
        return []
    key, error = results.task.main.key, results.task.main.title
    plots = [
        ComparisonPlot(
            f"{key}_by_audio", f"Target {error} by the share of the target's audio. {BARS}"
        ),
        ComparisonPlot(
            "forgetting",
            f"Source against target {error}: an arm below and left of the base's lines is better "
            f"on both. Figures are percent of the target's audio. {BARS}",
        ),
    ]
    for plot, draw in zip(plots, (_error_by_audio, _forgetting), strict=True):
        _draw_targets(results, folder / plot.name, draw)
    for target in results.targets:
        curves = {
            r.arm: found
            for r in results.of(target)
            if not r.is_base
            and not r.is_redecoded
            and (found := [c for c in map(read_curve, r.cells) if c.steps])
        }
        if curves:
            plot = ComparisonPlot(
                f"learning_{target}",
                f"{target}: dev loss while training, a line for each seed; marks are the "
                "monitor's actions, on the domain that it watched.",
            )
            draw_curves(curves, folder / plot.name)
            plots.append(plot)
    return plots


def _draw_targets(results: ArmResults, file: Path, draw: Draw) -> None:
    """Draw a panel for each target, and one legend below."""
    labels = len({r.cells[0].label for r in results})
    panels = len(results.targets)
    width = max(5.5, 4.2 * panels)
    with new_figure(width, 3.8 + 0.2 * (labels // (2 * panels) + 1), file) as figure:
        row = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
        for axes, target in zip(row, results.targets, strict=True):
            draw(axes, results, target)
            axes.set_title(target)
            axes.label_outer()
        row[0].set_ylim(0, 1.05 * row[0].get_ylim()[1])  # all share this axis
        draw_legend(figure, row, columns=max(2, int(width / 1.9)))


def _methods(
    results: ArmResults, target: str
) -> Iterator[tuple[int, dict[str, Any], list[Result]]]:
    """Number, look and arms (by share of audio) of each method; all targets have the same looks."""
    labels = list(dict.fromkeys(r.cells[0].label for r in results if not _is_aside(r)))
    arms = [r for r in results.of(target) if not _is_aside(r) and _has_words(r)]
    for i, label in enumerate(labels):
        own = [r for r in arms if r.cells[0].label == label]
        look = {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": LINES[i % len(LINES)],
            "label": label,
        }
        yield i, look, sorted(own, key=lambda r: audio_share(results, r))


def _is_aside(result: Result) -> bool:
    """Whether a result has no curve: the base is a line, and controls would crowd the figure."""
    return result.is_base or result.is_control


def _has_words(result: Result) -> bool:
    return result.target.error is not None and result.source.error is not None


def audio_share(results: ArmResults, result: Result) -> float:
    """Share of the target's audio that an arm was trained on, by the hours it really saw.

    An arm that draws its part of the audio anew in each epoch can see more than its fraction.
    """
    fraction = result.cells[0].fraction
    full = results.full_audio(result.domain)
    if full is None or not full.audio_hours:
        return fraction or 0.0
    share = result.audio_hours / full.audio_hours * (full.cells[0].fraction or 1.0)
    near = fraction is not None and abs(share - fraction) <= 0.25 * fraction
    return fraction if near else round(share, 2)  # utterances are not equally long


def _error_by_audio(axes: "Axes", results: ArmResults, target: str) -> None:
    shares = sorted({audio_share(results, r) for r in results if not _is_aside(r)})
    methods = list(_methods(results, target))
    for i, look, arms in methods:
        aside = 0.6 * ((i + 0.5) / len(methods) - 0.5)  # so that bars do not hide each other
        x = [shares.index(audio_share(results, r)) + aside for r in arms]
        axes.errorbar(x, [r.target.error for r in arms], yerr=_bars(r.target for r in arms), **look)
    if (base := results.find(target, BASE)) and _has_words(base):
        axes.axhline(base.target.error, label=BASE, **BASE_LINE)
    axes.set_xticks(range(len(shares)), [f"{100 * share:g}" for share in shares])
    axes.set_xlim(-0.5, len(shares) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("target audio trained on (%, not to scale)")
    axes.set_ylabel(f"target {results.task.main.title} (%)")


def _forgetting(axes: "Axes", results: ArmResults, target: str) -> None:
    for _, look, arms in _methods(results, target):
        axes.errorbar(
            [r.target.error for r in arms],
            [r.source.error for r in arms],
            xerr=_bars(r.target for r in arms),
            yerr=_bars(r.source for r in arms),
            **look,
        )
        for arm in arms if len(arms) > 1 else ():
            share = f"{100 * audio_share(results, arm):g}"
            at = (arm.target.error, arm.source.error)
            axes.annotate(share, at, (4, 4), textcoords="offset points", fontsize=7)
    base = results.find(target, BASE)
    if base and _has_words(base):
        axes.axvline(base.target.error, **BASE_LINE)
        axes.axhline(base.source.error, label=BASE, **BASE_LINE)
    axes.set_xlabel(f"target {results.task.main.title} (%)")
    axes.set_ylabel(f"source {results.task.main.title} (%)")


def _bars(runs: Iterator[Runs]) -> list[list[float]] | None:
    """[2, arms] distances to the ends of the intervals; None if a set is too small for them."""
    ends = [(r.error, r.interval) for r in runs]
    if not all(interval for _, interval in ends):
        return None
    # A mean can lie slightly outside of its percentile interval.
    low = [max(0.0, error - interval[0]) for error, interval in ends]
    return [low, [max(0.0, interval[1] - error) for error, interval in ends]]
