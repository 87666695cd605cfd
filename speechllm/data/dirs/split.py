"""Splits of a set: N parts of equal length for jobs, or parts of given shares to train and test."""

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from speechllm.data.dirs.set_tables import SetTables
from speechllm.errors import DataError

Units = dict[str, list[str]]


def split_evenly(tables: SetTables, parts: int, by_utterance: bool = False) -> list[list[str]]:
    """Split a set into parts of about equal length (seconds; words, where durations are unknown).

    The longest units go first, each to the part that is shortest so far.

    Args:
        tables: the set.
        parts: number of parts.
        by_utterance: units are utterances, not speakers.

    Raises:
        DataError: there are fewer units than parts, or no speakers.
    """
    units = _units(tables, by_utterance, parts)
    sizes = _sizes(tables, units)
    heap = [(Decimal(0), part) for part in range(parts)]
    said: list[list[str]] = [[] for _ in range(parts)]
    for unit in sorted(units, key=lambda unit: (-sizes[unit], unit)):
        size, part = heapq.heappop(heap)
        said[part] += units[unit]
        heapq.heappush(heap, (size + sizes[unit], part))
    return [sorted(utts) for utts in said]


def split_by_share(
    tables: SetTables, shares: Sequence[float], seed: int = 0, by_utterance: bool = False
) -> list[list[str]]:
    """Split a set at random into parts whose lengths are as the shares.

    Each unit goes to the part that lacks most; every part gets at least one.

    Args:
        tables: the set.
        shares: above 0, in any unit.
        seed: of the random order.
        by_utterance: units are utterances; by default speakers, so that no speaker is in two parts.

    Raises:
        DataError: there are fewer units than parts, or no speakers.
    """
    units = _units(tables, by_utterance, len(shares))
    sizes = _sizes(tables, units)
    order = sorted(units)
    random.Random(f"split {seed}").shuffle(order)
    total = sum(sizes.values(), Decimal(0))
    whole = sum(map(Decimal, map(str, shares)), Decimal(0))
    lacking = [total * Decimal(str(share)) / whole for share in shares]
    said: list[list[str]] = [[] for _ in shares]
    for number, unit in enumerate(order):
        empty = [part for part in range(len(said)) if not said[part]]
        open_parts = empty if len(order) - number == len(empty) else range(len(said))
        part = max(open_parts, key=lambda part: lacking[part])
        said[part] += units[unit]
        lacking[part] -= sizes[unit]
    return [sorted(utts) for utts in said]


def shared_recordings(tables: SetTables, parts: Sequence[Sequence[str]]) -> list[str]:
    """Return the recordings of which several parts hold utterances."""
    of_parts = [{tables.recording_of(utt) for utt in part} for part in parts]
    count = Counter(recording for recordings in of_parts for recording in recordings)
    return sorted(recording for recording, n in count.items() if n > 1)


def _units(tables: SetTables, by_utterance: bool, parts: int) -> Units:
    """Units, each of which goes to one part as a whole: name -> utterances."""
    if by_utterance:
        units = {utt: [utt] for utt in tables.ids}
    elif "utt2spk" in tables.utterances:
        units = {}
        for utt, speaker in tables.utterances["utt2spk"].items():
            units.setdefault(speaker, []).append(utt)
    else:
        message = "no such file, so speakers cannot be kept together"
        remedy = "--per_utt splits by utterance"
        raise DataError(message, tables.path / "utt2spk", remedy=remedy)
    if parts < 1 or len(units) < parts:
        what = "utterances" if by_utterance else "speakers"
        remedy = None if by_utterance else "--per_utt splits by utterance"
        raise DataError(f"{len(units)} {what} cannot make {parts} parts", tables.path, None, remedy)
    return units


def _sizes(tables: SetTables, units: Units) -> dict[str, Decimal]:
    """Seconds of each unit; its number of words where durations are unknown."""
    if "utt2dur" in tables.utterances:
        lengths = tables.lengths()
    else:
        lengths = {u: Decimal(len(t.split())) for u, t in tables.utterances["text"].items()}
    return {unit: sum((lengths[utt] for utt in utts), Decimal(0)) for unit, utts in units.items()}
