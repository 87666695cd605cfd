"""Data dirs of SLURP, Speech-MASSIVE, MASSIVE and LibriSpeech, each named after what it holds."""

import argparse
import re
from pathlib import Path

from speechllm.corpora import librispeech, massive, slurp
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import read_table
from speechllm.errors import DataError

SLURP = {"slurp_train": "train", "slurp_dev": "devel", "slurp_test": "test"}
LANGUAGE = re.compile(r"(?P<language>[a-z]{2}-[A-Z]{2})_(?P<part>train|text|dev|test)")


def dictated(utterance: Utterance) -> Utterance:
    """Read speech as dictation: what it means is all of its words."""
    words = utterance.text.lower()
    entities = [{"type": "words", "filler": words}]
    meaning = {"scenario": "dictation", "action": "write", "entities": entities}
    return utterance._replace(text=words, semantics=meaning)


def read_language(args: argparse.Namespace, language: str, part: str) -> list[Utterance]:
    """One part of a language: its speech, or (text) those training sentences that are not in it."""
    if part == "text":
        spoken = args.data / f"{language}_train" / "text"
        known = read_table(spoken) if spoken.is_file() else {}
        found = massive.read_text(args.massive_text, language, "train")
        return [utterance for utterance in found if utterance.id not in known]
    split = {"train": args.massive_speech, "dev": "validation", "test": "test"}[part]
    audio = args.data / "audio" / f"{language}_{part}"
    return massive.read_split(args.massive_roots, language, split, audio)


def read(args: argparse.Namespace, name: str) -> list[Utterance]:
    """The utterances of a set."""
    if name in SLURP:
        microphones = args.microphones if name == "slurp_train" else "all"
        return slurp.read_split(args.slurp_root, SLURP[name], microphones)
    if match := LANGUAGE.fullmatch(name):
        return read_language(args, match["language"], match["part"])
    if not librispeech.is_set(name):
        raise DataError(
            f"there is no set {name}: a set is slurp_{{train,dev,test}}, a language's, such as "
            "fr-FR_{train,text,dev,test}, or a split of LibriSpeech, such as train_clean_100"
        )
    return [
        dictated(utterance)
        for utterance in librispeech.read_split(args.librispeech_root, librispeech.split_of(name))
    ]


def main(args: argparse.Namespace) -> None:
    for name in sorted(args.sets, key=lambda name: name.endswith("_text")):  # after the speech
        write_set(args.data / name, read(args, name), args.limit)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "slurp_root", "librispeech_root", "massive_text")
    parser.add_argument("--microphones", choices=("all", "headset"), default="all")
    parser.add_argument("--massive_roots", type=Path, nargs="+", required=True)
    parser.add_argument("--massive_speech", choices=("train", "train_115"), required=True)
    parser.add_set_options()
    parser.run(main)
