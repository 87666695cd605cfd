"""Repair of a data dir: what does not fit is dropped and reported, the old files are kept."""

import shutil
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from speechllm.data.check.validate import DURATION_TOLERANCE
from speechllm.data.check.validate_audio import check_audio
from speechllm.data.dirs.characters import without_unseen
from speechllm.data.dirs.kaldi import (
    TABLES,
    Audio,
    parse_channel,
    parse_duration,
    parse_entities,
    parse_segment,
    spk2utt_of,
    whole_recordings,
)
from speechllm.data.dirs.set_tables import Table, further_tables
from speechllm.data.dirs.tables import (
    CHANNELS,
    NO_DATA_DIR,
    NO_TEXT,
    Fault,
    Row,
    first_ids,
    scan_table,
    write_table,
)
from speechllm.data.speech.audio_error import LEAST_SECONDS
from speechllm.errors import DataError

BACKUP = ".backup"


@dataclass
class FixReport:
    """Report of a repair.

    Attributes:
        dropped: reason -> ids (of utterances, unless the reason says otherwise).
        mended: kind of fault that was fixed -> number of lines.
        written: tables that were written or removed.
        backup: folder of the old files; None when nothing was changed.
    """

    dropped: dict[str, list[str]] = field(default_factory=dict)
    mended: Counter[str] = field(default_factory=Counter)
    written: list[str] = field(default_factory=list)
    backup: Path | None = None

    def drop(self, reason: str, key: str) -> None:
        self.dropped.setdefault(reason, []).append(key)

    def lines(self) -> list[str]:
        """Lines for printing: counts and the first five ids."""
        lines = [f"dropped, {reason}: {first_ids(ids)}" for reason, ids in self.dropped.items()]
        lines += [f"mended, {what}: {count}" for what, count in self.mended.items()]
        if self.backup is None:
            return [*lines, "nothing to fix"]
        return [*lines, f"written: {' '.join(self.written)}", f"old files: {self.backup}"]


