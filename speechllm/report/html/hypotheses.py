"""Details of hypotheses from a decode folder: confidence, guard, word times."""

from collections.abc import Mapping, Sequence
from typing import Any

from speechllm.decode.record import HypothesisRecord
from speechllm.report.html.columns import sparse

TRUNCATED = "truncated"


def record_columns(
    ids: Sequence[str], records: Mapping[str, HypothesisRecord], texts: Sequence[str | None]
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
