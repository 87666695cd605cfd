"""Data dirs of CMU AN4: `cen*` utterances are the source domain, `an*` the target domain."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from speechllm.corpora.reading.utterances import Utterance, write_set
from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import Audio, write_table
from speechllm.errors import DataError

DOMAINS = {"cen": "source", "an": "alphanumeric"}
DEV = 100  # the first training utterances; AN4 has no dev set of its own
EXTENSIONS = (".sph", ".flac", ".wav")
VARIANTS = {"A": 2, "ONE": 2}
"""Where the dictionary's first pronunciation is not what people say here: the letter, `W AH N`."""

TRANSCRIPT = re.compile(r"(?:<s> )?(?P<words>\S.*?)(?: </s>)? \((?P<name>\S+)\)")
UTTERANCE = re.compile(r"(?P<domain>an|cen)\d+-(?P<speaker>\w+)-b")
ENTRY = re.compile(r"(?P<word>[^\s(]+)(?:\((?P<variant>\d+)\))?\s+(?P<phones>\S.*)")


def lines_of(path: Path) -> list[str]:
    """Read the lines of one of AN4's lists, some of which end in blanks."""
    if not path.is_file():
        remedy = "give the folder of AN4 that has etc/ and wav/ in it with --an4_root"
        raise DataError("no such file", path, remedy=remedy)
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]


def read_dictionary(path: Path) -> dict[str, str]:
    """Read word -> phones, one pronunciation for each word."""
    variants: dict[str, dict[int, str]] = {}
    for number, line in enumerate(lines_of(path), 1):
        entry = ENTRY.fullmatch(line)
        if not entry:
            raise DataError(f"not a word and its phones: {line!r}", path, number)
        phones = " ".join(entry["phones"].split())
        variants.setdefault(entry["word"], {})[int(entry["variant"] or 1)] = phones
    return {word: found.get(VARIANTS.get(word, 1), found[1]) for word, found in variants.items()}


def read_list(root: Path, part: str) -> list[tuple[str, Utterance]]:
    """Read the utterances of `train` or `test`, in AN4's order, each with its domain."""
    fileids, transcription = (
        root / f"etc/an4_{part}.{name}" for name in ("fileids", "transcription")
    )
    spoken = lines_of(transcription)
    files = lines_of(fileids)
    if len(files) != len(spoken):
        raise DataError(f"{len(spoken)} transcripts for {len(files)} files", transcription)
    utterances = []
    for number, (file, line) in enumerate(zip(files, spoken, strict=True), 1):
        transcript, utterance = TRANSCRIPT.fullmatch(line), UTTERANCE.fullmatch(Path(file).name)
        if not utterance:
            raise DataError(f"neither an an* nor a cen* utterance: {file}", fileids, number)
        if not transcript or transcript["name"] != Path(file).name:
            raise DataError(f"not the transcript of {file}: {line!r}", transcription, number)
        base = root / "wav" / file
        found = [path for end in EXTENSIONS if (path := Path(f"{base}{end}")).is_file()]
        if not found:
            raise DataError(f"there is no {base} with {', '.join(EXTENSIONS)}", fileids, number)
        speaker = utterance["speaker"]
        name = f"{speaker}-{Path(file).name}"  # which sorts by speaker, as Kaldi wants it
        entry = Utterance(name, transcript["words"], Audio(str(found[0])), speaker)
        utterances.append((DOMAINS[utterance["domain"]], entry))
    return utterances


def phones_of(
    utterances: list[Utterance], dictionary: Mapping[str, str], name: str
) -> dict[str, str]:
    """Phones by utterance id of the set with this name."""
    unknown = sorted({w for u in utterances for w in u.text.split()} - dictionary.keys())
    if unknown:
        raise DataError(
            f"words of {name} without pronunciation: {' '.join(unknown)}", "etc/an4.dic"
        )
    return {u.id: " ".join(map(dictionary.__getitem__, u.text.split())) for u in utterances}


def main(args: argparse.Namespace) -> None:
    dictionary = read_dictionary(args.an4_root / "etc/an4.dic")
    train = read_list(args.an4_root, "train")
    parts = {"train": train[DEV:], "dev": train[:DEV], "test": read_list(args.an4_root, "test")}
    for domain in DOMAINS.values():
        for part, utterances in parts.items():
            folder = args.data / f"{domain}_{part}"
            chosen = [utterance for of, utterance in utterances if of == domain]
            phones = phones_of(chosen, dictionary, folder.name)
            write_set(folder, chosen, lower_case=args.lower_case)
            write_table(folder / "phones", phones)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "an4_root", "data")
    parser.add_argument("--lower_case", action="store_true", help="as an LLM knows words best")
    parser.run(main)
