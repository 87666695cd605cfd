"""make a data dir of a manifest, a table or a dataset"""

# `import` is a keyword, so no statement can import this module. The command line imports it by its
# name, like all commands.

import argparse
from pathlib import Path

from speechllm.errors import bounded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each format, with the options that it takes."""
    from speechllm.commands.options.formats import add_format_options
    from speechllm.data.exchange import formats

    actions = parser.add_subparsers(dest="format", required=True, metavar="format")
    for name in formats.names():
        form = formats.get(name)
        action = actions.add_parser(name, help=form.SUMMARY, description=form.__doc__)
        kind = "folder" if form.FOLDER else "file"
        action.add_argument("source", type=Path, help=f"{kind} to read")
        action.add_argument("data", type=Path, help="data dir to write; it appears whole")
        action.add_argument(
            "--audio_root",
            type=Path,
            help="where relative audio paths start (default: the source's folder)",
        )
        action.add_argument(
            "--number_ids",
            metavar="PREFIX",
            help="name utterances PREFIX0000001 and so on, instead of what the source says",
        )
        action.add_argument("--text_only", action="store_true", help="leave out all audio")
        action.add_argument(
            "--allow_pipes", action="store_true", help="take shell commands into wav.scp"
        )
        add_format_options(action, form.read)


def run(args: argparse.Namespace) -> None:
    """Import the data, and print the size of the set."""
    from speechllm.commands.options.formats import format_options
    from speechllm.data.exchange import formats
    from speechllm.data.exchange.importing import import_set

    form = formats.get(args.format)
    root = args.source if args.source.is_dir() else args.source.parent
    tables = import_set(
        form.read(args.source, **format_options(args, form.read)),
        args.data,
        audio_root=args.audio_root or root,
        number_ids=args.number_ids,
        text_only=args.text_only,
        allow_pipes=args.allow_pipes,
    )
    print(bounded(f"{args.data}: {len(tables.ids)} utterances: {' '.join(tables.names)}"))
