"""Utterances and hypotheses as columns, the compact form that pages load.

An alignment is a CIGAR string as in SAM files, over words: `3=1X2D1I` is three words right, one
substituted, two deleted, one inserted. A page restores the alignment from it and both texts.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from speechllm.score.count.wer import AlignedUtterance, WordScore
from speechllm.score.normalize.rules import Normalizer

RIGHT, SUBSTITUTED, DELETED, INSERTED = "=XDI"


def cigar(utterance: AlignedUtterance) -> str:
    """Return the word alignment of an utterance, run-length encoded."""
    return "".join(f"{len(list(run))}{kind}" for kind, run in groupby(map(_kind, utterance.pairs)))


def _kind(pair: tuple[str | None, str | None]) -> str:
    reference, hypothesis = pair
    if reference is None:
        return INSERTED
    if hypothesis is None:
        return DELETED
    return RIGHT if reference == hypothesis else SUBSTITUTED


def indexed(values: Sequence[str]) -> dict[str, Any]:
    """Encode a column with few distinct values: `names`, and each row's index into them."""
    names = sorted(set(values))
    number = {name: i for i, name in enumerate(names)}
    return {"names": names, "rows": [number[value] for value in values]}


def sparse(values: Iterable[Any]) -> list[list[Any]]:
    """Encode a column that is mostly empty, as pairs of row and value."""
    return [[row, value] for row, value in enumerate(values) if value]


def entity_column(
    ids: Sequence[str],
    references: Sequence[str],
    entities: Mapping[str, Sequence[Mapping[str, Any]]],
    normalize: Normalizer,
) -> dict[str, Any]:
    """Places of the annotated entities: `types`, and rows of [type, first word, words].

    Places are found as in the entity error rate (docs/scoring.md): an annotation takes the leftmost
    place of its words that no equal one before it has taken. One without a place is left out.

    Args:
        ids: ids of the utterances.
        references: their normalised transcripts.
        entities: annotations by id, each with `type` and `text`.
        normalize: normaliser of the annotations.
    """
    types = sorted({entity["type"] for listed in entities.values() for entity in listed})
    rows = []
    for utt, reference in zip(ids, references, strict=True):
        words, taken, found = reference.split(), set(), []
        for entity in entities.get(utt, ()):
            wanted = normalize(entity["text"]).split()
            kind = types.index(entity["type"])
            for start in range(len(words) - len(wanted) + 1):
                place = (kind, start, len(wanted))
                if wanted and words[start : start + len(wanted)] == wanted and place not in taken:
                    taken.add(place)
                    found.append(list(place))
                    break
        rows.append(found)
    return {"types": types, "rows": sparse(rows)}


def aligned_columns(score: WordScore) -> dict[str, Any]:
    """Columns `hyp` (words) and `ops` (CIGAR strings) of a scored set, in the order of the ids."""
    return {
        "hyp": [" ".join(h for _, h in u.pairs if h is not None) for u in score.utterances],
        "ops": [cigar(u) for u in score.utterances],
    }
