"""A Hugging Face dataset on disk: a folder that `datasets.load_from_disk` reads.

Its column `audio` holds paths, or the files themselves, or samples with their rate. `datasets` is
never asked to decode audio, so torchcodec is not needed.
"""

import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from speechllm.data.dirs.records import CHANNEL, FIELDS, NUMBERS, TABLE, Record, to_fields
from speechllm.data.exchange.columns import Columns
from speechllm.data.exchange.formats import Holds
from speechllm.errors import DataError, SpeechLLMError, did_you_mean
from speechllm.files.guarded import guarded
from speechllm.files.progress import track
from speechllm.files.whole import whole_folder

SUMMARY = "Hugging Face dataset on disk (save_to_disk); needs the package datasets"
HOLDS = Holds(cuts=True, commands=False, text_only=True)
FOLDER = True
BATCH = 1000  # rows


def read(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    split: str | None = None,
) -> Iterator[Record]:
    """Read a dataset; a line in a message is a row, counted from 1.

    Args:
        path: folder of the dataset.
        columns: field -> column, for fields whose column has another name.
        keep: further columns, which become tables.
        split: name of the dataset in a folder with several.
    """
    datasets = _datasets()
    dataset = _load(datasets, path, split)
    taken = Columns(path, columns or {}, keep)
    audio = taken.columns.get("audio", "audio")
    for name, feature in dataset.features.items():
        if isinstance(feature, datasets.Audio):
            dataset = dataset.cast_column(name, datasets.Audio(decode=False))
    rows = iter(track(dataset, f"reading {path.name}", len(dataset), "row"))
    for number in range(1, len(dataset) + 1):
        with guarded(path, "this row cannot be read", number):
            row = next(rows)
        file = row.get(audio)
        if not isinstance(file, dict):
            yield taken.record(row, number)
            continue
        with guarded(path, f"column '{audio}'", number):
            name, content = _file(file, audio, path)
        yield replace(taken.record({**row, audio: name}, number), content=content)
    taken.finish()


def _file(cell: Mapping[str, Any], column: str, path: Path) -> tuple[str | None, bytes | None]:
    """Path and content of a cell of audio; samples become a file of 32-bit floats.

    Raises:
        DataError: the cell has other fields.
        ValueError: there are no samples, or some are not finite.
    """
    if "bytes" in cell:
        return cell.get("path"), cell["bytes"]
    if not {"array", "sampling_rate"} <= cell.keys():
        raise DataError(
            f"the column '{column}' has the fields {', '.join(map(str, cell))}: no audio",
            path,
            remedy=f'dataset.cast_column("{column}", Audio()), then save it again',
        )
    import numpy as np
    import soundfile

    samples = np.asarray(cell["array"], np.float32)
    if samples.ndim == 2 and len(samples) < samples.shape[1]:
        samples = samples.T  # channels first, as torch has them
    if not samples.size or samples.ndim > 2 or not np.isfinite(samples).all():
        raise ValueError("no samples, or some that are not finite")
    with BytesIO() as stream:
        soundfile.write(stream, samples, cell["sampling_rate"], format="WAV", subtype="FLOAT")
        return f"{PurePath(cell.get('path') or '').stem}.wav", stream.getvalue()


def write(
    records: Collection[Record],
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    embed_audio: bool = False,
) -> None:
    """Write a dataset with the columns that any record has a value for.

    Args:
        records: the utterances.
        path: folder of the dataset.
        columns: field -> column, for fields whose column gets another name.
        embed_audio: put the audio files into the dataset, instead of their paths.

    Raises:
        DataError: audio is to be embedded, but an utterance is only a part of its file.
    """
    datasets = _datasets()
    if embed_audio and (cut := next((r for r in records if r.start is not None), None)):
        remedy = "also give --audio_dir DIR, which first writes each utterance to a file"
        raise DataError(f"{cut.id} is a part of its file: it cannot be embedded", remedy=remedy)
    names = Columns(path, columns or {}).columns
    used = {name for record in records for name in to_fields(record)}
    tables = sorted(name for name in used if name.startswith(TABLE))
    fields = [name for name in FIELDS if name in used] + tables
    kinds = {name: datasets.Value("float64" if name in NUMBERS else "string") for name in fields}
    if CHANNEL in used:
        kinds[CHANNEL] = datasets.Value("int64")
    if embed_audio and "audio" in used:
        kinds["audio"] = datasets.Audio()
    features = datasets.Features({names.get(name, name): kinds[name] for name in fields})
    shown = track(records, f"writing {path.name}", len(records))
    embed = path if embed_audio else None
    rows = (_row(record, fields, names, embed) for record in shown)
    with (
        whole_folder(path, _is_dataset) as folder,
        TemporaryDirectory(dir=folder) as temporary,
    ):
        table = Path(temporary) / "rows.arrow"
        _write_table(rows, features.arrow_schema, table)
        datasets.Dataset.from_file(str(table)).save_to_disk(str(folder))


def _row(
    record: Record, fields: Sequence[str], names: Mapping[str, str], embed: Path | None
) -> dict[str, Any]:
    values = to_fields(record)
    values |= {name: float(values[name]) for name in NUMBERS if name in values}
    if "entities" in values:
        values["entities"] = json.dumps(values["entities"], ensure_ascii=False)
    if embed is not None and "audio" in values:
        # save_to_disk reads the file.
        values["audio"] = {"path": os.path.join(embed, values["audio"]), "bytes": None}
    return {names.get(name, name): values.get(name) for name in fields}


def _write_table(rows: Iterator[dict[str, Any]], schema: Any, path: Path) -> None:
    """Write an Arrow file with pyarrow: `datasets` would need torchcodec for a column of audio."""
    import pyarrow

    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, schema) as stream:
        while batch := list(islice(rows, BATCH)):
            stream.write_table(pyarrow.Table.from_pylist(batch, schema))


def _load(datasets: ModuleType, path: Path, split: str | None) -> Any:
    if not path.is_dir():
        raise DataError("no such folder", path)
    remedy = "a folder that Dataset.save_to_disk wrote is needed"
    with guarded(path, "not a dataset on disk", remedy=remedy):
        dataset = datasets.load_from_disk(str(path))
    if not isinstance(dataset, datasets.DatasetDict):
        if split is not None:
            raise DataError(f"this dataset has no splits, so no '{split}'", path)
        return dataset
    if split not in dataset:
        near = did_you_mean(split or "", dataset)
        raise DataError(f"--split names one of the splits{near}", path)
    return dataset[split]


def _is_dataset(path: Path) -> bool:
    return (path / "dataset_info.json").is_file() and (path / "state.json").is_file()


def _datasets() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        message = "the package datasets is not installed"
        raise SpeechLLMError(message, "python -m pip install datasets") from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets
