"""LibriSpeech (Panayotov et al., ICASSP 2015) as OpenSLR 12 unpacks it.

<root>/<split>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt    lines: id, transcript
<root>/<split>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from speechllm.corpora.reading.download import fetch, unpack
from speechllm.corpora.reading.lines import read_lines
from speechllm.corpora.reading.utterances import Utterance
from speechllm.data.dirs.kaldi import Audio, first_ids
from speechllm.errors import DataError, did_you_mean

URL = "https://www.openslr.org/resources/12"
MD5 = {
    "dev-clean": "42e2234ba48799c1f50f24a7926300a1",
    "dev-other": "c8d0bcc9cca99d4f8b62fcc847357931",
    "test-clean": "32fa31d27d2e1cad72775fee3f4849a9",
    "test-other": "fb5a50374b501bb3bac4815ee91d3135",
    "train-clean-100": "2a93770f6d5c6c964bc36631d331a522",
    "train-clean-360": "c0e676e450a7ff2f54aeade5171606fa",
    "train-other-500": "d1a0fd59409feb2c614ce4d30c387708",
}
"""MD5 of the archives <split>.tar.gz, from OpenSLR's md5sum.txt."""
MINI = ("train-clean-5", "dev-clean-2")
"""Splits of Mini LibriSpeech (OpenSLR 31), which is laid out alike."""
ROOT_REMEDY = "--librispeech_root is the folder that has train-clean-100/ and the like in it"
HELD_OUT = "_dev"
DEV_SPEAKERS = 3


def is_set(name: str) -> bool:
    """Say whether a data dir's name (`dev_clean`) is that of a split (`dev-clean`)."""
    return name.replace("_", "-") in (*MD5, *MINI)


def split_of(name: str) -> str:
    """Return the split that a data dir's name stands for.

    Raises:
        DataError: there is no such split.
    """
    if not is_set(name):
        near = did_you_mean(name, [split.replace("-", "_") for split in (*MD5, *MINI)])
        raise DataError(f"LibriSpeech has no set {name}{near}")
    return name.replace("_", "-")


def cut_from(name: str) -> str:
    """Return the data dir that `<set>_dev` takes its speakers from; any other name unchanged."""
    whole = name.removesuffix(HELD_OUT)
    return whole if is_set(whole) else name


def read_sets(root: Path, names: Collection[str]) -> Iterator[tuple[str, list[Utterance]]]:
    """Read data dirs by name: those of splits, and `<split>_dev`.

    `train_clean_5_dev` is the first three speakers of `train_clean_5`, sorted by name; where both
    are asked for, `train_clean_5` is without these.

    Raises:
        DataError: as `split_of` and `read_split`, or a split with too few speakers for both.
    """
    for name in names:
        split, dev = split_of(cut_from(name)), cut_from(name) + HELD_OUT
        utterances = read_split(root, split)
        if dev in names:
            speakers = sorted({u.speaker for u in utterances})
            if len(speakers) <= DEV_SPEAKERS:
                message = f"{len(speakers)} speakers, and {dev} takes {DEV_SPEAKERS} of them"
                raise DataError(message, root / split)
            held_out = set(speakers[:DEV_SPEAKERS])
            utterances = [u for u in utterances if (u.speaker in held_out) == (name == dev)]
        yield name, utterances


def download(root: Path, split: str) -> None:
    """Fetch a split from OpenSLR, unless it is there; the archive is removed in the end.

    Raises:
        DataError: it cannot be fetched or unpacked (a further try resumes), or is one of `MINI`.
    """
    if (root / split).is_dir():
        return
    if split in MINI:
        remedy = f"unpack it from https://www.openslr.org/31 into {root}"
        raise DataError(f"{split} is not fetched by this recipe", remedy=remedy)
    archive = root / f"{split}.tar.gz"
    fetch(f"{URL}/{archive.name}", archive, MD5[split])
    unpack(archive, f"LibriSpeech/{split}", root / split)
    archive.unlink()


def read_split(root: Path, split: str) -> list[Utterance]:
    """Read one split.

    Raises:
        DataError: there is no such split or nothing in it, a line that is not of its chapter, an
            empty transcript, a transcript without audio, or audio without a transcript.
    """
    folder = root / split
    if not folder.is_dir():
        raise _missing(root, split)
    utterances = []
    for chapter in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        utterances += _read_chapter(chapter)
    if not utterances:
        raise DataError("no <speaker>/<chapter>/ in this folder", folder, remedy=ROOT_REMEDY)
    return utterances


def _missing(root: Path, split: str) -> DataError:
    there = [name for name in (*MD5, *MINI) if (root / name).is_dir()]
    if not there:
        message = f"LibriSpeech's {split} is not here, nor any other split"
        return DataError(message, root, remedy=ROOT_REMEDY)
    number = 31 if split in MINI else 12
    remedy = f"unpack it from https://www.openslr.org/{number} into {root}"
    message = f"LibriSpeech's {split} is not here, only {', '.join(there)}"
    return DataError(message, root, remedy=remedy)


def _read_chapter(folder: Path) -> list[Utterance]:
    speaker = folder.parent.name
    name = f"{speaker}-{folder.name}"
    transcripts = folder / f"{name}.trans.txt"
    again = "unpack the archive again"
    utterances = []
    audio = {path.stem: path for path in folder.glob("*.flac")}
    for number, line in read_lines(transcripts, again):
        utt, _, text = line.partition(" ")
        if not utt.startswith(f"{name}-"):
            raise DataError(f"not an utterance of {name}: {utt}", transcripts, number)
        if not text.strip():
            raise DataError(f"{utt} has no transcript", transcripts, number)
        if utt not in audio:
            raise DataError(f"there is no {folder / utt}.flac", transcripts, number, again)
        entry = Audio(str(audio.pop(utt)))
        utterances.append(Utterance(utt, text.strip(), entry, speaker))
    if audio:
        message = f"no line for {first_ids(sorted(audio))}"
        raise DataError(message, transcripts, remedy=again)
    return utterances
