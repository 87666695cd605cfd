"""Cache of the frozen encoder's output: computed once, keyed by what it depends on.

A set is cut into chunks of utterances. A chunk's files appear whole or not at all, so a run that
was killed goes on with the chunks that are missing, and any number of jobs can share the work.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from speechllm.data.dirs.kaldi import DataDir, read_table, write_table
from speechllm.data.dirs.tables import share_keys
from speechllm.data.speech.ark import ArkReader, ArkWriter, merge_scps
from speechllm.data.speech.audio import AudioError, guessed_duration, load_audio
from speechllm.data.speech.audio_error import WaveError, too_short
from speechllm.data.speech.feature_records import (
    COUNTS,
    NO_SETTINGS,
    REMEDY,
    TIMING,
    Settings,
    audio_record,
    audio_table,
    check_key,
    check_whole,
    chunk_problem,
    feature_folder,
    write_chunk,
    write_key,
    write_merged,
)
from speechllm.data.speech.threads import in_order
from speechllm.errors import DataError, shell_word
from speechllm.files.guarded import guarded
from speechllm.files.locks import locked
from speechllm.files.made_from import digest, is_verifying
from speechllm.files.own import made_again, read_mapping
from speechllm.files.progress import Progress
from speechllm.files.whole import clean_up, write_json

log = logging.getLogger(__name__)

CHUNK_UTTERANCES = 500
JOIN = "give the speechllm features command of this set once more, with --merge instead of --job"

Encode = Callable[[list[np.ndarray]], list[np.ndarray]]
Encoded = list[tuple[str, np.ndarray]]
"""Utterance ids of a batch with their frames."""


@dataclass(frozen=True)
class Features:
    """A set's cached encoder output.

    Attributes:
        frames: utterance id -> float16 [T, D], read when asked for.
        frame_counts: utterance id -> T.
        encode_seconds: time that the encoder took for all of them, audio reading included.
    """

    frames: Mapping[str, np.ndarray]
    frame_counts: dict[str, int]
    encode_seconds: float


def open_features(
    dump: Path, encoder: str, data_dir: DataDir, settings: Settings = NO_SETTINGS
) -> Features:
    """Open a set's finished features.

    Args:
        dump: root of the cache.
        encoder: folder or hub id.
        data_dir: a set with audio.
        settings: settings of the encoder that are not the default
            (`ModelConfig.encoder_settings`).

    Raises:
        DataError: they are missing, incomplete, or were made by another encoder or of other audio.
    """
    folder = feature_folder(dump, encoder, data_dir, settings)
    if not (folder / "feats.scp").is_file():
        if any(folder.glob("feats.*.scp")):
            message, remedy = f"features of {data_dir.name} are not joined yet", JOIN
            raise DataError(message, folder, remedy=remedy)
        raise DataError(f"no features for {data_dir.name}", folder, remedy=REMEDY)
    check_features(dump, encoder, data_dir, settings)
    with guarded(folder / COUNTS, "is damaged", remedy=made_again(folder)):
        counts = {utt: int(n) for utt, n in read_table(folder / COUNTS).items()}
        counts = share_keys(counts, data_dir.text)
    missing = [utt for utt in data_dir.ids if utt not in counts]
    if missing:
        raise DataError(
            f"{len(missing)} utterances have no features: {', '.join(missing[:5])}",
            folder,
            remedy=REMEDY,
        )
    seconds = read_mapping(folder / TIMING, made_again(folder))["encode_seconds"]
    frames = ArkReader(folder / "feats.scp")
    if is_verifying():
        for utt in frames:
            frames[utt]
    return Features(frames, counts, seconds)


def check_features(
    dump: Path, encoder: str, data_dir: DataDir, settings: Settings = NO_SETTINGS
) -> Path | None:
    """Check that a set's features are not stale, and set `data_dir.samples`.

    Args:
        dump: root of the cache.
        encoder: folder or hub id.
        data_dir: a set with audio.
        settings: settings of the encoder that are not the default.

    Returns:
        Table of the hashes of the set's audio; None if the set has no features, or if an older
        version made them.

    Raises:
        DataError: the features are stale (of another encoder, or of other audio) or damaged.
    """
    folder = feature_folder(dump, encoder, data_dir, settings)
    if not (folder / "feats.scp").is_file():
        return None
    check_key(folder, encoder, data_dir, settings)
    check_whole(folder, data_dir, _chunks(data_dir))
    table = audio_table(folder)
    data_dir.samples = table and digest(table)
    return table


def extract(
    data_dirs: Sequence[DataDir],
    dump: Path,
    encoder: str,
    load_encoder: Callable[[], Encode],
    job: int = 1,
    jobs: int = 1,
    batch_seconds: float = 100.0,
    allow_pipes: bool = False,
    settings: Settings = NO_SETTINGS,
    threads: Callable[[], int] = lambda: 1,
) -> None:
    """Encode this job's share of the sets' chunks, those that are not there yet.

    Args:
        data_dirs: sets with audio.
        dump: root of the cache.
        encoder: folder or hub id.
        load_encoder: gives the function from waves to frames; called only if there is work.
        job, jobs: this is job `job` (1-based) of `jobs`.
        batch_seconds: budget of a batch, utterances x longest utterance.
        allow_pipes: run the commands in wav.scp.
        settings: settings of the encoder that are not the default.
        threads: gives the number of threads that read audio, encode it and check its frames; called
            only if there is work. With more than one, all of them call the encoder's function.

    Raises:
        DataError: names the utterance whose audio cannot be used, or gives no frame.
    """
    work = []
    for data_dir in data_dirs:
        folder = feature_folder(dump, encoder, data_dir, settings)
        check_key(folder, encoder, data_dir, settings)
        done = []
        for number, ids in _chunks(data_dir)[job - 1 :: jobs]:
            if _scp(folder, number).is_file():
                problem = chunk_problem(folder, number, data_dir, ids)
                if problem is None:
                    done.append(_lock(folder, number))
                    continue
                log.warning("%s: chunk %d is made anew: %s", folder, number, problem)
            work.append((data_dir, folder, number, ids))
        clean_up(*done)
    total = sum(len(ids) for *_, ids in work)
    if not total:
        log.info("features: job %d of %d has nothing left to do", job, jobs)
        return
    encode = load_encoder()
    with Progress("features", total) as progress:
        for data_dir, folder, number, ids in work:
            write_key(folder, encoder, data_dir, settings)
            with locked(_lock(folder, number), f"chunk {number} of {folder}"):
                is_there = _scp(folder, number).is_file()
                if is_there and chunk_problem(folder, number, data_dir, ids) is None:
                    progress.advance(len(ids))  # another job has made it since
                    continue
                audio = audio_record(data_dir, ids)
                batches = _batches(data_dir, ids, batch_seconds, allow_pipes)
                encoded = partial(_encoded, data_dir, encode, allow_pipes)
                found = in_order(encoded, batches, threads())
                _write_frames(folder, number, found, progress, data_dir.name)
                write_chunk(folder, number, audio)


def _write_frames(
    folder: Path, number: int, batches: Iterable[Encoded], progress: Progress, name: str
) -> None:
    """Write a chunk's frames batch by batch; the time noted for it includes computing them."""
    started = time.perf_counter()
    with ArkWriter(folder / f"feats.{number}.ark", _scp(folder, number)) as ark:
        counts = {}
        for batch in batches:
            for utt_id, frames in batch:
                ark.write(utt_id, frames)
                counts[utt_id] = len(frames)
            progress.advance(len(batch), name)
        write_table(folder / f"{COUNTS}.{number}", {u: str(n) for u, n in counts.items()})
        took = round(time.perf_counter() - started, 3)
        write_json(folder / f"{TIMING}.{number}", {"encode_seconds": took})


