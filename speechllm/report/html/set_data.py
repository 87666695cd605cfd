"""Data of a test set's page, in a form that JSON can hold."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechllm.data.dirs.kaldi import DataDir, first_ids, read_table
from speechllm.decode.record import read_records
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.garbage import uncollected
from speechllm.report.html.audio import AudioColumn, Request, audio_column
from speechllm.report.html.columns import aligned_columns, entity_column, indexed
from speechllm.report.html.figures import system_figures
from speechllm.report.html.hypotheses import record_columns
from speechllm.report.html.systems import System, TestSet
from speechllm.score.count.wer import score_texts
from speechllm.score.normalize.rules import Normalizer

log = logging.getLogger(__name__)


@dataclass
class SetData:
    """Data of one page.

    Attributes:
        shared: data that do not depend on the system.
        systems: the columns of each system, in the order of the set's systems; they are made as
            they are taken, one at a time, and may add to the remarks.
        audio: audio of the utterances.
        remarks: notes for the reader on things that are absent or do not fit together.
    """

    shared: dict[str, Any]
    systems: Iterator[dict[str, Any]]
    audio: AudioColumn
    remarks: list[str] = field(default_factory=list)


@uncollected()
def read_set(
    test_set: TestSet, data: Path | None, normalizer: Normalizer, request: Request, folder: Path
) -> SetData:
    """Read and align one test set.

    Args:
        test_set: the set and its systems.
        data: folder with the data dirs; None shows text alone.
        normalizer: normaliser of the alignments.
        request, folder: see `speechllm.report.html.audio`.

    Raises:
        DataError: a table is malformed.
    """
    remarks: list[str] = []
    about = _data_dir(test_set, data, remarks)
    source = _reference_file(test_set, about)
    if about and source == about.path / "text":
        references: Mapping[str, str] | None = about.text
    else:
        references = (read_table(source, strict=False) if source else {}) or None
    if references is None:
        remarks.append("the references were not found (--data), so nothing is aligned")
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if source else ""
    texts = [system.decoding.folder / "text" for system in test_set.systems]
    ids = sorted(references or set().union(*map(read_table, texts)))
    aligned = references is not None and any(map(_is_aligned, test_set.systems))
    shown = _shown(references, ids, normalizer if aligned else None)
    audio = audio_column(
        [about.audio.get(i) if about else None for i in ids],
        request,
        test_set.slug,
        folder,
        "the data dir has no audio" if about else "there is no usable data dir (--data)",
    )

    def systems() -> Iterator[dict[str, Any]]:
        for system, text in zip(test_set.systems, map(read_table, texts), strict=True):
            yield _system_columns(system, text, ids, references, digest, normalizer, remarks)
        if plain := [s.label for s in test_set.systems if not _is_aligned(s)]:
            remarks.append(f"not scored as ASR, so texts stand as they are: {first_ids(plain)}")

    entities = about.entities if about and aligned else {}
    shared = {
        "set": test_set.name,
        "slug": test_set.slug,
        "normalizer": normalizer.name if aligned else None,
        "ids": ids,
        "refs": shown,
        "answers": _answers(test_set, about, ids),
        "speakers": indexed([about.utt2spk[i] for i in ids]) if about and about.utt2spk else None,
        "seconds": [about.utt2dur[i] for i in ids] if about and about.utt2dur else None,
        "entities": entity_column(ids, shown or [], entities, normalizer) if entities else None,
        "audio": audio.as_json(),
        "remarks": remarks,
        "systems": [
            {
                "key": system.key,
                "label": system.label,
                "scored": references is not None and _is_aligned(system),
                "figures": system_figures(system.decoding, normalizer.name),
            }
            for system in test_set.systems
        ],
    }
    return SetData(shared, systems(), audio, remarks)


def _is_aligned(system: System) -> bool:
    """Whether a system was scored word by word, so that an alignment shows what was counted."""
    return system.decoding.task.is_aligned and bool(system.decoding.result)


def _answers(test_set: TestSet, about: DataDir | None, ids: Sequence[str]) -> list[str] | None:
    """Reference answers where they are not the transcripts; else None."""
    tables = {system.decoding.task.table for system in test_set.systems} - {"text"}
    for table in sorted(tables):
        if about and (about.path / table).is_file():
            answers = read_table(about.path / table)
            return [answers.get(utt, "") for utt in ids]
    return None


def _data_dir(test_set: TestSet, data: Path | None, remarks: list[str]) -> DataDir | None:
    if data is None or not (data / test_set.name / "text").is_file():
        return None
    try:
        return DataDir.load(data / test_set.name)
    except DataError as error:
        remarks.append(f"the data dir cannot be used: {error.message}")
        return None


def _reference_file(test_set: TestSet, about: DataDir | None) -> Path | None:
    """Transcripts of the data dir, else those that the set was scored against, if still there."""
    if about:
        return about.path / "text"
    for system in test_set.systems:
        path = system.decoding.result.get("made_from", {}).get("reference", {}).get("path")
        if path and Path(path).is_file():
            return Path(path)
    return None


def _shown(
    references: Mapping[str, str] | None, ids: Sequence[str], normalizer: Normalizer | None
) -> list[str] | None:
    if references is None:
        return None
    return [normalizer(references[utt]) if normalizer else references[utt] for utt in ids]


@uncollected()
def _system_columns(
    system: System,
    text: Mapping[str, str],
    ids: list[str],
    references: Mapping[str, str] | None,
    digest: str,
    normalizer: Normalizer,
    remarks: list[str],
) -> dict[str, Any]:
    """Columns of a system: `hyp` (None if missing), `ops` if it is aligned, and its records."""
    known = set(ids)
    if unknown := sorted(text.keys() - known):
        remarks.append(
            f"{system.label}: left out hypotheses whose ids no reference has: {first_ids(unknown)}"
        )
    text = {utt: value for utt, value in text.items() if utt in known}
    columns: dict[str, Any] = {}
    if references is not None and _is_aligned(system):
        columns = aligned_columns(score_texts(references, text, normalizer))
        columns["hyp"] = [
            hyp if utt in text else None for utt, hyp in zip(ids, columns["hyp"], strict=True)
        ]
        _compare_with_score(system, digest, remarks)
    else:
        columns["hyp"] = [text.get(utt) for utt in ids]
    if absent := columns["hyp"].count(None):
        remarks.append(f"{system.label}: {absent} of {len(ids)} utterances have no hypothesis")
    try:
        records = read_records(system.decoding.folder)
    except SpeechLLMError as error:
        remarks.append(f"{system.label}: no confidence, no guard flags: {error.message}")
        records = {}
    return columns | record_columns(ids, records, columns["hyp"])


def _compare_with_score(system: System, digest: str, remarks: list[str]) -> None:
    """Add a remark if the scores in the page's table are not those of the texts it shows."""
    if system.decoding.is_stale:
        remarks.append(f"{system.label}: the hypotheses have changed since they were scored")
    if digest != system.decoding.result["made_from"]["reference"]["sha256"]:
        remarks.append(f"{system.label}: scored against another version of the references")
