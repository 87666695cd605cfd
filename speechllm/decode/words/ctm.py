"""Word times in NIST's ctm format: `recording channel start duration word [confidence]`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.dirs.tables import first_ids
from speechllm.decode.record import LINES, RecordedWord, read_records
from speechllm.errors import DataError, shell_word

SHORTEST = 0.01  # seconds; sclite takes no word of length 0


def read_words(folder: Path) -> dict[str, Sequence[RecordedWord]]:
    """Words of every utterance of a decode folder, with their times, by id.

    Raises:
        DataError: nothing was decoded there, or without word times.
    """
    records = read_records(folder)
    if not records:
        raise DataError("no hypotheses in this folder", folder, remedy="run stage 6 (decode)")
    if lacking := [u for u, r in records.items() if r.text and not _timed(r.words or ())]:
        message = f"no word times: {first_ids(sorted(lacking))}"
        remedy = f"rm -r {shell_word(folder)}, and decode with word_times=auto"
        raise DataError(message, folder / LINES, remedy=remedy)
    return {utt: record.words or () for utt, record in sorted(records.items())}


def _timed(words: Sequence[RecordedWord]) -> bool:
    return any(word.start is not None for word in words)


def ctm_lines(
    words: Mapping[str, Sequence[RecordedWord]], audio: Mapping[str, Audio]
) -> tuple[list[str], list[str]]:
    """Lines in sclite's order: by recording, then by time.

    Times count from the beginning of the recording. A word without times gets an even share of the
    gap between its neighbours.

    Args:
        words: by utterance id (`read_words`).
        audio: by utterance id; an utterance that it lacks is a recording of its own.

    Returns:
        The lines, and the utterances that have words with such estimated times.

    >>> ctm_lines({"u1": [RecordedWord("rain", 0.9, 0.1, 0.4)]}, {})
    (['u1 1 0.100 0.300 rain 0.9000'], [])
    """
    rows: list[tuple[str, float, str]] = []
    guessed = []
    for utt, said in words.items():
        place = audio.get(utt, Audio("", recording=utt))
        filled = _filled(said)
        if len(filled) > sum(word.start is not None for word in said):
            guessed.append(utt)
        for (start, end), word in zip(filled, said, strict=True):
            at = (place.start or 0.0) + start
            line = f"{place.recording} 1 {at:.3f} {max(SHORTEST, end - start):.3f} {word.word}"
            if word.confidence is not None:
                line += f" {word.confidence:.4f}"
            rows.append((place.recording, at, line))
    return [line for *_, line in sorted(rows, key=lambda row: row[:2])], guessed


def _filled(words: Sequence[RecordedWord]) -> list[tuple[float, float]]:
    """Start and end of all words, with even shares of the gaps for words without times."""
    filled: list[tuple[float, float]] = []
    place = 0
    while place < len(words):
        word = words[place]
        if word.start is not None:
            filled.append((word.start, word.start if word.end is None else word.end))
            place += 1
            continue
        stop = place
        while stop < len(words) and words[stop].start is None:
            stop += 1
        begin = filled[-1][1] if filled else 0.0
        following = words[stop].start if stop < len(words) else None
        end = begin if following is None else max(begin, following)
        share = (end - begin) / (stop - place)
        filled += [(begin + share * n, begin + share * (n + 1)) for n in range(stop - place)]
        place = stop
    return filled
