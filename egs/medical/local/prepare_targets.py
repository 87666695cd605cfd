"""Data dirs of PriMock57, of MTS-Dialog, and of tables of audio and transcript."""

import argparse
import re

from speechllm.corpora import mts_dialog, pairs, primock57
from speechllm.corpora.reading.spoken import spoken_form
from speechllm.corpora.reading.utterances import Utterance
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.errors import DataError

PARTS = ("train", "dev", "test")
MTS_DIALOG = {"mts_train": "TrainingSet", "mts_val": "ValidationSet"}


def parse_days(text: str) -> dict[str, list[int]]:
    """Parse `1,2,3/4/5`, days of train, dev and test; no day may be in two of them."""
    found = [part.split(",") for part in text.split("/")]
    listed = [day for part in found for day in part]
    if len(found) != len(PARTS) or len(set(listed)) < len(listed):
        raise DataError(f"--days is like 1,2,3/4/5, each day once, not '{text}'")
    if wrong := [day for day in listed if not re.fullmatch("[1-5]", day)]:
        raise DataError(f"--days: days are 1 to 5, not '{wrong[0]}'")
    return {part: [int(day) for day in days] for part, days in zip(PARTS, found, strict=True)}


def read_set(name: str, args: argparse.Namespace) -> list[Utterance]:
    """Read what the name of a data dir, <corpus>_<part>, stands for."""
    corpus, _, part = name.rpartition("_")
    if part not in PARTS:
        raise DataError(f"a set is <target>_{{train,dev,test}}, not {name}")
    with_audio = not (args.text_only and part == "train")
    if corpus == "pairs":
        text, audio, utt, speaker = args.columns
        columns = pairs.PairColumns(text, audio if with_audio else "", utt, speaker)
        return pairs.read_pairs(pairs.find_table(args.pairs_root, part), columns, spoken_form)
    if corpus == "mts_dialog" and part == "train":
        files = {k: args.mts_dialog_root / f"MTS-Dialog-{v}.csv" for k, v in MTS_DIALOG.items()}
        return [u for prefix, file in files.items() for u in mts_dialog.read_turns(file, prefix)]
    return primock57.read_days(  # also what mts_dialog, which has no speech, is tested on
        args.primock57_root, parse_days(args.days)[part], with_audio, args.keep_unintelligible
    )


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "primock57_root", "mts_dialog_root", "pairs_root")
    parser.add_argument("--days", required=True, help="of PriMock57: train/dev/test")
    parser.add_argument("--keep_unintelligible", action="store_true")
    parser.add_argument("--columns", nargs=4, metavar=("TEXT", "AUDIO", "ID", "SPEAKER"))
    parser.add_argument("--text_only", action="store_true", help="no audio for <target>_train")
    parser.prepare(read_set)
