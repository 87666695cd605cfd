"""Subset of a set: some utterances, hours or speakers; a larger subset holds the smaller ones."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Literal

from speechllm.data.dirs.set_tables import SetTables
from speechllm.data.dirs.tables import first_ids
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.utf8 import read_text

SECONDS_PER_HOUR = 3600
Order = Literal["random", "first", "last", "shortest", "longest"]


@dataclass(frozen=True)
class Amount:
    """Size of a subset: exactly one of utterances, hours and speakers.

    Attributes:
        utterances: number of utterances; with `whole_speakers`, at least that many.
        hours: upper limit of the length.
        speakers: number of speakers.
        whole_speakers: take speakers with all their utterances.
        per_speaker: take `utterances` of each speaker; a speaker with fewer is taken whole.
    """

    utterances: int | None = None
    hours: float | None = None
    speakers: int | None = None
    whole_speakers: bool = False
    per_speaker: bool = False

    def __post_init__(self) -> None:
        given = [n for n in (self.utterances, self.hours, self.speakers) if n is not None]
        if len(given) != 1 or given[0] <= 0:
            raise SpeechLLMError("one amount above 0 is needed: utterances, hours or speakers")
        if self.per_speaker and (self.utterances is None or self.whole_speakers):
            raise SpeechLLMError("per speaker goes with a number of utterances alone")


def choose(tables: SetTables, amount: Amount, order: Order = "random", seed: int = 0) -> list[str]:
    """Choose utterances: the front of the set in the given order.

    For one order and seed, a larger amount chooses all that a smaller one chooses. `random` is the
    order in which `speechllm.slot.mixture.subset` draws.

    Args:
        tables: the set.
        amount: how much to choose.
        order: order of the utterances, or of whole speakers.
        seed: of the random order.

    Returns:
        Utterance ids, sorted.

    Raises:
        DataError: the set has less than that, nothing would be left, or lengths or speakers are
            needed and not known.
        SpeechLLMError: whole speakers are to be ordered by length.
    """
    if amount.per_speaker:
        assert amount.utterances is not None
        ordered = _ordered(tables, tables.ids, order, seed)
        by_speaker = sorted(ordered, key=tables.speaker_of)  # sorted is stable
        groups = groupby(by_speaker, key=tables.speaker_of)
        return sorted(utt for _, said in groups for utt in list(said)[: amount.utterances])
    whole = amount.whole_speakers or amount.speakers is not None
    units = list(_units(tables, order, seed, whole))
    chosen = list(_front(tables, units, amount))
    if not chosen:
        raise DataError(f"no {'speaker' if whole else 'utterance'} is that short", tables.path)
    return sorted(chosen)


def _units(tables: SetTables, order: Order, seed: int, whole: bool) -> Iterator[list[str]]:
    """Yield groups of utterances that are taken together, in the order of choice."""
    if not whole:
        yield from ([utt] for utt in _ordered(tables, tables.ids, order, seed))
        return
    if "utt2spk" not in tables.utterances:
        raise DataError("no such file, and speakers are needed", tables.path / "utt2spk")
    if order in ("shortest", "longest"):
        raise SpeechLLMError(f"{order} orders utterances, not speakers")
    said: dict[str, list[str]] = {}
    for utt, speaker in tables.utterances["utt2spk"].items():
        said.setdefault(speaker, []).append(utt)
    yield from (said[speaker] for speaker in _ordered(tables, sorted(said), order, seed))


def _ordered(tables: SetTables, ids: list[str], order: Order, seed: int) -> list[str]:
    ids = list(ids)
    if order == "random":
        random.Random(f"subset {seed}").shuffle(ids)
    elif order in ("shortest", "longest"):
        lengths = tables.lengths()
        ids.sort(key=lambda utt: lengths[utt], reverse=order == "longest")
    return ids[::-1] if order == "last" else ids


def _front(tables: SetTables, units: list[list[str]], amount: Amount) -> Iterator[str]:
    if amount.hours is not None:
        lengths = tables.lengths()
        wanted: Decimal | float = Decimal(str(amount.hours)) * SECONDS_PER_HOUR
        sizes = [sum((lengths[utt] for utt in unit), Decimal(0)) for unit in units]
        what = f"{sum(sizes, Decimal(0)) / SECONDS_PER_HOUR:.4f} hours"
    elif amount.speakers is not None:
        wanted, sizes, what = amount.speakers, [1] * len(units), f"{len(units)} speakers"
    else:
        assert amount.utterances is not None
        wanted, sizes = amount.utterances, [len(unit) for unit in units]
        what = f"{len(tables.ids)} utterances"
    if sum(sizes) < wanted:
        raise DataError(f"this set has only {what}", tables.path)
    taken: Decimal | int = 0
    for unit, size in zip(units, sizes, strict=True):
        over = taken + size > wanted if amount.hours is not None else taken >= wanted
        if over:
            return
        taken += size
        yield from unit


def listed(tables: SetTables, path: Path, speakers: bool) -> list[str]:
    """Choose the utterances that a file lists, one id on each line.

    Args:
        tables: the set.
        path: the file; the rest of a line after its first word is ignored.
        speakers: the ids are speakers, all of whose utterances are chosen.

    Raises:
        DataError: an id that the set does not have, or an empty file.
    """
    lines = read_text(path).split("\n")
    wanted = {line.split(maxsplit=1)[0] for line in lines if line.strip()}
    of = tables.speaker_of if speakers else lambda utt: utt
    if unknown := sorted(wanted - {of(utt) for utt in tables.ids}):
        raise DataError(f"not in {tables.path}: {first_ids(unknown)}", path)
    if not wanted:
        raise DataError("file is empty", path)
    return [utt for utt in tables.ids if of(utt) in wanted]
