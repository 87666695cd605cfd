"""Sets that passed the check: their sizes, the mark that says so, and what two sets share."""

import hashlib
import json
import logging
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechllm.data.dirs.bias_lists import BIAS_WORDS, BIASING
from speechllm.data.dirs.kaldi import TABLES, DataDir
from speechllm.errors import DataError
from speechllm.files.guarded import guarded
from speechllm.files.made_from import digest
from speechllm.files.own import read_mapping
from speechllm.files.whole import write_json

log = logging.getLogger(__name__)
MARK = ".checked"


@dataclass(frozen=True)
class SetSummary:
    """Size of a set; `seconds` is 0 for a text-only set."""

    utterances: int
    seconds: float
    speakers: int
    words: int
    distinct_words: int


def summarise(data: DataDir, allow_pipes: bool = False) -> SetSummary:
    """Count utterances, seconds, speakers and words; durations are measured if not on file.

    Raises:
        AudioError: durations are not on file and the audio cannot be read.
    """
    from speechllm.data.speech.audio import audio_duration  # late: sets of text do without

    words, distinct = 0, set[str]()
    for transcript in data.text.values():
        said = transcript.split()
        words += len(said)
        distinct.update(said)
    seconds = data.utt2dur.values() or (audio_duration(a, allow_pipes) for a in data.audio.values())
    return SetSummary(
        len(data.ids),
        round(sum(seconds), 2),
        len(set(data.utt2spk.values())),
        words,
        len(distinct),
    )


def fingerprint(path: Path, options: dict[str, Any], answers: Collection[str] = ()) -> str:
    """Hash of a set's tables, of the options of the check, and of sizes and times of its audio.

    Audio files are not read: that would take as long as the check itself.

    Args:
        path: the data dir.
        options: options of the check.
        answers: names of the tables of answers, where they are other ones than `text`.
    """
    tables = {}
    for name in (*TABLES, BIASING, BIAS_WORDS, *sorted({*answers} - {*TABLES})):
        if (path / name).is_file():
            tables[name] = digest(path / name)
    state = json.dumps([tables, options, _audio_stats(path / "wav.scp")], sort_keys=True)
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _audio_stats(wav_scp: Path) -> list[list[int] | None]:
    """Size and time of every audio file that is named, in order; None where there is none."""
    lines = wav_scp.read_bytes().splitlines() if wav_scp.is_file() else []
    stats: list[list[int] | None] = []
    for source in (os.fsdecode(line.partition(b" ")[2].strip()) for line in lines):
        try:
            stat = os.stat(source)
            stats.append([stat.st_size, stat.st_mtime_ns])
        except (OSError, ValueError):  # a command, or something that the check complains about
            stats.append(None)
    return stats


def write_mark(
    path: Path,
    options: dict[str, Any],
    summary: SetSummary,
    warnings: int,
    answers: Collection[str] = (),
) -> None:
    """Mark a set as checked, with its size and the number of warnings.

    Args:
        path: the data dir.
        options: options of the check.
        summary: size of the set.
        warnings: number of warnings.
        answers: as for `fingerprint`.
    """
    mark = {
        "fingerprint": fingerprint(path, options, answers),
        "options": options,
        "warnings": warnings,
    }
    write_json(path / MARK, {**mark, "summary": asdict(summary)})


def read_mark(
    path: Path, options: dict[str, Any], answers: Collection[str] = ()
) -> tuple[SetSummary, int] | None:
    """Read the mark of a set: its size and the number of warnings.

    Args:
        path: the data dir.
        options: options of the check.
        answers: as for `fingerprint`.

    Returns:
        None if the set was not checked with these options, or has changed since.
    """
    if not (path / MARK).is_file():
        return None
    try:
        mark = read_mapping(path / MARK)
        if mark["fingerprint"] == fingerprint(path, options, answers):
            with guarded(path / MARK, "is damaged"):
                return SetSummary(**mark["summary"]), int(mark["warnings"])
    except DataError:
        log.warning("%s is damaged: checking again", path / MARK)
    return None


def shared_transcripts(train: DataDir, test: DataDir) -> list[str]:
    """Utterances of `test` whose transcript also occurs in `train` (case is ignored).

    Empty transcripts are not compared: they are recordings whose words are not known.
    """
    known = {" ".join(text.casefold().split()) for text in train.text.values()} - {""}
    return [utt for utt in test.ids if " ".join(test.text[utt].casefold().split()) in known]
