"""Utterances, which every reader gives, and the data dir that is made of them."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from speechllm.data.check.validate_audio import THREADS
from speechllm.data.dirs.kaldi import Audio, first_ids, write_data_dir, write_table
from speechllm.data.speech.audio import audio_duration
from speechllm.errors import DataError
from speechllm.files.progress import track
from speechllm.slot.mixture import subset

log = logging.getLogger(__name__)

SEMANTICS = "semantics"
"""Name of the table of utterances' meanings."""


class Utterance(NamedTuple):
    """One utterance of a corpus.

    Attributes:
        id: should begin with the speaker's name, if known: Kaldi wants ids to sort by speaker.
        text: the transcript, as a model should write it.
        audio: None where there is only text.
        speaker: empty where the corpus does not tell.
        semantics: the meaning (docs/data-formats.md); None where the corpus does not tell.
    """

    id: str
    text: str
    audio: Audio | None = None
    speaker: str = ""
    semantics: dict[str, Any] | None = None


def write_set(
    folder: Path, utterances: Sequence[Utterance], limit: int = 0, lower_case: bool = False
) -> None:
    """Write a data dir of utterances that all have audio, or of text alone.

    Args:
        folder: the data dir.
        utterances: utterances in any order.
        limit: if above 0, at most so many of them are taken, always the same ones.
        lower_case: write transcripts in small letters.

    Raises:
        DataError: no utterance, a repeated id, an empty transcript (unless there are audio and
            semantics), audio for some utterances only, or audio that cannot be opened.
    """
    utterances = _some(utterances, limit)
    _check(folder, utterances)
    text = {u.id: u.text.lower() if lower_case else u.text for u in utterances}
    meant = {
        u.id: json.dumps(u.semantics, ensure_ascii=False)
        for u in utterances
        if u.semantics is not None
    }
    if meant:
        write_table(folder / SEMANTICS, meant)
    else:
        (folder / SEMANTICS).unlink(missing_ok=True)
    if utterances[0].audio is None:
        write_data_dir(folder, text=text)
        log.info("%s: %d utterances (text alone)", folder.name, len(text))
        return
    audio = {u.id: u.audio for u in utterances if u.audio is not None}
    cut = any(a.start is not None for a in audio.values())
    seconds = _durations(audio.values(), folder.name)
    write_data_dir(
        folder,
        text=text,
        wav={(a.recording if cut else utt): a.source for utt, a in audio.items()},
        channels={
            (a.recording if cut else utt): a.channel
            for utt, a in audio.items()
            if a.channel is not None
        },
        segments={utt: (a.recording, a.start or 0.0, a.end) for utt, a in audio.items()}
        if cut
        else None,
        utt2spk={u.id: u.speaker or u.id for u in utterances},
        utt2dur=dict(zip(audio, seconds, strict=True)),
    )
    log.info("%s: %d utterances, %.2f h", folder.name, len(text), sum(seconds) / 3600)


def say_left_out(what: str, ids: Sequence[str]) -> None:
    """Log how many utterances a reader left out, and the first of them.

    Args:
        what: reason, or kind of the utterances.
        ids: their ids; if empty, nothing is logged.
    """
    if ids:
        log.warning("left out, %s: %s", what, first_ids(ids))


def _some(utterances: Sequence[Utterance], limit: int) -> list[Utterance]:
    if not 0 < limit < len(utterances):
        return list(utterances)
    kept = set(subset([u.id for u in utterances], limit / len(utterances), seed=0))
    return [u for u in utterances if u.id in kept]


def _check(folder: Path, utterances: Sequence[Utterance]) -> None:
    if not utterances:
        raise DataError("there is no utterance for this set", folder)
    counts = Counter(u.id for u in utterances)
    if twice := [utt for utt, count in counts.items() if count > 1]:
        raise DataError(f"ids that stand twice: {first_ids(twice)}", folder)
    # What a recording means may be known where its words are not.
    wordless = [u for u in utterances if not u.text.strip()]
    if mute := [u.id for u in wordless if u.audio is None or u.semantics is None]:
        raise DataError(f"utterances without a transcript: {first_ids(mute)}", folder)
    silent = [u.id for u in utterances if u.audio is None]
    if 0 < len(silent) < len(utterances):
        raise DataError(f"utterances without audio: {first_ids(silent)}", folder)


def _durations(audio: Iterable[Audio], name: str) -> list[float]:
    """Seconds of each utterance: of a cut, by its times; of a whole file, by its header."""

    def seconds(entry: Audio) -> float:
        if entry.start is not None and entry.end is not None:
            return entry.end - entry.start
        return audio_duration(entry)

    audio = list(audio)
    with ThreadPoolExecutor(THREADS) as pool:
        return list(track(pool.map(seconds, audio), f"durations of {name}", len(audio)))
