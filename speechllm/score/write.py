"""Write the scores of a set into a folder: the score file, its listings, their hashes."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechllm.data.kaldi import first_ids
from speechllm.files import whole_file, write_json
from speechllm.locks import locked_folder
from speechllm.made_from import all_sealed, seal_all, sealed_names
from speechllm.own_files import read_mapping

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """A set of hypotheses, scored under one normaliser.

    Attributes:
        utterances: how many references there are.
        missing: ids of references without hypothesis.
        figures: what the score file holds under the normaliser's name.
        listings: lines of text files that show the errors, by `<stem>.<suffix>`.
    """

    utterances: int
    missing: Sequence[str]
    figures: Mapping[str, Any]
    listings: Mapping[str, Iterable[str]] = field(default_factory=dict)


def write_scores(
    file: Path,
    hypothesis: Path,
    made_from: Mapping[str, Any],
    score: Callable[[], Mapping[str, Scored]],
    counted: str,
    force: bool = False,
) -> dict[str, Any]:
    """Score a set into a folder, unless that was done already with the same inputs.

    The listings, `<stem>.<normaliser>.<suffix>`, are written first, then the score file, and last
    of all the hashes of all of them. What an earlier run wrote and this one does not is removed.

    Args:
        file: the score file; its folder is made.
        hypothesis: file of the hypotheses, for warnings.
        made_from: all that the scores depend on; `reference` holds the path of the references.
        score: counts the errors, by normaliser.
        counted: how a missing hypothesis counts, for warnings: "as deletions".
        force: score again even if nothing has changed.

    Returns:
        What the score file holds (docs/scoring.md).
    """
    out = file.parent
    old = read_mapping(file) if file.exists() and all_sealed(out) else {}
    if not force and old.get("made_from") == made_from:
        _warn(old, hypothesis, counted)
        return old
    found = score()
    first = next(iter(found.values()))
    result = {
        "set": Path(made_from["reference"]["path"]).parent.name,
        "utterances": first.utterances,
        "missing": list(first.missing),
        "scores": {name: dict(scored.figures) for name, scored in found.items()},
        "made_from": dict(made_from),
    }
    listings = {}
    for name, scored in found.items():
        for listing, lines in scored.listings.items():
            stem, _, suffix = listing.rpartition(".")
            listings[f"{stem}.{name}.{suffix}"] = lines
    with locked_folder(out):
        stale = {*sealed_names(out)} - {*listings, file.name}
        for listing, lines in listings.items():
            with whole_file(out / listing) as stream:
                stream.writelines(f"{line}\n" for line in lines)
        for name in stale:
            (out / name).unlink(missing_ok=True)
        write_json(file, result)
        seal_all(out, [*listings, file.name])
    _warn(result, hypothesis, counted)
    return result


def interval_text(interval: Sequence[float] | None) -> str:
    """An interval as the log shows it: `[1.00, 2.00]`."""
    return "[{:.2f}, {:.2f}]".format(*interval) if interval else "[-, -]"


def _warn(result: Mapping[str, Any], hypothesis: Path, counted: str) -> None:
    """Log which references have no hypothesis, and what is in another form than the references."""
    if missing := result["missing"]:
        log.warning(
            "%s: of %d utterances these have no hypothesis (counted %s): %s",
            hypothesis,
            result["utterances"],
            counted,
            first_ids(missing),
        )
    for name, found in result["scores"].items():
        for warning in found.get("warnings", ()):
            log.warning("%s: %s: %s", hypothesis, name, warning)
        if unplaced := (found.get("entities") or {}).get("unplaced"):
            log.warning(
                "%s: entities that the reference (%s) does not hold are not counted: %s",
                result["made_from"]["reference"]["path"],
                name,
                first_ids(f"{utt}: {', '.join(texts)}" for utt, texts in unplaced.items()),
            )
