"""Writer of the report's folder: whole or not at all, and never over something else."""

import logging
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from speechllm.experiment import target_set
from speechllm.files.whole import whole_file, whole_folder, write_json
from speechllm.report.canvas import can_plot
from speechllm.report.html.audio import Request
from speechllm.report.html.pages import render
from speechllm.report.html.plots import PagePlot, draw_plots
from speechllm.report.html.scripts import write_script
from speechllm.report.html.set_data import SetData, read_set
from speechllm.report.html.systems import TestSet, find_test_sets
from speechllm.report.results import ReportResults
from speechllm.report.table import ABSENT, number
from speechllm.score.normalize.normalize import normalizer as find_normalizer
from speechllm.version import __version__

log = logging.getLogger(__name__)

MARKER = "report.json"  # marks a folder that a newer report may replace
FIGURES = ("svg", "png")
# Scripts of a set's page in the order that they need; dom, store and the data are loaded before.
SCRIPTS = (
    *("alignment", "state", "filters", "player", "row", "list", "controls"),
    *("systems", "confusions", "entities", "groups", "panels", "keys", "print", "main"),
)


def can_write_html() -> bool:
    """Whether jinja2 is installed; without matplotlib a report has no plots."""
    return find_spec("jinja2") is not None


@dataclass
class Written:
    """Summary of a written report.

    Attributes:
        index: the page to open.
        data_bytes: size of texts and alignments.
        clips, clip_bytes: number and size of the audio files written into the report.
        without_audio: reason -> number of utterances, over all sets.
        remarks: remarks shown on the pages, each with the set's name.
    """

    index: Path
    data_bytes: int = 0
    clips: int = 0
    clip_bytes: int = 0
    without_audio: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)


def write_html(
    out: Path,
    results: ReportResults,
    exp: Path,
    title: str,
    normalizer: str,
    tag: str | None,
    data: Path | None,
    request: Request,
    grids: Sequence[Path] = (),
) -> Written:
    """Write a report as web pages.

    Args:
        out: folder to write; an older report there is replaced.
        results: content of RESULTS.md.
        exp: the recipe's exp folder.
        title: heading of the overview.
        normalizer: normaliser of the alignments: its name, or a file of rules.
        tag: tag of the decoding that is plotted, which is that of the main table.
        data: folder with the data dirs; None shows text alone.
        request: settings for the audio.
        grids: files of comparisons (RESULTS.<grid>.md), whose figures are copied.

    Raises:
        DataError: `out` holds something that is no report, or a table is malformed.
    """
    families = results.families
    normalize = find_normalizer(normalizer)
    test_sets = find_test_sets(exp, families, tag)
    written = Written(out / "index.html")
    with whole_folder(out, lambda folder: (folder / MARKER).is_file()) as folder:
        static = folder / "static"
        static.mkdir()
        for file in files("speechllm.report.html").joinpath("static").iterdir():
            (static / file.name).write_bytes(file.read_bytes())
        cards = []
        for test_set in test_sets:
            content = read_set(test_set, data, normalize, request, folder)
            _write_set(folder, test_set, content, title, written)
            cards.append(_card(test_set, content))
        plots: list[list[PagePlot]] = [
            draw_plots(family, family.main_tag(tag), normalize.name, i, folder)
            if can_plot()
            else []
            for i, family in enumerate(families, 1)
        ]
        pages = {test_set.name: f"{test_set.slug}.html" for test_set in test_sets}
        page = render(
            "index.html.j2",
            title=title,
            version=__version__,
            today=date.today().isoformat(),
            comparisons=list(zip(results.comparisons, plots, strict=True)),
            page_of=lambda name: _page_of(name, pages),
            cards=cards,
            results=results,
            grids=[_copy_figures(grid, folder, i) for i, grid in enumerate(grids, 1)],
            can_plot=can_plot(),
        )
        _write_page(folder / "index.html", page)
        write_json(
            folder / MARKER,
            {
                "made_by": f"speechllm report {__version__}",
                "data_bytes": written.data_bytes,
            },
        )
    return written


def _page_of(name: str, pages: Mapping[str, str]) -> str | None:
    """Page of a name in a table: a set, a target, or `<decode tag>/<set>`; None without one."""
    found = (pages.get(each) for each in (name, target_set(name), name.partition("/")[2]))
    return next(filter(None, found), None)


def _write_set(
    folder: Path, test_set: TestSet, content: SetData, title: str, written: Written
) -> None:
    place = folder / "data" / test_set.slug
    for number_, columns in enumerate(content.systems):
        written.data_bytes += write_script(
            place / f"system-{number_}.js", "speechllm.addSystem", [number_, columns]
        )
    # After the systems, whose remarks it has.
    written.data_bytes += write_script(place / "set.js", "speechllm.addSet", [content.shared])
    page = render(
        "set.html.j2", title=title, name=test_set.name, slug=test_set.slug, scripts=SCRIPTS
    )
    _write_page(folder / f"{test_set.slug}.html", page)
    written.clips += content.audio.clips
    written.clip_bytes += content.audio.bytes
    written.without_audio += content.audio.reasons
    written.remarks += (f"{test_set.name}: {remark}" for remark in content.remarks)


def _write_page(path: Path, html: str) -> None:
    with whole_file(path) as stream:
        stream.write(html)


def _card(test_set: TestSet, content: SetData) -> dict[str, Any]:
    """Entry of a set in the overview."""
    seconds = content.shared["seconds"]
    scored = [
        (system["figures"][0]["percent"], system["label"], system["figures"][0]["name"])
        for system in content.shared["systems"]
        if system["figures"] and "percent" in system["figures"][0]
    ]
    lowest = min(scored, default=None)
    return {
        "name": test_set.name,
        "page": f"{test_set.slug}.html",
        "utterances": len(content.shared["ids"]),
        "minutes": number(sum(seconds) / 60) if seconds else ABSENT,
        "systems": len(test_set.systems),
        "best": f"{lowest[1]}: {lowest[2]} {lowest[0]:.2f}" if lowest else "not scored",
        "remarks": len(content.remarks),
    }


def _copy_figures(grid: Path, folder: Path, number_: int) -> dict[str, Any]:
    """Copy the figures of a comparison from `RESULTS.<grid>/`, each in one format."""
    figures = []
    source = grid.with_suffix("")
    for name in sorted({file.stem for file in source.glob("*") if file.suffix[1:] in FIGURES}):
        file = next(f for s in FIGURES if (f := source / f"{name}.{s}").is_file())
        copy = folder / "plots" / f"grid-{number_}-{len(figures) + 1}{file.suffix}"
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, copy)
        figures.append({"file": f"plots/{copy.name}", "name": re.sub("_", " ", name)})
    return {"name": grid.name, "figures": figures}
