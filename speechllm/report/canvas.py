"""Style of all figures, and how they are written to disk.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart. The same results give
the same bytes. Only drawing needs matplotlib.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechllm.files.whole import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "svg.hashsalt": "speechllm",
    "text.parse_math": False,  # a name may hold dollars
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "errorbar.capsize": 2,
}


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


@contextmanager
def new_figure(width: float, height: float, file: Path) -> Iterator["Figure"]:
    """Yield a figure; write it as PNG and SVG when the block ends.

    Args:
        width: width in inches.
        height: height in inches.
        file: path without suffix; `.png` and `.svg` are appended.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            with whole_file(file.with_name(f"{file.name}.{suffix}"), "wb") as stream:
                figure.savefig(stream, format=suffix, dpi=150, metadata=metadata)


def draw_legend(figure: "Figure", panels: Sequence["Axes"], columns: int) -> None:
    """Draw one legend below all panels, with each label once.

    Args:
        figure: figure that holds the panels.
        panels: axes whose labels are collected.
        columns: number of columns of the legend.
    """
    handles: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
