"""compare ways of adapting under one budget, over seeds and domains (docs/compare.md)"""

import argparse
import logging
import shlex
from pathlib import Path

from speechllm.errors import DataError

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions on a grid (list trainings, list decodings, report) and their options."""
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in {
        "plan": "print a line for each cell: model folder, config, target, key=value ...",
        "decodings": "print a line for each model that is decoded otherwise: its folder, targets, "
        "arm, key=value ...",
        "report": "write tables, tests and plots of the cells that are finished",
    }.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--targets", required=True, nargs="+", help="the recipe's domains")
        action.add_argument(
            "--adapt_opts",
            nargs="*",
            default=[],
            metavar="key=value",
            help="change all methods' configs, before what the grid changes",
        )
        action.add_argument("--base", required=True, type=Path, help="folder of the base model")
        action.add_argument("--config", required=True, type=Path, help="yaml of the grid")
        if name == "decodings":
            text = "yaml of the search that is changed"
            action.add_argument("--decode", required=True, type=Path, help=text)
        if name == "report":
            action.add_argument("--data", required=True, type=Path, help="folder of the data dirs")
            action.add_argument("--out", required=True, type=Path, help="file to write")
            action.add_argument("--tag", default="decode", help="of decode_<tag> (%(default)s)")
        action.add_argument("overrides", nargs="*", metavar="key=value", help="change the grid")


def run(args: argparse.Namespace) -> None:
    """List trainings or decodings, or write the report; the config's name is part of cell folders.

    Raises:
        DataError: no cell is finished, so there is nothing to report.
    """
    from speechllm.compare.plan import load_grid, plan
    from speechllm.experiment import grid_folder

    grid = load_grid(args.config, args.overrides)
    cells = plan(grid, grid_folder(args.base, args.config), args.targets, args.adapt_opts)
    if args.action == "plan":
        for cell in cells:
            print(cell.folder, cell.config, cell.target, shlex.join(cell.overrides), sep="\t")
        return

    if args.action == "decodings":
        from speechllm.compare.redecode import redecode_jobs

        for job in redecode_jobs(grid, cells, args.base, args.targets, args.decode):
            print(job.model, " ".join(job.targets), job.arm, shlex.join(job.changes), sep="\t")
        return

    from speechllm.compare.gather import gather
    from speechllm.compare.grid import BASE
    from speechllm.compare.notes import problems
    from speechllm.compare.report import write_comparison

    cells = gather(cells, args.base, args.tag, grid.decodings)
    for folder, _, problem in problems(cells):
        log.warning("%s: %s", folder, problem)
    adapted = [cell for cell in cells if cell.label != BASE]
    finished = sum(cell.is_finished for cell in adapted)
    log.info("%d of %d cells are finished", finished, len(adapted))
    if not finished:
        raise DataError("no cell is finished", args.base, remedy="run the stages from adapt on")
    write_comparison(grid, cells, args.base.parent, args.data, args.out)
