"""Fast check of text-only sets without a fault: about as fast as reading them.

Faults that `check_data_dir` looks for in each utterance are looked for in thousands at once. A set
with anything odd in it, or with more than text and speakers, is left to that function.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from speechllm.config import SPEECH_MARKER
from speechllm.data.check.summary import SetSummary
from speechllm.data.dirs.bias_lists import BIAS_WORDS, BIASING
from speechllm.data.dirs.characters import unseen
from speechllm.data.dirs.tables import TABLES
from speechllm.data.dirs.tidy import Untidy, tidy_blocks
from speechllm.task import Task

SPEAKERS = ("utt2spk", "spk2utt")


def flawless(
    path: Path,
    transcript_limit: Callable[[str], str | None] = lambda text: None,
    task: Task | None = None,
    others: Sequence[Task] = (),
) -> SetSummary | None:
    """Check a text-only set; return its size if there is nothing to complain about.

    Args:
        path: the data dir.
        transcript_limit: says why a transcript cannot be used, or returns None.
        task: the task that the set is used for, if that is known.
        others: other tasks that it might be meant for.

    Returns:
        The set's size, as `summarise` gives it, if `check_data_dir` would find nothing. None for
        any other set, and for some unusual ones without a fault.
    """
    answers = {other.table for other in ([task] if task else others)}
    further = {*TABLES, *answers, BIASING, BIAS_WORDS} - {"text", *SPEAKERS}
    if (task and task.table != "text") or any((path / name).exists() for name in further):
        return None
    with suppress(Untidy):
        ids, words, distinct_words = _read_text(path / "text", transcript_limit)
        speakers = _read_speakers(path, ids)
        return SetSummary(len(ids), 0, speakers, words, distinct_words)
    return None


def _read_text(path: Path, limit: Callable[[str], str | None]) -> tuple[list[str], int, int]:
    """Ids, words and distinct words of a flawless `text`."""
    ids: list[str] = []
    words: set[str] = set()
    total = 0
    for keys, values, text in tidy_blocks(path):
        # Line ends are no fault here. A blank in their place is no base for a joiner.
        odd = SPEECH_MARKER in text or unseen(text.replace("\n", " "))
        if odd or not all(values) or not unicodedata.is_normalized("NFC", text):
            raise Untidy(path)
        if any(map(limit, values)):
            raise Untidy(path)
        for value in values:
            found = value.split()
            total += len(found)
            words.update(found)
        ids += keys
    if not ids:
        raise Untidy(path)
    return ids, total, len(words)


def _read_speakers(path: Path, ids: list[str]) -> int:
    """Number of speakers of these utterances; 0 if there is no `utt2spk`."""
    utt2spk, spk2utt = (path / name for name in SPEAKERS)
    if not utt2spk.exists():
        if spk2utt.exists():
            raise Untidy(spk2utt)
        return 0
    utts_of = defaultdict[str, list[str]](list)
    place = 0
    for keys, values, _ in tidy_blocks(utt2spk):
        utts = ids[place : place + len(keys)]
        if utts != keys:
            raise Untidy(utt2spk)
        for utt, speaker in zip(utts, values, strict=True):
            utts_of[speaker].append(utt)
        place += len(keys)
    if place != len(ids) or any(len(speaker.split()) != 1 for speaker in utts_of):
        raise Untidy(utt2spk)
    if spk2utt.exists():
        _compare(spk2utt, utts_of)
    return len(utts_of)


def _compare(spk2utt: Path, utts_of: Mapping[str, list[str]]) -> None:
    """Raise Untidy unless the table agrees with `utts_of`, the utterances by speaker."""
    speakers = 0
    for keys, values, _ in tidy_blocks(spk2utt):
        for speaker, value in zip(keys, values, strict=True):
            if speaker not in utts_of or utts_of[speaker] != sorted(value.split()):
                raise Untidy(spk2utt)
        speakers += len(keys)
    if speakers != len(utts_of):
        raise Untidy(spk2utt)
