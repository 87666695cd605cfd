"""write RESULTS.md, and web pages, from an exp folder, and print the main table"""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from speechllm.commands.options.numbers import whole
from speechllm.errors import DataError

if TYPE_CHECKING:
    from speechllm.report.comparison import Comparison
    from speechllm.report.results import ReportResults

log = logging.getLogger(__name__)

# Columns that are left out first on a narrow terminal; the file has all.
FIRST_TO_GO = ("trained M", "steps", "S / D / I", "RTF", "audio h", "gain %", "source WER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm report`."""
    parser.add_argument("--exp", type=Path, required=True, help="folder with the models")
    parser.add_argument("--out", type=Path, required=True, help="file to write, e.g. RESULTS.md")
    parser.add_argument("--title", default="Results", help="heading (default: %(default)s)")
    parser.add_argument(
        "--normalizer",
        default="plain",
        help="normaliser of the main table (default: %(default)s); the details show all",
    )
    parser.add_argument(
        "--tag",
        help="decode_<tag> of the main table (default: decode, or the only one); others get a "
        "table of their own",
    )
    parser.add_argument(
        "--source_sets",
        nargs="*",
        default=(),
        metavar="SET",
        help="sets that show what adaptation forgets; the first is that of the main table "
        "(default: source_test, or what adapted models were decoded on beside their target's)",
    )
    parser.add_argument("--command", help="the command that made the results, to be quoted")
    html = parser.add_argument_group("web pages that open from disk (docs/report.md)")
    html.add_argument("--html", type=Path, help="folder to write them to, e.g. exp/report")
    html.add_argument("--data", type=Path, help="folder with the data dirs: audio, speakers ...")
    html.add_argument(
        "--audio",
        choices=("link", "copy", "none"),
        default="link",
        help="link what a browser can play and cut the rest into clips, copy all, or none "
        "(default: %(default)s)",
    )
    html.add_argument(
        "--audio_mb",
        type=whole(0, 1_000_000),
        default=500,
        help="most megabytes that clips may take (default: %(default)s)",
    )
    html.add_argument(
        "--allow_pipes", action="store_true", help="run the shell commands of wav.scp"
    )


def run(args: argparse.Namespace) -> None:
    """Write the report and print the main table.

    Raises:
        DataError: `--data` is no folder.
    """
    from speechllm.files.whole import whole_file
    from speechllm.report.results import make_results
    from speechllm.score.normalize.normalize import normalizer

    if args.data and not args.data.is_dir():
        raise DataError("no such folder", args.data, remedy="name the folder of the data dirs")
    found = sorted(args.out.parent.glob(f"{args.out.stem}.*{args.out.suffix}"))
    results = make_results(
        args.exp,
        args.title,
        normalizer(args.normalizer).name,
        args.command,
        [path.name for path in found],
        args.tag,
        args.source_sets,
    )
    with whole_file(args.out) as stream:
        stream.write(results.markdown)
    for comparison in results.comparisons:
        _print(comparison)
    for note in results.notes:
        log.warning("%s", note)
    log.info("wrote %s", args.out)
    if args.html:
        _write_html(args, results, found)


def _write_html(args: argparse.Namespace, results: "ReportResults", grids: list[Path]) -> None:
    """Write the web pages; log warnings, sizes and which file to open."""
    from speechllm.report.canvas import can_plot
    from speechllm.report.html.audio import Budget, Request
    from speechllm.report.html.write import can_write_html, write_html

    if not can_write_html():
        log.warning('no web pages: jinja2 is not installed (pip install "speechllm[report]")')
        return
    budget = Budget(args.audio_mb << 20)
    written = write_html(
        args.html,
        results,
        args.exp,
        args.title,
        args.normalizer,
        args.tag,
        args.data,
        Request(args.audio, args.html, args.allow_pipes, budget),
        grids,
    )
    for remark in written.remarks:
        log.warning("%s", remark)
    for reason, utterances in written.without_audio.items():
        log.warning("no audio for %d utterances: %s", utterances, reason)
    if not can_plot():
        log.warning('no plots: matplotlib is not installed (pip install "speechllm[report]")')
    log.info(
        "web pages: %.1f MB of text, %d audio clips of %.1f MB",
        written.data_bytes / 1e6,
        written.clips,
        written.clip_bytes / 1e6,
    )
    log.info("open %s", written.index)


def _print(comparison: "Comparison") -> None:
    """Print a comparison: a drawn table on a terminal, Markdown otherwise."""
    if not sys.stdout.isatty():
        print("", comparison.title, "", comparison.table.markdown(), "", sep="\n")
        print(*comparison.verdicts, sep="\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = comparison.table
    for column in FIRST_TO_GO:
        if table.width > console.width:
            table = table.without(column)
    drawn = Table(title=Text(comparison.title))
    for i, column in enumerate(table.header):
        justify = "left" if i < table.names else "right"
        drawn.add_column(Text(column), justify=justify, overflow="fold")
    target = None
    for row in table.rows:
        if target not in (None, row[0]):
            drawn.add_section()
        target = row[0]
        drawn.add_row(*map(Text, row))
    console.print(drawn)
    for verdict in comparison.verdicts:
        console.print(Text(verdict))
