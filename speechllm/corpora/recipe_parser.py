"""Command line of a recipe's script that makes data (egs/*/local/*.py)."""

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.errors import SpeechLLMError


class RecipeParser(argparse.ArgumentParser):
    """Parser of a script's options, which also runs the script.

    Args:
        description: what the script makes.
        paths: names of options, all of them required, that are paths.
    """

    def __init__(self, description: str | None, *paths: str):
        super().__init__(description=description)
        for name in paths:
            self.add_argument(f"--{name}", type=Path, required=True)

    def add_set_options(self) -> None:
        """Add the options of a script that writes sets by name."""
        self.add_argument("--data", type=Path, required=True, help="folder of the sets")
        self.add_argument("--sets", nargs="+", required=True, help="names of data dirs")
        self.add_argument("--limit", type=int, default=0, help="at most so many utterances of each")
        self.add_argument("--lower_case", action="store_true", help="write in small letters")

    def run(self, main: Callable[[argparse.Namespace], None]) -> None:
        """Run `main` with the options given.

        Raises:
            SystemExit: there was an error that a user can mend; it holds the message.
        """
        args = self.parse_args()
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        try:
            main(args)
        except SpeechLLMError as error:
            raise SystemExit(f"local/data.sh: error: {error}") from None

    def prepare(self, read_set: Callable[[str, argparse.Namespace], Sequence[Utterance]]) -> None:
        """Write the sets that are asked for, with what `read_set(name, options)` reads of each."""

        def main(args: argparse.Namespace) -> None:
            for name in args.sets:
                write_set(args.data / name, read_set(name, args), args.limit, args.lower_case)

        self.add_set_options()
        self.run(main)
