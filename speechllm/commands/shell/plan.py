"""print the commands of a recipe's stages, or the files that they make; run.sh asks for them"""

import argparse
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from speechllm.errors import SpeechLLMError, did_you_mean

if TYPE_CHECKING:
    from speechllm.recipe.options import Recipe
    from speechllm.recipe.stages import Stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm plan`: what to print, and the options of a run.sh."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--outputs", action="store_true", help="print files, not commands")
    what.add_argument("--list", action="store_true", help="print all stages, and what is done")
    what.add_argument(
        "--prepare",
        action="store_true",
        help="before a run: what the stages read must be there, and commands that are jobs go to "
        "a file; print the command that runs it",
    )
    what.add_argument(
        "--nearest",
        nargs="+",
        metavar="NAME",
        help="print which of the further names is nearest to the first",
    )
    parser.add_argument("--stage", help="this stage alone, not those of the options of run.sh")
    parser.add_argument("--jobs_cmd", default="speechllm run", help="command that runs jobs")
    parser.add_argument("--recipe", help="name of the recipe's folder")
    parser.add_argument("settings", nargs="*", metavar="name=value", help="options of run.sh")
    parser.add_argument(
        "--called",
        nargs=argparse.REMAINDER,
        default=["./run.sh"],
        metavar="WORD",
        help="run.sh, and its options as they were given; these come last",
    )


def run(args: argparse.Namespace) -> None:
    """Print a plan; what is wrong with a recipe is said in the name of its script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # bytes of a word come out as they are
    if args.nearest:
        print(did_you_mean(args.nearest[0], args.nearest[1:]))
        return
    try:
        for line in _lines(args):
            print(line)
    except SpeechLLMError as error:
        sys.exit(f"{Path(args.called[0]).name}: error: {error}")


def _lines(args: argparse.Namespace) -> Iterator[str]:
    from speechllm.recipe.options import read_recipe
    from speechllm.recipe.stages import STAGES, stages_of

    settings = [*args.settings]
    if args.stage:
        settings += [f"stage={args.stage}", f"stop_stage={args.stage}"]
    recipe = read_recipe(settings, args.called, args.jobs_cmd, args.recipe or Path.cwd().name)
    if recipe.remark and not args.prepare:
        print(recipe.remark, file=sys.stderr)
    if recipe.compare:
        recipe = _with_grid(recipe)
    for stage in STAGES if args.list else stages_of(recipe):
        if args.list:
            yield f"{stage.label:<2} {stage.name:<9} {stage.about:<68} {stage.state(recipe)}"
        elif args.outputs:
            yield from stage.outputs(recipe)
        else:
            yield from _commands(stage, recipe, args.prepare)


def _commands(stage: "Stage", recipe: "Recipe", prepare: bool) -> Iterator[str]:
    """Shell text of a stage: its commands, and what there is to say as comments."""
    from speechllm.files.whole import whole_file
    from speechllm.recipe.stages import check_input
    from speechllm.recipe.words import quoted

    if prepare:
        check_input(stage, recipe)
    yield f"# {stage.header}"
    yield from (f"# {note}" for note in stage.notes(recipe))
    words = stage.commands(recipe)
    if stage.as_job and recipe.on_cluster:
        words = [stage.job(recipe, command) for command in words]
    commands = [quoted(command) for command in words]
    if not commands:
        yield "# nothing to do"
    elif prepare and stage.as_jobs:
        text = "".join(f"{command}\n" for command in commands)
        with whole_file(stage.task_file(recipe), "wb") as stream:
            stream.write(text.encode(errors="surrogateescape"))
        yield quoted(stage.runner(recipe))
    else:
        yield from commands


def _with_grid(recipe: "Recipe") -> "Recipe":
    """Recipe with the models and decodings of its grid."""
    from speechllm.compare.plan import load_grid, plan
    from speechllm.compare.redecode import redecode_jobs
    from speechllm.experiment import PlannedDecoding, PlannedModel, grid_folder

    config, base, search = map(Path, (recipe.compare, recipe.base, recipe.decode_config))
    grid = load_grid(config, recipe.compare_opts)
    cells = plan(grid, grid_folder(base, config), recipe.targets, recipe.adapt_opts)
    jobs = redecode_jobs(grid, cells, base, recipe.targets, search)
    models = [PlannedModel(str(c.folder), str(c.config), c.target, c.overrides) for c in cells]
    decodings = [
        PlannedDecoding(
            model=str(job.model),
            sets=recipe.test_sets(*job.targets),
            config=recipe.decode_config,
            arm=job.arm,
            changes=job.changes,
        )
        for job in jobs
    ]
    return replace(recipe, cells=tuple(models), redecoded=tuple(decodings))
