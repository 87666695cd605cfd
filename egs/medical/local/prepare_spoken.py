"""Sets of MTS-Dialog whose test sentences a synthesiser will say: text and speakers.

Training is text alone, turns of the training file; dev, test and natural are turns of the
validation file, and none of their sentences stands in training.
"""

import argparse
import logging
import random
import sys
from pathlib import Path

from speechllm.corpora.mts_dialog import read_turns
from speechllm.corpora.reading.utterances import Utterance
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import DataDir, write_data_dir
from speechllm.errors import DataError

sys.path.append(str(Path(__file__).parents[2] / "mini/local"))
from voices import speakers_of

log = logging.getLogger(__name__)

CORPUS = "mts_spoken"
SIZES = {"train": 1500, "dev": 40, "test": 80, "natural": 60}
WORDS = range(4, 21)  # of a turn: shorter ones are "okay" and "yes", longer ones read like letters


def turns(root: Path, name: str, prefix: str) -> list[Utterance]:
    """Turns of usable length of one of the corpus's files, each sentence once, in random order."""
    found = {u.text: u for u in read_turns(root / f"MTS-Dialog-{name}.csv", prefix)}
    usable = [u for text, u in found.items() if len(text.split()) in WORDS]
    random.Random(0).shuffle(usable)
    return usable


def choose(root: Path, limit: int) -> dict[str, list[Utterance]]:
    """The utterances of each part; `limit` > 0: at most so many of each."""
    sizes = {part: min(size, limit or size) for part, size in SIZES.items()}
    spoken = turns(root, "ValidationSet", "mts_val")
    parts, start = {}, 0
    for part in ("dev", "test", "natural"):
        parts[part] = spoken[start : start + sizes[part]]
        start += sizes[part]
    said = {u.text for u in spoken[:start]}
    unsaid = [u for u in turns(root, "TrainingSet", "mts_train") if u.text not in said]
    parts["train"] = unsaid[: sizes["train"]]
    for part, utterances in parts.items():
        if not utterances:
            raise DataError(f"there are too few turns for {CORPUS}_{part}", root)
    return parts


def write(folder: Path, part: str, utterances: list[Utterance], lower_case: bool) -> None:
    """Write one data dir, unless it is there with these words: then its audio stays."""
    voices = None
    if part != "train":
        people = [speaker.name for speaker in speakers_of(part, clear=True)]
        spoken = [(people[n % len(people)], u) for n, u in enumerate(utterances)]
        utterances = [Utterance(f"{who}-{u.id}", u.text) for who, u in spoken]
        voices = {u.id: who for u, (who, _) in zip(utterances, spoken, strict=True)}
    text = {u.id: u.text.lower() if lower_case else u.text for u in utterances}
    if (folder / "text").is_file() and DataDir.load(folder).text == dict(sorted(text.items())):
        return
    write_data_dir(folder, text=text, utt2spk=voices)
    log.info("%s: %d utterances", folder.name, len(text))


def main(args: argparse.Namespace) -> None:
    parts = choose(args.mts_dialog_root, args.limit)
    for name in args.sets:
        part = name.removeprefix(f"{CORPUS}_")
        if part not in parts:
            raise DataError(f"a set is {CORPUS}_{{{','.join(SIZES)}}}, not {name}")
        write(args.data / name, part, parts[part], args.lower_case)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "mts_dialog_root")
    parser.add_set_options()
    parser.run(main)
