"""Files that a run reads: tables of its sets, their audio, and files named in its settings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speechllm.config import ModelConfig
from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.dirs.tables import CHANNELS
from speechllm.data.speech.features import check_features
from speechllm.files.layout import RUN
from speechllm.task import Task


def set_files(
    paths: Sequence[Path],
    model: ModelConfig,
    task: Task,
    dump: Path | None,
    with_text: bool = True,
) -> dict[str, Path | None]:
    """Files that training reads from data dirs: texts and, through its features, the audio.

    Audio counts by the content of its files, as the features record it, wherever the files lie
    now. Without features, or with those of an older version, its entry is None.

    Args:
        paths: data dirs.
        model: model config; its encoder makes the features.
        task: task, which names the tables of its answers.
        dump: root of the feature cache; None: audio is not looked at.
        with_text: whether the transcripts are read.

    Raises:
        DataError: audio has changed since its features were made.
    """
    texts = dict.fromkeys(("text", *task.tables)) if with_text else ()
    files: dict[str, Path | None] = {}
    for path in paths:
        tables = (path / name for name in (*texts, CHANNELS, "segments"))
        files |= {str(table): table for table in tables if table.is_file()}
        if (path / "wav.scp").is_file():
            data_dir = DataDir.load(path, with_text=False)
            known = dump and check_features(
                dump, model.audio_model, data_dir, model.encoder_settings
            )
            files[f"audio of {path}"] = known or None
    return files


def named_files(settings: Any) -> Iterator[tuple[str, Path]]:
    """Names and paths of files that occur anywhere in settings, such as phrase lists and lexica.

    A trained model's folder counts as its run.json, which differs between any two trainings.
    """
    if isinstance(settings, dict | list):
        for value in settings.values() if isinstance(settings, dict) else settings:
            yield from named_files(value)
    elif isinstance(settings, str) and _may_be_path(settings):
        for path in (Path(settings), Path(settings) / RUN):
            if path.is_file():
                yield str(path), path


def _may_be_path(text: str) -> bool:
    return len(text) < 1000 and ("/" in text or "." in text) and "\0" not in text