def fix_data_dir(
    path: str | Path,
    *,
    allow_pipes: bool = False,
    full: bool = False,
    min_seconds: float = LEAST_SECONDS,
) -> FixReport:
    """Fix what can be fixed without asking.

    Sorts; removes Windows line ends, empty lines, identical duplicates and characters without
    meaning; composes letters and accents (Unicode NFC); drops utterances without text or without
    usable audio; gives utterances without a speaker one of their own; rebuilds `spk2utt`; measures
    `utt2dur`. Tables that this toolkit does not know lose the dropped utterances. The old tables
    are copied to `.backup/<n>/` first. A flawless set is left alone.

    Args:
        path: the data dir.
        allow_pipes: run the commands in `wav.scp`.
        full: decode all samples, to find what headers do not tell.
        min_seconds: shorter utterances are dropped; by default those that no encoder takes.

    Raises:
        DataError: there is no such data dir or no `text`; something that only the user can decide
            (two lines with one id that differ, bytes that are not UTF-8, an invalid id, malformed
            entities, commands in `wav.scp` that are not allowed); or nothing would be left.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError("no such data dir", path, remedy=NO_DATA_DIR)
    if not (path / "text").is_file():
        raise DataError("no such file", path / "text", remedy=NO_TEXT)
    report = FixReport()
    rows = {name: _scan(path / name, report) for name in TABLES if (path / name).exists()}
    old = {
        name: _unique(path / name, rows[name])
        for name in rows.keys() - {"spk2utt", "utt2dur"}  # made anew
    }
    old["utt2dur"] = {row.key: row.value for row in rows.get("utt2dur", ())}
    new = _mended_tables(path, old, allow_pipes, full, min_seconds, report)
    for name in TABLES:
        before = [(row.key, row.value) for row in rows[name]] if name in rows else []
        untidy = any(what.startswith(f"{name}: ") for what in report.mended)
        if untidy or before != sorted(new.get(name, {}).items()):
            report.written.append(name)
    gone = old["text"].keys() - new["text"].keys()
    for name, table in further_tables(path)[0].items():
        if gone & table.keys():
            new[name] = {key: value for key, value in table.items() if key not in gone}
            report.written.append(name)
    if report.written:
        report.backup = _back_up(path, sorted({*rows, *(new.keys() - {*TABLES})}))
    for name in report.written:
        if new.get(name):
            write_table(path / name, new[name])
        else:
            (path / name).unlink(missing_ok=True)
    return report


def _scan(path: Path, report: FixReport) -> list[Row]:
    """Read a table; count the faults that are fixed thereby, refuse those that cannot be fixed."""

    def note(fault: Fault) -> None:
        if not fault.mendable:
            raise DataError(f"{fault.message}: {fault.item}", path, fault.line, fault.remedy)
        report.mended[f"{path.name}: {fault.message}"] += 1

    return scan_table(path, note)


def _unique(path: Path, rows: list[Row]) -> Table:
    """Merge lines that are equal; refuse lines with the same id that differ."""
    first: dict[str, Row] = {}
    for row in rows:
        seen = first.setdefault(row.key, row)
        if seen.value != row.value:
            message = f"{row.key} also stands in line {seen.line}, with another value"
            remedy = "delete one of the two lines; if the id holds a space, rename it"
            raise DataError(message, path, row.line, remedy)
    return {key: row.value for key, row in first.items()}


def _understood(path: Path) -> set[str]:
    """Utterances with audio whose `semantics` are known: their transcripts may be empty."""
    if not ((path / "semantics").is_file() and (path / "wav.scp").is_file()):
        return set()
    return {row.key for row in scan_table(path / "semantics", lambda fault: None) if row.value}


def _mended_tables(
    path: Path,
    old: dict[str, Table],
    allow_pipes: bool,
    full: bool,
    min_seconds: float,
    report: FixReport,
) -> dict[str, Table]:
    text = {}
    wordless = _understood(path)
    for utt, as_it_was in sorted(old["text"].items()):
        transcript = unicodedata.normalize("NFC", without_unseen(as_it_was))
        if transcript != as_it_was:
            report.mended["text: characters that nobody sees, or Unicode that is not NFC"] += 1
        if transcript or utt in wordless:
            text[utt] = transcript
        else:
            report.drop("empty transcript", utt)
    new: dict[str, Table] = {}
    if "wav.scp" in old:
        audio = _audio(path, old, allow_pipes, report)
        seconds = _usable(audio, old["text"], text, allow_pipes, full, min_seconds, report)
        text = {utt: text[utt] for utt in seconds}
        new["utt2dur"] = _durations(seconds, old["utt2dur"])
        recordings = {audio[utt].recording for utt in seconds}
        new["wav.scp"] = {rec: old["wav.scp"][rec] for rec in recordings}
        channels = old.get(CHANNELS, {})
        new[CHANNELS] = {rec: channel for rec, channel in channels.items() if rec in recordings}
        for rec in sorted(channels.keys() - old["wav.scp"].keys()):
            report.drop("channel of an unknown recording", rec)
        if "segments" in old:
            new["segments"] = {utt: old["segments"][utt] for utt in seconds}
            for rec in sorted(old["wav.scp"].keys() - {a.recording for a in audio.values()}):
                report.drop("recording without a segment", rec)
    elif "segments" in old:
        raise DataError("no such file, yet there are segments", path / "wav.scp")
    if not text:
        first = next(iter(report.dropped), "the file is empty")
        message = f"no utterance would be left ({first})"
        raise DataError(message, path, remedy="are audio paths right, seen from this directory?")
    new["text"] = text
    if "utt2spk" in old or "wav.scp" in old:
        new["utt2spk"] = _speakers(old, text, report)
        new["spk2utt"] = spk2utt_of(new["utt2spk"])
    if "entities" in old:
        new["entities"] = _entities(path / "entities", old, text, report)
    return new


def _audio(
    path: Path, old: dict[str, Table], allow_pipes: bool, report: FixReport
) -> dict[str, Audio]:
    """Well-formed entries of `wav.scp` and `segments`."""
    pipes = [rec for rec, source in sorted(old["wav.scp"].items()) if source.endswith("|")]
    if pipes and not allow_pipes:
        message = f"shell commands are not allowed: {first_ids(pipes)}"
        raise DataError(message, path / "wav.scp", remedy="--allow_pipes, if you trust the file")
    channels = {}
    for rec, value in old.get(CHANNELS, {}).items():
        try:
            channels[rec] = parse_channel(value)
        except ValueError as error:
            remedy = "mend or delete the line"
            raise DataError(f"{rec}: {error}", path / CHANNELS, None, remedy) from error
    whole = whole_recordings(old["wav.scp"], channels)
    if "segments" not in old:
        return whole
    audio = {}
    for utt, value in sorted(old["segments"].items()):
        try:
            rec, start, end = parse_segment(value)
        except ValueError:
            report.drop("malformed segment", utt)
            continue
        if rec in old["wav.scp"]:
            audio[utt] = replace(whole[rec], start=start, end=end)
        else:
            report.drop("segment of an unknown recording", utt)
    return audio


def _usable(
    audio: dict[str, Audio],
    old_text: Table,
    text: Table,
    allow_pipes: bool,
    full: bool,
    min_seconds: float,
    report: FixReport,
) -> dict[str, float]:
    """Seconds of the utterances that have text and usable audio."""
    for utt in sorted(audio.keys() - old_text.keys()):
        report.drop("audio without text", utt)
    dropped = {utt for ids in report.dropped.values() for utt in ids}
    for utt in sorted(text.keys() - audio.keys() - dropped):
        report.drop("text without audio", utt)
    both = {utt: audio[utt] for utt in sorted(text.keys() & audio.keys())}
    seconds = {}
    for utt, header, faults in check_audio(
        both, allow_pipes, full, float("inf"), lambda: min_seconds
    ):
        if header is not None:
            seconds[utt] = header.seconds
        else:
            report.drop(faults[0].message, utt)
    return seconds


def _durations(seconds: dict[str, float], old: Table) -> Table:
    """Measured durations; an old value that is right is kept as written."""
    durations = {}
    for utt, measured in seconds.items():
        durations[utt] = f"{measured:.4f}"
        try:
            if abs(parse_duration(old[utt]) - measured) <= DURATION_TOLERANCE:
                durations[utt] = old[utt]
        except (KeyError, ValueError):
            pass
    return durations


def _speakers(old: dict[str, Table], text: Table, report: FixReport) -> Table:
    known = old.get("utt2spk", {})
    for utt in sorted(known.keys() - old["text"].keys()):
        report.drop("speaker of an unknown utterance", utt)
    alone = [utt for utt in text if not known.get(utt)]
    if alone:
        report.mended["utt2spk: utterances that became their own speaker"] = len(alone)
    return {utt: known.get(utt) or utt for utt in text}


def _entities(file: Path, old: dict[str, Table], text: Table, report: FixReport) -> Table:
    for utt, value in old["entities"].items():
        try:
            parse_entities(value)
        except ValueError as error:
            remedy = "mend or delete the line"
            raise DataError(f"{utt}: malformed entities ({error})", file, None, remedy) from error
    for utt in sorted(old["entities"].keys() - old["text"].keys()):
        report.drop("entities of an unknown utterance", utt)
    return {utt: value for utt, value in old["entities"].items() if utt in text}


def _back_up(path: Path, names: list[str]) -> Path:
    """Copy the tables to the first free `.backup/<n>`."""
    taken = [int(p.name) for p in path.glob(f"{BACKUP}/*") if p.name.isdecimal()]
    number = 1 + max(taken, default=0)
    folder = path / BACKUP / str(number)
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy2(path / name, folder / name)
    return folder
