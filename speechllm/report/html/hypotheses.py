"""What a decode folder says of a hypothesis beside its text: confidence, guard, word times."""

from collections.abc import Mapping, Sequence
from typing import Any

from speechllm.decode.record import HypothesisRecord
from speechllm.report.html.columns import sparse

TRUNCATED = "truncated"


def record_columns(
    ids: Sequence[str], records: Mapping[str, HypothesisRecord], texts: Sequence[str | None]
) -> dict[str, Any]:
    """Columns that a system has beside its texts; those without any value are left out.

    `confidence` in whole percent, null where there is none; `flags`, rows of names (what the guard
    saw, and "truncated" for a hypothesis cut at its bound on tokens); `first`, rows of the text
    before the guard's retry; `starts`, rows of each word's start in hundredths of a second (-1
    where there is none) where as many words were timed as are shown.
    """
    confidence, flags, first, starts = [], [], [], []
    for utt, text in zip(ids, texts, strict=True):
        record = records.get(utt, HypothesisRecord(utt, ""))
        guard = record.guard
        confidence.append(None if record.confidence is None else round(100 * record.confidence))
        flags.append([*(guard.flags if guard else ()), *[TRUNCATED] * record.truncated])
        first.append(guard.first if guard and guard.retried else None)
        times = [-1 if w.start is None else round(100 * w.start) for w in record.words or ()]
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
