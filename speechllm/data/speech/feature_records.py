"""Records of a set's features: which encoder and audio made them, and hashes of their own files.

key.json          encoder, its settings, and the hash of wav.scp, reco2channel and segments
made_from.json    the encoder's files
made_from.N.json  the audio of chunk N, and the files of the chunk
merged.json       the files that `merge` made of the chunks
wav.sha256        recording, and the hash of its audio file (of a command, that of its text)
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechllm.data.dirs.kaldi import DataDir, write_table
from speechllm.data.dirs.tables import CHANNELS
from speechllm.data.speech.ark import CRC
from speechllm.errors import DataError, shell_word
from speechllm.files.made_from import (
    MADE_FROM,
    Files,
    Record,
    changed_since,
    refuse_changes,
    take,
    write_record,
)
from speechllm.files.own import made_again, read_mapping
from speechllm.files.whole import sha256_of, write_json
from speechllm.pretrained import encoder_files, encoder_id, encoder_key

KEY, MERGED, AUDIO = "key.json", "merged.json", "wav.sha256"
COUNTS, TIMING = "utt2num_frames", "timing.json"
REMEDY = "run stage 3 (features)"

Settings = Mapping[str, str]
NO_SETTINGS: Settings = {}


def feature_folder(
    dump: Path, encoder: str, data_dir: DataDir, settings: Settings = NO_SETTINGS
) -> Path:
    """Folder of a set's features.

    Args:
        dump: root of the cache.
        encoder: folder or hub id.
        data_dir: the set.
        settings: settings of the encoder that are not the default.
    """
    return dump / encoder_id(encoder, settings) / data_dir.name


def audio_hash(data_dir: DataDir) -> str:
    """Hash of the tables that name a set's audio (file names and times, not samples)."""
    tables = [data_dir.path / name for name in ("wav.scp", CHANNELS, "segments")]
    return sha256_of([table for table in tables if table.is_file()])


def check_key(folder: Path, encoder: str, data_dir: DataDir, settings: Settings) -> None:
    """Refuse features that another encoder made, or that were made for other tables.

    Args:
        folder: folder of the features; without features in it all is well.
        encoder: folder or hub id.
        data_dir: the set.
        settings: settings of the encoder that are not the default.

    Raises:
        DataError: names what has changed.
    """
    if not _is_used(folder):
        return
    old = read_mapping(folder / KEY, made_again(folder))
    new = _key(encoder, data_dir, settings)
    hashed = old.pop("sha256", None)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    files = changed_since(folder / MADE_FROM, encoder_files(encoder))
    if files is None and hashed != encoder_key(encoder)["sha256"]:
        names.append("weights")
    if names := names + (files or []):
        raise DataError(
            f"these features were made with another {' and '.join(names)}",
            folder,
            remedy=f"rm -r {shell_word(folder)}, then {REMEDY}",
        )
    if files is None:  # an older version's hash says that they are the same
        write_record(folder / MADE_FROM, encoder_files(encoder))


def write_key(folder: Path, encoder: str, data_dir: DataDir, settings: Settings) -> None:
    """Record in a folder without features which encoder and tables its features will be of.

    Args:
        folder: folder of the features.
        encoder: folder or hub id.
        data_dir: the set.
        settings: settings of the encoder that are not the default.
    """
    if not _is_used(folder):
        write_record(folder / MADE_FROM, encoder_files(encoder))
        write_json(folder / KEY, _key(encoder, data_dir, settings))


def _is_used(folder: Path) -> bool:
    """Whether features are there that could be stale; False after a failure in the first chunk."""
    return (folder / KEY).is_file() and any(folder.glob("feats.*"))


def _key(encoder: str, data_dir: DataDir, settings: Settings) -> dict[str, str]:
    return {"encoder": encoder, **settings, "audio": audio_hash(data_dir)}


def audio_record(data_dir: DataDir, ids: Sequence[str]) -> Record:
    """Record of the audio files of some utterances; take it before they are encoded."""
    files = _audio_files(data_dir, ids)
    return take({name: path if path.is_file() else None for name, path in files.items()})


