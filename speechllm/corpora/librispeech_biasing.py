"""Bias lists of LibriSpeech's test sets as fbai-speech publishes them (Le et al., 2104.02194).

`is21_deep_bias/ref/<split>.biasing_<size>.tsv`: id, lower-case reference, JSON list of the
reference's rare words, JSON list of these and of <size> distractors. Rare words are those that are
not among the 5,000 commonest of the training text.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from speechllm.corpora.reading.lines import read_lines
from speechllm.data.dirs.bias_lists import parse_biasing, write_biasing
from speechllm.data.dirs.kaldi import DataDir, first_ids
from speechllm.errors import DataError
from speechllm.files.strict_json import load_json

log = logging.getLogger(__name__)


def biasing_file(folder: Path, split: str, size: int) -> Path:
    """Path of the lists of a split.

    Args:
        folder: `is21_deep_bias/ref`.
        split: such as `test-clean`.
        size: number of distractors in a list.
    """
    return folder / f"{split}.biasing_{size}.tsv"


def read_biasing(path: Path, transcripts: Mapping[str, str]) -> dict[str, list[str]]:
    """Read the bias lists of a file, for utterances that have a transcript.

    Entries are put into the case of the transcripts, in which a model writes.

    Raises:
        DataError: a malformed line, a repeated id, a reference that is not the transcript, or a
            rare word that is not on the list.
    """
    lists: dict[str, list[str]] = {}
    upper = any(text.isupper() for text in transcripts.values())
    for number, line in read_lines(path, "fetch is21_deep_bias of fbai-speech again"):
        fields = line.split("\t")
        if len(fields) != 4:
            raise DataError(f"{len(fields)} fields, not 4", path, number)
        utt, reference, rare, listed = fields
        if utt in lists:
            raise DataError(f"{utt} stands twice", path, number)
        try:
            entries, said = parse_biasing(listed), load_json(rare)
        except ValueError as error:
            raise DataError(f"{utt}: {error}", path, number) from error
        if not isinstance(said, list):
            raise DataError(f"{utt}: rare words are no JSON list", path, number)
        if missing := [word for word in said if word not in entries]:
            raise DataError(f"{utt}: rare, but not on the list: {missing[0]}", path, number)
        if utt not in transcripts:
            continue
        if reference.casefold() != transcripts[utt].casefold():
            message = f"{utt}: the reference is not the transcript: {reference}"
            raise DataError(message, path, number, "take the lists of this split")
        lists[utt] = [entry.upper() if upper else entry for entry in entries]
    return lists


def add_biasing(data: Path, path: Path) -> None:
    """Write `biasing` into a data dir; log which utterances have no list in the file.

    Raises:
        DataError: as `read_biasing`; or no utterance has a list.
    """
    text = DataDir.load(data).text
    lists = read_biasing(path, text)
    if not lists:
        raise DataError(f"no list of an utterance of {data}", path)
    if lacking := sorted(text.keys() - lists.keys()):
        log.warning("%s: no list in %s: %s", data, path, first_ids(lacking))
    write_biasing(data, lists)
    log.info("%s: bias lists of %d utterances", data.name, len(lists))
