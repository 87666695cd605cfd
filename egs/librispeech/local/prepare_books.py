"""Data dirs of sentences of books: `books_train`, text that an LLM reads beside little speech, and
`books_said`, other and shorter sentences, said by espeak-ng's clear voices.
"""

import argparse
import random
import re
import sys
from pathlib import Path

from speechllm.corpora.reading.spoken import spoken_form
from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import DataDir, write_data_dir
from speechllm.errors import DataError
from speechllm.files.utf8 import read_text

sys.path.append(str(Path(__file__).parents[2] / "mini/local"))
from make_speech import make as make_speech
from voices import speakers_of

END = re.compile(r"[.!?;:]+[\"'\N{RIGHT DOUBLE QUOTATION MARK}]*\s|--|\n\s*\n")
WORDS = range(6, 31)  # of a sentence
WORDS_SAID = range(6, 13)  # of one that is said: three to five seconds
READ, SAID = "books_train", "books_said"


def sentences(path: Path) -> list[str]:
    """The sentences of one book without digits, in the form of LibriSpeech's transcripts."""
    text = read_text(path, DataError).replace("_", "")
    found = [spoken_form(part) for part in END.split(text) if not re.search(r"\d", part)]
    return [sentence for sentence in found if len(sentence.split()) in WORDS]


def say(data: Path, lines: list[str], nj: int) -> None:
    """Write the data dir of sentences and their speech, unless they are there."""
    people = [speaker.name for speaker in speakers_of("train", clear=True)]
    said = {
        f"{people[n % len(people)]}-book-{n:05d}": (people[n % len(people)], line)
        for n, line in enumerate(lines)
    }
    text = {utt: line for utt, (_, line) in said.items()}
    folder = data / SAID
    if not (folder / "text").is_file() or DataDir.load(folder).text != dict(sorted(text.items())):
        write_data_dir(folder, text=text, utt2spk={utt: who for utt, (who, _) in said.items()})
    make_speech(data, nj, [SAID])


def main(args: argparse.Namespace) -> None:
    paths = sorted(args.books.glob("*.txt"))
    if not paths:
        raise DataError("there is no *.txt in this folder", args.books)
    found = sorted({sentence for path in paths for sentence in sentences(path)})
    random.Random(0).shuffle(found)
    half = min(args.sentences, len(found) // 2)  # others are said
    if unknown := sorted({*args.sets} - {READ, SAID}):
        raise DataError(f"a set is {READ} or {SAID}, not {unknown[0]}")
    if READ in args.sets:
        utterances = [Utterance(f"book-{n:05d}", line) for n, line in enumerate(found[:half])]
        write_set(args.data / READ, utterances, args.limit, args.lower_case)
    if SAID in args.sets:
        short = [line for line in found[half:] if len(line.split()) in WORDS_SAID]
        said = short[: min(args.said, args.limit or args.said)]
        if not said:
            message = f"{len(found)} sentences, of which none is left to be said"
            raise DataError(message, args.books, remedy="give more books")
        say(args.data, [s.lower() for s in said] if args.lower_case else said, args.nj)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "books")
    parser.add_argument("--sentences", type=int, default=6000, help=f"of {READ}, drawn from all")
    parser.add_argument("--said", type=int, default=9000, help=f"sentences of {SAID}")
    parser.add_argument("--nj", type=int, default=2, help="processes that synthesise")
    parser.add_set_options()
    parser.run(main)