def write_chunk(folder: Path, number: int, audio: Record) -> None:
    """Write the record of a chunk whose files are all there; it marks the chunk as done.

    Args:
        folder: folder of the features.
        number: number of the chunk.
        audio: record of its audio, from `audio_record`.
    """
    write_json(_record(folder, number), audio | take(_own_files(folder, number)))


def chunk_problem(folder: Path, number: int, data_dir: DataDir, ids: Sequence[str]) -> str | None:
    """Reason to make an existing chunk anew; None if there is none.

    Args:
        folder: folder of the features.
        number: number of the chunk.
        data_dir: the set.
        ids: utterances of the chunk.
    """
    own = _own_files(folder, number)
    names = changed_since(_record(folder, number), own | _audio_files(data_dir, ids))
    if names is None:
        half_made = own[f"feats.{number}{CRC}"].is_file()
        refuse_changes(folder, None, REMEDY) if not half_made else None
        return "it is half made" if half_made else None
    names = [name for name in names if name in own or _is_there(name)]
    return f"not as it was: {', '.join(names[:3])}" if names else None


def write_merged(folder: Path, data_dir: DataDir, chunks: Sequence[tuple[int, list[str]]]) -> None:
    """Write the hashes of the set's audio, and the record of the merged files.

    Args:
        folder: folder of the features.
        data_dir: the set.
        chunks: number and utterances of each chunk.
    """
    hashes: dict[str, str] = {}
    known = all(_record(folder, number).is_file() for number, _ in chunks)
    for number, ids in chunks if known else ():
        record = read_mapping(_record(folder, number), made_again(folder))
        for audio in (data_dir.audio[utt] for utt in ids):
            entry = record.get(audio.source)
            piped = hashlib.sha256(audio.source.encode()).hexdigest()
            hashes[audio.recording] = entry[2] if entry else piped
    if known:
        write_table(folder / AUDIO, hashes)
    else:
        (folder / AUDIO).unlink(missing_ok=True)
    write_record(folder / MERGED, _merged_files(folder))


def check_whole(folder: Path, data_dir: DataDir, chunks: Sequence[tuple[int, list[str]]]) -> None:
    """Refuse merged features that are damaged, or whose audio has changed since it was encoded.

    Args:
        folder: folder of the features.
        data_dir: the set.
        chunks: number and utterances of each chunk.

    Raises:
        DataError: names the files that have changed.
    """
    names = changed_since(folder / MERGED, _merged_files(folder))
    refuse_changes(folder, None, REMEDY) if names is None else None
    for number, ids in chunks:
        if (path := _record(folder, number)).is_file():
            # The chunk's own files are looked at when they are read.
            audio = changed_since(path, _audio_files(data_dir, ids), partly=True) or []
            names = [*(names or []), *filter(_is_there, audio)]
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise DataError(
            f"changed since stage 3: {', '.join(names[:3])}{more}", folder, remedy=f"{REMEDY} again"
        )


def audio_table(folder: Path) -> Path | None:
    """Table of the hashes of a set's audio; None where they are not known."""
    return folder / AUDIO if (folder / AUDIO).is_file() else None


def _audio_files(data_dir: DataDir, ids: Sequence[str]) -> dict[str, Path]:
    """Audio files by the names that wav.scp has for them."""
    audio = (data_dir.audio[utt] for utt in ids)
    return {one.source: Path(one.source) for one in audio if not one.is_pipe}


def _is_there(name: str) -> bool:
    """Whether an audio file exists; features stay valid when their audio was removed."""
    return Path(name).exists()


def _own_files(folder: Path, number: int) -> dict[str, Path]:
    names = [f"feats.{number}{suffix}" for suffix in (".ark", ".scp", CRC)]
    return {n: folder / n for n in (*names, f"{COUNTS}.{number}", f"{TIMING}.{number}")}


def _merged_files(folder: Path) -> Files:
    names = ("feats.scp", f"feats{CRC}", COUNTS, TIMING, AUDIO)
    return {name: folder / name for name in names if (folder / name).is_file()}


def _record(folder: Path, number: int) -> Path:
    return folder / f"made_from.{number}.json"