def _encoded(data_dir: DataDir, encode: Encode, allow_pipes: bool, batch: Sequence[str]) -> Encoded:
    """Frames of a batch's utterances; refuses audio that cannot be used or gives no good frames."""
    waves = []
    for utt_id in batch:
        try:
            waves.append(load_audio(data_dir.audio[utt_id], allow_pipes=allow_pipes))
        except AudioError as error:
            raise _unusable(data_dir, utt_id, error.message, error.remedy) from error
    try:
        encoded = encode(waves)
    except WaveError as error:
        least = error.least_seconds
        place = shell_word(data_dir.path)
        remedy = f"speechllm data fix --min_seconds {least:g} {place} drops such utterances"
        raise _unusable(data_dir, batch[error.position], too_short(least), remedy) from error
    found = list(zip(batch, encoded, strict=True))
    for utt_id, frames in found:
        if not len(frames):
            raise _unusable(data_dir, utt_id, "the encoder makes no frame of it", None)
        if not np.isfinite(frames).all():
            message = "the encoder's frames of it hold NaN or Inf"
            raise _unusable(data_dir, utt_id, message, "listen to it; drop it if it is damaged")
    return found


def _unusable(data_dir: DataDir, utt_id: str, why: str, remedy: str | None) -> DataError:
    table = "segments" if (data_dir.path / "segments").is_file() else "wav.scp"
    return DataError(f"{utt_id}: {why}", data_dir.path / table, remedy=remedy)


