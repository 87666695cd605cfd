"""Speech-MASSIVE (Lee et al., Interspeech 2024): SLURP's sentences, translated and spoken.

Layout: downloads of the sets FBK-MT/Speech-MASSIVE and FBK-MT/Speech-MASSIVE-test from the Hugging
Face hub, both in one folder or each in its own:

    <root>/<language>/{train,train_115,validation,test}-<n>-of-<m>.parquet

with columns id, utt, annot_utt, scenario_str, intent_str, speaker_id, and audio, {bytes, path}.
The text alone, of MASSIVE 1.0 or 1.1 (FitzGerald et al., 2204.08582), is <root>/<language>.jsonl
with id, partition, scenario, intent, utt, annot_utt. An intent is `scenario_action`, as in SLURP.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechllm.corpora.reading.annotated import read_annotated
from speechllm.corpora.reading.utterances import Utterance
from speechllm.data.dirs.ids import id_problem
from speechllm.data.dirs.kaldi import Audio
from speechllm.data.exchange.lines import read_json_lines
from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.guarded import guarded
from speechllm.files.whole import whole_file

SPLITS = ("train", "train_115", "validation", "test")
COLUMNS = ("id", "annot_utt", "scenario_str", "intent_str", "audio")
PARTS = {"train": "train", "validation": "dev", "test": "test"}
"""Names of the splits in MASSIVE's text."""


def read_split(roots: list[Path], language: str, split: str, audio: Path) -> list[Utterance]:
    """Read spoken utterances, and write their audio files unchanged to a folder.

    Args:
        roots: folders that hold folders of languages; the first that has the split is read.
        language: such as fr-FR.
        split: one of SPLITS; full training sets exist for French and German alone.
        audio: folder of the audio files.

    Raises:
        DataError: no such language or split, a missing column, or a malformed row.
        SpeechLLMError: pyarrow is not installed.
    """
    files = _files(roots, language, split)
    utterances = []
    for file in files:
        for number, row in _rows(file):
            utt = f"{language}-{row['id']}"
            if problem := id_problem(utt):
                raise DataError(f"{problem}: {utt!r}", file, number)
            labels = row["annot_utt"], row["scenario_str"], row["intent_str"]
            text, semantics = _meaning(*labels, file, number)
            with guarded(file, "not a row of Speech-MASSIVE", number):
                path = audio / f"{utt}{Path(row['audio'].get('path') or 'x.wav').suffix or '.wav'}"
                content = bytes(row["audio"].get("bytes") or b"")
            if not content:
                raise DataError(f"{utt} has no audio", file, number)
            if not path.is_file():
                with whole_file(path, "wb") as stream:
                    stream.write(content)
            speaker = str(row.get("speaker_id") or "")
            utterances.append(Utterance(utt, text, Audio(str(path)), speaker, semantics))
    return utterances


def read_text(root: Path, language: str, split: str) -> list[Utterance]:
    """Read the sentences of MASSIVE, without audio.

    Args:
        root: folder with <language>.jsonl in it.
        language: such as fr-FR.
        split: one of PARTS.

    Raises:
        DataError: there is no such language or split, or a malformed line.
    """
    path = root / f"{language}.jsonl"
    if split not in PARTS:
        remedy = f"choose one of {', '.join(PARTS)}"
        raise DataError(f"MASSIVE's text has no split '{split}'", path, remedy=remedy)
    remedy = "give the folder of MASSIVE that has <language>.jsonl in it"
    utterances = []
    for number, row in read_json_lines(path, remedy, keys_once=True):
        for key in ("id", "partition", "annot_utt", "scenario", "intent"):
            if key not in row:
                raise DataError(f"not a line of MASSIVE: there is no '{key}'", path, number)
        if row["partition"] == PARTS[split]:
            labels = row["annot_utt"], row["scenario"], row["intent"]
            text, semantics = _meaning(*labels, path, number)
            utterances.append(Utterance(f"{language}-{row['id']}", text, semantics=semantics))
    return utterances


def _files(roots: list[Path], language: str, split: str) -> list[Path]:
    for root in roots:
        if files := sorted((root / language).glob(f"{split}-*-of-*.parquet")):
            wanted = int(files[0].stem.rpartition("-")[2])
            if len(files) != wanted:
                message = f"{len(files)} of {wanted} files of {language} {split} are there"
                raise DataError(message, root / language, remedy="download the rest")
            return files
    raise DataError(
        f"there is no {language}/{split}-*.parquet",
        roots[0],
        remedy="download FBK-MT/Speech-MASSIVE and FBK-MT/Speech-MASSIVE-test, give the folders",
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 1, row) with the columns that are wanted."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        message = "Speech-MASSIVE's parquet files need the package pyarrow"
        raise SpeechLLMError(message, "pip install 'speechllm[datasets]'") from error
    remedy = "download the file again"
    with guarded(path, "is no parquet file", remedy=remedy):
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
    if absent := [column for column in COLUMNS if column not in names]:
        raise DataError(f"no column {', '.join(absent)}; there are {', '.join(names)}", path)
    columns = [*COLUMNS, *({"speaker_id"} & set(names))]
    number = 0
    batches = file.iter_batches(batch_size=64, columns=columns)
    while True:
        with guarded(path, "is damaged", number + 1, remedy):
            rows = next((batch.to_pylist() for batch in batches), None)
        if rows is None:
            return
        for row in rows:
            number += 1
            yield number, row


def _meaning(
    annotated: str, scenario: str, intent: str, path: Path, number: int
) -> tuple[str, dict[str, Any]]:
    if not all(isinstance(value, str) for value in (annotated, scenario, intent)):
        raise DataError("sentence, scenario and intent must be texts", path, number)
    try:
        text, entities = read_annotated(annotated)
    except ValueError as error:
        raise DataError(str(error), path, number) from error
    if not intent.startswith(f"{scenario}_"):
        raise DataError(f"intent {intent} is not of scenario {scenario}", path, number)
    action = intent.removeprefix(f"{scenario}_")
    return text, {"scenario": scenario, "action": action, "entities": entities}
