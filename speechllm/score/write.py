"""Score a set of any task into a folder: the score file, its listings, their hashes."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechllm.data.dirs.kaldi import first_ids
from speechllm.files.locks import LOCK, locked_folder
from speechllm.files.made_from import all_sealed, seal_all, sealed_names
from speechllm.files.own import read_mapping
from speechllm.files.whole import clean_up, whole_file, write_json
from speechllm.score.inputs import Settings, made_from
from speechllm.task import Labels, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """A set of hypotheses, scored under one normaliser.

    Attributes:
        utterances: number of references.
        missing: ids of references without hypothesis.
        figures: contents of the score file under the normaliser's name.
        listings: lines of text files that show the errors, by `<stem>.<suffix>`.
    """

    utterances: int
    missing: Sequence[str]
    figures: Mapping[str, Any]
    listings: Mapping[str, Iterable[str]] = field(default_factory=dict)


def score_set(
    task: Task,
    reference: Path,
    hypothesis: Path,
    out: Path,
    settings: Settings,
    labels: Labels | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Score a file of hypotheses into a folder, unless that was done already with the same inputs.

    The listings, `<stem>.<normaliser>.<suffix>`, are written first, then the task's score file, and
    last of all the hashes of all of them. Files that an earlier run wrote and this one does not are
    removed.

    Args:
        task: task of the hypotheses.
        reference: Kaldi table of the right answers; further tables beside it are used.
        hypothesis: Kaldi table of the hypotheses.
        out: folder of the score; it is created.
        settings: normalisers and bootstrap.
        labels: labels of the model's training data; None if they are not known.
        force: score again even if nothing has changed.

    Returns:
        Contents of the score file (docs/scoring.md).

    Raises:
        DataError: a file is missing or malformed, or an utterance has no speaker.
        SpeechLLMError: ids of hypotheses have no reference.
        ConfigError: a normaliser does not exist or cannot be read.
    """
    file = out / task.score_file
    source = {
        "task": task.name,
        "labels": None if labels is None else _digest(labels),
        **made_from(reference, hypothesis, settings),
    }
    is_whole = file.exists() and file.name in sealed_names(out) and all_sealed(out)
    old = read_mapping(file) if is_whole else {}
    known = {
        key: source[key] for key in ("task", "labels")
    }  # a score of an older version lacks them
    if not force and known | old.get("made_from", {}) == source:
        clean_up(out / LOCK)
        _warn(old, hypothesis, task.missing)
        return old
    found = task.scores(reference, hypothesis, settings, labels)
    first = next(iter(found.values()))
    result = {
        "set": Path(source["reference"]["path"]).parent.name,
        "utterances": first.utterances,
        "missing": list(first.missing),
        "scores": {name: dict(scored.figures) for name, scored in found.items()},
        "made_from": source,
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
    _warn(result, hypothesis, task.missing)
    return result


def interval_text(interval: Sequence[float] | None) -> str:
    """Text of an interval for the log: `[1.00, 2.00]`."""
    return "[{:.2f}, {:.2f}]".format(*interval) if interval else "[-, -]"


def _digest(labels: Labels) -> str:
    return hashlib.sha256(json.dumps(dict(labels), sort_keys=True).encode()).hexdigest()


def _warn(result: Mapping[str, Any], hypothesis: Path, counted: str) -> None:
    """Log references without hypothesis, warnings of a score, and entities that were not found."""
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