def merge(
    data_dirs: Sequence[DataDir], dump: Path, encoder: str, settings: Settings = NO_SETTINGS
) -> None:
    """Join every set's chunks into feats.scp and utt2num_frames.

    Args:
        data_dirs: sets with audio.
        dump: root of the cache.
        encoder: folder or hub id.
        settings: settings of the encoder that are not the default.

    Raises:
        DataError: a chunk is missing, the features are stale, or an utterance has none.
    """
    for data_dir in data_dirs:
        folder = feature_folder(dump, encoder, data_dir, settings)
        check_key(folder, encoder, data_dir, settings)
        chunks = _chunks(data_dir)
        counts: dict[str, str] = {}
        seconds = 0.0
        for number, _ in chunks:
            if not _scp(folder, number).is_file():
                message = f"chunk {number} of the features is missing"
                remedy = f"{REMEDY}: the command without --merge makes it"
                raise DataError(message, folder, remedy=remedy)
            counts |= read_table(folder / f"{COUNTS}.{number}")
            timing = read_mapping(folder / f"{TIMING}.{number}", made_again(folder))
            seconds += timing["encode_seconds"]
        write_table(folder / COUNTS, counts)
        write_json(folder / TIMING, {"encode_seconds": seconds})
        merge_scps([_scp(folder, n) for n, _ in chunks], folder / "feats.scp", data_dir.ids)
        write_merged(folder, data_dir, chunks)


def _lock(folder: Path, number: int) -> Path:
    return folder / f".feats.{number}.lock"


def _scp(folder: Path, number: int) -> Path:
    return folder / f"feats.{number}.scp"


def _chunks(data_dir: DataDir) -> list[tuple[int, list[str]]]:
    ids = data_dir.ids
    starts = range(0, len(ids), CHUNK_UTTERANCES)
    return [(n, ids[start : start + CHUNK_UTTERANCES]) for n, start in enumerate(starts, 1)]


def _batches(
    data_dir: DataDir, ids: list[str], batch_seconds: float, allow_pipes: bool
) -> list[list[str]]:
    """Batches of utterances of like length, as many as the budget of padded seconds holds."""
    seconds = {
        i: data_dir.utt2dur.get(i) or guessed_duration(data_dir.audio[i], allow_pipes) for i in ids
    }
    batches: list[list[str]] = []
    for utt_id in sorted(ids, key=lambda i: (seconds[i], i)):
        if not batches or seconds[utt_id] * (len(batches[-1]) + 1) > batch_seconds:
            batches.append([])
        batches[-1].append(utt_id)
    return batches
