"""write a data dir as a manifest, a table or a dataset"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each format, with the options that it takes."""
    from speechllm.commands.options.formats import add_format_options
    from speechllm.data.exchange import formats

    actions = parser.add_subparsers(dest="format", required=True, metavar="format")
    for name in formats.names():
        form = formats.get(name)
        action = actions.add_parser(name, help=form.SUMMARY, description=form.__doc__)
        kind = "folder" if form.FOLDER else "file"
        action.add_argument("data", type=Path, help="data dir to read")
        action.add_argument("target", type=Path, help=f"{kind} to write; it appears whole")
        action.add_argument(
            "--relative_paths",
            action="store_true",
            help="audio paths start at the result's folder, so that both can be moved together",
        )
        action.add_argument(
            "--audio_dir",
            type=Path,
            help="first write each utterance's samples to a file here: for formats that hold "
            "neither parts of recordings nor shell commands",
        )
        action.add_argument(
            "--allow_pipes",
            action="store_true",
            help="take shell commands in wav.scp, and run them where their audio is needed",
        )
        add_format_options(action, form.write)


def run(args: argparse.Namespace) -> None:
    """Export the data dir, and print the number of utterances."""
    from speechllm.commands.options.formats import format_options
    from speechllm.data.exchange import formats
    from speechllm.data.exchange.exporting import export_set

    form = formats.get(args.format)
    count = export_set(
        args.data,
        form,
        args.target,
        relative_paths=args.relative_paths,
        audio_dir=args.audio_dir,
        allow_pipes=args.allow_pipes,
        options=format_options(args, form.write),
    )
    print(f"{args.target}: {count} utterances")
