"""Details of hypotheses from a decode folder: confidence, guard, word times."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechllm.files.own import made_again, read_by_id
from speechllm.report.html.columns import sparse

TRUNCATED = "truncated"


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Read hyp.jsonl of a decode folder: id -> record; empty if there is no such file.

    Raises:
        DataError: a line is not a JSON object with an id.
    """
    path = folder / "hyp.jsonl"
    if not path.is_file():
        return {}
    return read_by_id(path, made_again(folder))


def record_columns(
    ids: Sequence[str], records: Mapping[str, Mapping[str, Any]], texts: Sequence[str | None]
) -> dict[str, Any]:
    """Columns that a system has besides its texts.

    Args:
        ids: ids of the utterances.
        records: records of hyp.jsonl, by id.
        texts: hypotheses as they are shown; None where there is none.

    Returns:
        `confidence` in whole percent, None where there is none; left out if no hypothesis has one.
        `flags`: the guard's flags, and "truncated" for a hypothesis cut at its bound on tokens.
        `first`: the text before the guard's retry. `starts`: the start of each word in hundredths
        of a second (-1 if unknown), only where the number of timed words is that of the text.
        All but `confidence` are pairs of row and value; flags are indices into their `names`.
    """
    confidence, flags, first, starts = [], [], [], []
    for utt, text in zip(ids, texts, strict=True):
        record = records.get(utt, {})
        guard = record.get("guard") or {}
        confidence.append(_percent(record.get("confidence")))
        seen = [str(flag) for flag in guard.get("flags", ())]
        flags.append(seen + [TRUNCATED] * bool(record.get("truncated")))
        first.append(guard.get("first") if guard.get("retried") else None)
        times = [_hundredths(word.get("start")) for word in record.get("words") or ()]
        known = text is not None and len(times) == len(text.split()) and max(times, default=-1) >= 0
        starts.append(times if known else None)
    names = sorted({name for row in flags for name in row})
    columns: dict[str, Any] = {
        "first": sparse(first),
        "starts": sparse(starts),
        "flags": {
            "names": names,
            "rows": sparse([names.index(name) for name in row] for row in flags),
        },
    }
    if any(value is not None for value in confidence):
        columns["confidence"] = confidence
    return columns


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _percent(value: Any) -> int | None:
    return round(100 * value) if _is_number(value) else None


def _hundredths(value: Any) -> int:
    return round(100 * value) if _is_number(value) else -1
