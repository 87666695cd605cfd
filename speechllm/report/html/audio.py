"""Audio of a page: for each utterance a link into the data, a clip, or a reason for having none.

Browsers play wav, flac, ogg and mp3. Such a file is linked where it lies, and a segment of it by
its times. Anything else (NIST sphere, raw, a shell command ...) is cut into a clip of its own.
"""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from speechllm.data.dirs.kaldi import Audio
from speechllm.data.speech.audio import AudioError, copy_utterance
from speechllm.files.progress import track

MODES = ("link", "copy", "none")
MISSING = "audio file is missing"
_MEGABYTE = 1 << 20


@dataclass
class Budget:
    """Limit on the size of all clips of a report, and the size used so far, in bytes."""

    limit: int
    used: int = 0


@dataclass(frozen=True)
class Request:
    """Settings for the audio of a report.

    Attributes:
        mode: `link` what can be played where it lies and cut the rest, `copy` all, or `none`.
        report: the report's folder, for relative links.
        allow_pipes: run the shell commands of wav.scp.
        budget: size limit of the clips.
    """

    mode: str
    report: Path
    allow_pipes: bool
    budget: Budget


@dataclass
class AudioColumn:
    """Audio of a set, with one entry for each utterance.

    Attributes:
        entries: a URL relative to the page; or [URL, start, end] in seconds, with end None for
            the recording's end; or, if there is no audio, the index of the reason in `reasons`.
        reasons: why there is no audio, in words, with the number of utterances.
        clips, bytes: number and total size of the clips written.
    """

    entries: list[Any] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    clips: int = 0
    bytes: int = 0

    def leave_out(self, reason: str) -> None:
        self.reasons[reason] += 1
        self.entries.append(list(self.reasons).index(reason))

    def as_json(self) -> dict[str, Any]:
        return {"entries": self.entries, "reasons": list(self.reasons)}


def audio_column(
    audios: Sequence[Audio | None], request: Request, slug: str, folder: Path, absent: str
) -> AudioColumn:
    """Link or cut the audio of a set.

    Args:
        audios: audio of each utterance; None where there is none.
        request: settings.
        slug: the set's name in file names. Clips are numbered: ids never become paths.
        folder: the report's folder while it is being made.
        absent: the reason to give for None.
    """
    column = AudioColumn()
    formats: dict[str, str | None] = {}
    for row, audio in enumerate(track(audios, f"audio of {slug}", len(audios))):
        if request.mode == "none":
            column.leave_out("left out with --audio none")
        elif audio is None:
            column.leave_out(absent)
        elif not audio.is_pipe and not Path(audio.source).is_file():
            column.leave_out(MISSING)
        else:
            if audio.source not in formats:
                formats[audio.source] = None if audio.is_pipe else playable_format(audio.source)
            # A player plays all channels, so a single channel has to be cut out.
            suffix = formats[audio.source] if audio.channel is None else None
            if suffix and request.mode == "link":
                column.entries.append(_link(audio, request.report))
            else:
                _clip(column, audio, suffix, request, folder, f"audio/{slug}/{row:05d}")
    return column


def playable_format(path: str | Path) -> str | None:
    """Return the suffix of a format that browsers play, from the first bytes; None for others.

    The file's name does not count: TIMIT's .wav files, for one, are NIST sphere.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(22)
    except OSError:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        coding = int.from_bytes(head[20:22], "little") if head[12:16] == b"fmt " else 1
        return "wav" if coding in (1, 3, 6, 7, 0xFFFE) else None  # PCM, float, A-law, mu-law
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2):
        return "mp3"
    return None


def _link(audio: Audio, report: Path) -> Any:
    path = os.path.relpath(os.path.abspath(audio.source), os.path.abspath(report))
    url = quote(Path(path).as_posix())
    if audio.start is None and audio.end is None:
        return url
    return [url, audio.start or 0.0, audio.end]


def _clip(
    column: AudioColumn, audio: Audio, suffix: str | None, request: Request, folder: Path, name: str
) -> None:
    budget = request.budget
    if budget.used >= budget.limit:
        megabytes = budget.limit // _MEGABYTE
        column.leave_out(f"clips were cut until they took {megabytes} MB (--audio_mb)")
        return
    stem = folder / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    try:
        if suffix and audio.start is None and audio.end is None:
            path = Path(shutil.copyfile(audio.source, stem.with_name(f"{stem.name}.{suffix}")))
        else:
            path = copy_utterance(audio, stem, request.allow_pipes)
    except AudioError as error:
        column.leave_out(error.reason)
        return
    size = path.stat().st_size
    budget.used += size
    column.bytes += size
    column.clips += 1
    column.entries.append(path.relative_to(folder).as_posix())
