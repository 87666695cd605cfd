"""Union of several sets."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from speechllm.data.dirs.bias_lists import BIASING
from speechllm.data.dirs.set_tables import SetTables, Table, refuse_inside
from speechllm.data.dirs.tables import CHANNELS, first_ids
from speechllm.errors import DataError

log = logging.getLogger(__name__)
PARTIAL = ("entities", CHANNELS, BIASING)  # tables that never need to have all utterances


def combine(sets: Sequence[SetTables], path: Path) -> SetTables:
    """Join the tables of sets.

    Where some sets are cut by `segments` and others are not, the others' recordings become segments
    to their end. A table that only some of the sets have is dropped with a warning, except
    `entities`, `reco2channel` and `biasing`. `bias_words` are joined.

    Args:
        sets: at least one.
        path: the new data dir.

    Raises:
        DataError: only some sets have audio, an utterance is in two sets, a recording or speaker
            has two different values, or the new data dir would replace one of the sets.
    """
    for tables in sets:
        refuse_inside(tables.path, path)
    with_audio = [s for s in sets if "wav.scp" in {**s.utterances, **s.recordings}]
    if 0 < len(with_audio) < len(sets):
        silent = next(s for s in sets if s not in with_audio)
        remedy = "combine sets with audio, or sets of text; training takes several sets anyway"
        raise DataError(f"no audio, but {with_audio[0].path} has some", silent.path, remedy=remedy)
    if any("segments" in s.utterances for s in sets):
        sets = [_with_segments(s) for s in sets]
    joined = SetTables(path, {})
    for kind in ("utterances", "recordings", "speakers"):
        names = dict.fromkeys(name for s in sets for name in getattr(s, kind))
        for name in names:
            holders = [s for s in sets if name in getattr(s, kind)]
            if len(holders) < len(sets) and name not in PARTIAL:
                lacking = next(s for s in sets if s not in holders)
                log.warning(
                    "%s: dropped: %s has no such table", holders[0].path / name, lacking.path
                )
                continue
            getattr(joined, kind)[name] = _union(name, kind, holders)
    joined.bias_words = list(dict.fromkeys(word for s in sets for word in s.bias_words))
    return joined


def _with_segments(tables: SetTables) -> SetTables:
    """Turn whole recordings into segments; `wav.scp` and `reco2channel` are then by recording."""
    if "segments" in tables.utterances:
        return tables
    utterances = dict(tables.utterances)
    recordings = {n: utterances.pop(n) for n in ("wav.scp", CHANNELS) if n in utterances}
    utterances["segments"] = {utt: f"{utt} 0.0000 -1" for utt in recordings["wav.scp"]}
    return replace(tables, utterances=utterances, recordings=recordings | tables.recordings)


def _union(name: str, kind: str, holders: Sequence[SetTables]) -> Table:
    union: Table = {}
    for tables in holders:
        table = getattr(tables, kind)[name]
        # An utterance must be of one set; a recording or a speaker may be of several.
        clash = [k for k in table if k in union and (kind == "utterances" or union[k] != table[k])]
        if clash:
            what = "stand in an earlier set too"
            if kind != "utterances":
                what += ", with another value"
            message = f"{what}: {first_ids(sorted(clash))}"
            raise DataError(message, tables.path / name, remedy="rename them in one of the sets")
        union |= table
    return dict(sorted(union.items()))
