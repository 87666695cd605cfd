"""write RESULTS.md from what an exp folder holds, and print its main table"""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechllm.report.comparison import Comparison

log = logging.getLogger(__name__)

# What a terminal that is too narrow for the whole table does without; the file has it all.
FIRST_TO_GO = ("trained M", "steps", "S / D / I", "RTF", "audio h", "gain %", "source WER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to read, where to write, and what to say above the figures."""
    parser.add_argument("--exp", type=Path, required=True, help="folder with the models")
    parser.add_argument("--out", type=Path, required=True, help="file to write, e.g. RESULTS.md")
    parser.add_argument("--title", default="Results", help="heading (default: %(default)s)")
    parser.add_argument(
        "--normalizer",
        default="plain",
        help="normaliser of the main table (default: %(default)s); the details show all",
    )
    parser.add_argument("--command", help="the command that made the results, to be quoted")


def run(args: argparse.Namespace) -> None:
    """Write the report and print the main table."""
    from speechllm.files import whole_file
    from speechllm.report.results import make_results
    from speechllm.score.normalize import normalizer

    found = args.out.parent.glob(f"{args.out.stem}.*{args.out.suffix}")
    results = make_results(
        args.exp,
        args.title,
        normalizer(args.normalizer).name,
        args.command,
        sorted(path.name for path in found),
    )
    with whole_file(args.out) as stream:
        stream.write(results.markdown)
    for comparison in results.comparisons:
        _print(comparison)
    for note in results.notes:
        log.warning("%s", note)
    log.info("wrote %s", args.out)


def _print(comparison: "Comparison") -> None:
    """Print a comparison: drawn on a terminal, as Markdown into a file."""
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
