"""Data dirs of CMU AN4: `cen*` utterances are the source domain, `an*` the target domain."""

import argparse
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from speechllm.corpora.recipe_parser import RecipeParser
from speechllm.data.dirs.kaldi import Audio, write_data_dir, write_table
from speechllm.data.speech.audio import audio_duration
from speechllm.errors import DataError

log = logging.getLogger("prepare")

DOMAINS = {"cen": "source", "an": "alphanumeric"}
DEV = 100  # the first training utterances; AN4 has no dev set of its own
EXTENSIONS = (".sph", ".flac", ".wav")
VARIANTS = {"A": 2, "ONE": 2}
"""Where the dictionary's first pronunciation is not what people say here: the letter, `W AH N`."""

TRANSCRIPT = re.compile(r"(?:<s> )?(?P<words>\S.*?)(?: </s>)? \((?P<name>\S+)\)")
UTTERANCE = re.compile(r"(?P<domain>an|cen)\d+-(?P<speaker>\w+)-b")
ENTRY = re.compile(r"(?P<word>[^\s(]+)(?:\((?P<variant>\d+)\))?\s+(?P<phones>\S.*)")


class Utterance(NamedTuple):
    """One line of AN4's lists."""

    domain: str
    speaker: str
    name: str
    words: str
    audio: Path

    @property
    def utt_id(self) -> str:
        """Id that sorts by speaker, as Kaldi wants it."""
        return f"{self.speaker}-{self.name}"


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


def read_list(root: Path, part: str) -> list[Utterance]:
    """Read the utterances of `train` or `test`, in AN4's order."""
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
        utterances.append(
            Utterance(
                DOMAINS[utterance["domain"]],
                utterance["speaker"],
                Path(file).name,
                transcript["words"],
                found[0],
            )
        )
    return utterances


def write_set(
    folder: Path, utterances: list[Utterance], dictionary: Mapping[str, str], lower_case: bool
) -> None:
    """Write a data dir and its `phones`."""
    unknown = sorted({w for u in utterances for w in u.words.split()} - dictionary.keys())
    if unknown:
        raise DataError(
            f"words of {folder.name} without pronunciation: {' '.join(unknown)}", "etc/an4.dic"
        )
    write_data_dir(
        folder,
        text={u.utt_id: u.words.lower() if lower_case else u.words for u in utterances},
        wav={u.utt_id: str(u.audio) for u in utterances},
        utt2spk={u.utt_id: u.speaker for u in utterances},
        utt2dur={u.utt_id: audio_duration(Audio(str(u.audio))) for u in utterances},
    )
    phones = {u.utt_id: " ".join(map(dictionary.__getitem__, u.words.split())) for u in utterances}
    write_table(folder / "phones", phones)
    log.info("%s: %d utterances", folder.name, len(utterances))


def main(args: argparse.Namespace) -> None:
    dictionary = read_dictionary(args.an4_root / "etc/an4.dic")
    train = read_list(args.an4_root, "train")
    parts = {"train": train[DEV:], "dev": train[:DEV], "test": read_list(args.an4_root, "test")}
    for domain in DOMAINS.values():
        for part, utterances in parts.items():
            chosen = [u for u in utterances if u.domain == domain]
            write_set(args.data / f"{domain}_{part}", chosen, dictionary, args.lower_case)


if __name__ == "__main__":
    parser = RecipeParser(__doc__, "an4_root", "data")
    parser.add_argument("--lower_case", action="store_true", help="as an LLM knows words best")
    parser.run(main)
