"""copy a recipe: speechllm cp egs/TEMPLATE egs/legal; what its runs made stays there"""

import argparse
from pathlib import Path

RECIPE = ("README.md", "cmd.sh", "path.sh", "run*.sh", "conf", "local")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm cp`."""
    parser.add_argument("recipe", type=Path, help="folder of the recipe to copy")
    parser.add_argument("copy", type=Path, help="folder of the new one, in an egs/ of its own name")


def run(args: argparse.Namespace) -> None:
    """Copy the recipe's own files, and say how to go on.

    Raises:
        DataError: no recipe to copy, or no place for a copy.
        ConfigError: a name that no recipe can have.
    """
    import re
    import shutil

    from speechllm.errors import ConfigError, DataError
    from speechllm.files.whole import whole_folder

    files = [path for name in RECIPE for path in sorted(args.recipe.glob(name))]
    if not (args.recipe / "run.sh").is_file():
        raise DataError("is no recipe: it has no run.sh", args.recipe, remedy="name egs/TEMPLATE")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", args.copy.name):
        raise ConfigError(
            f"'{args.copy.name}' cannot name a recipe",
            "take letters, digits, _ and -, a letter or digit first",
        )
    if args.copy.exists():
        raise DataError("is there already", args.copy, remedy="choose another name")
    if not (args.copy.resolve().parent.parent / "utils/recipe.sh").is_file():
        raise DataError(
            "cannot hold a recipe: there is no ../../utils/recipe.sh from here",
            args.copy,
            remedy=f"put it beside the others: {args.recipe.resolve().parent / args.copy.name}",
        )
    with whole_folder(args.copy, lambda _: False) as folder:
        for path in files:
            if path.is_dir():
                skipped = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=skipped)
            else:
                shutil.copy(path, folder / path.name)
    print(
        f"{args.copy} is made. Next: name your data in {args.copy}/local, your domains in "
        f"{args.copy}/run.sh, your models in {args.copy}/conf; then {args.copy}/run.sh --list"
    )
