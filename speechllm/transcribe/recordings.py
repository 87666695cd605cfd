"""Search for recordings to transcribe: audio files, folders, wav.scp files and data dirs."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from speechllm.data.dirs.kaldi import Audio, DataDir, read_table
from speechllm.errors import DataError

log = logging.getLogger(__name__)

AudioPaths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Recording:
    """A recording, or a segment of one, to transcribe.

    Attributes:
        id: its key in wav.scp or segments, or a name made of the file's; never a path.
        audio: place of its samples.
    """

    id: str
    audio: Audio


def find_recordings(places: AudioPaths, channel: int | None = None) -> list[Recording]:
    """Find the recordings in files and folders, without opening audio.

    A folder with a wav.scp is a data dir, whose segments are kept. Any other folder is searched,
    with its subfolders, for files with an ending that libsndfile reads, except hidden ones. A file
    that ends in .scp is a wav.scp. Anything else counts as an audio file, even if it does not
    exist: the error comes when it is read.

    Args:
        places: files and folders.
        channel: channel of all recordings, from 0; None is the data dir's, else the mean of all.

    Raises:
        DataError: a table cannot be used, or there is nothing to transcribe.
    """
    places = [places] if isinstance(places, str | Path) else list(places)
    found = [pair for place in places for pair in _look_into(Path(place))]
    if not found:
        raise DataError(f"no audio in {', '.join(map(str, places)) or 'nothing'}")
    if channel is not None:
        found = [(name, replace(audio, channel=channel)) for name, audio in found]
    return [Recording(name, audio) for name, audio in _with_own_ids(found)]


def _look_into(place: Path) -> Iterator[tuple[str, Audio]]:
    if (place / "wav.scp").is_file():
        yield from DataDir.load(place, with_text=False).audio.items()
    elif place.is_dir():
        yield from _search(place)
    elif place.suffix == ".scp" and place.is_file():
        for recording, source in read_table(place, strict=False).items():
            yield recording, Audio(source, recording=recording)
    else:
        yield _file(place)


def _search(folder: Path) -> Iterator[tuple[str, Audio]]:
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    ]
    audio = [path for path in files if path.suffix.lower() in audio_suffixes()]
    log.info("%s: %d audio files, %d others left", folder, len(audio), len(files) - len(audio))
    yield from map(_file, audio)


def _file(path: Path) -> tuple[str, Audio]:
    audio = Audio(str(path))
    if audio.is_pipe:  # only a wav.scp may hold commands; a file's name must never run as one
        raise DataError("the name of an audio file must not end in '|'", path)
    return re.sub(r"[^\w.+-]+|\.\.+", "_", path.stem) or "_", audio


@cache
def audio_suffixes() -> frozenset[str]:
    """File endings that a folder is searched for."""
    import soundfile

    formats = {name.lower() for name in soundfile.available_formats()} - {"raw"}
    return frozenset(f".{name}" for name in formats | {"aif", "oga", "opus", "sph"})


def _with_own_ids(found: Iterable[tuple[str, Audio]]) -> Iterator[tuple[str, Audio]]:
    """Number repeated names: a, a-2, a-3."""
    taken: set[str] = set()
    for name, audio in found:
        own, number = name, 1
        while own in taken:
            number += 1
            own = f"{name}-{number}"
        taken.add(own)
        yield own, audio
