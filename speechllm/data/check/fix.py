"""Repair of a data dir: what does not fit is dropped and reported, the old files are kept."""

import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from speechllm.data.check.findings import Finding
from speechllm.data.check.validate import Check, is_right
from speechllm.data.dirs.characters import mended
from speechllm.data.dirs.kaldi import TABLES, parse_duration, spk2utt_of
from speechllm.data.dirs.set_tables import Table, further_tables
from speechllm.data.dirs.tables import CHANNELS, NO_DATA_DIR, NO_TEXT, first_ids, write_table
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
        gone: utterances that are dropped.
    """

    dropped: dict[str, list[str]] = field(default_factory=dict)
    mended: Counter[str] = field(default_factory=Counter)
    written: list[str] = field(default_factory=list)
    backup: Path | None = None
    gone: set[str] = field(default_factory=set)

    def decide(self, findings: Iterable[Finding]) -> None:
        """Note what is dropped and mended; an utterance is dropped once, for the first reason.

        Raises:
            DataError: something that only the user can decide.
        """
        for finding in findings:
            if finding.decision is None:
                continue
            does, said, key = finding.decision
            if does == "ask":
                raise DataError(said, finding.file, finding.line, finding.remedy)
            if does == "mend":
                self.mended[said] += 1
            elif does == "drop line" or key not in self.gone:
                self.dropped.setdefault(said, []).append(key)
            if does == "drop":
                self.gone.add(key)

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
    check = Check(Path(path), allow_pipes, full)
    if not check.path.is_dir():
        raise DataError("no such data dir", path, remedy=NO_DATA_DIR)
    if "text" not in check.rows:
        raise DataError("no such file", check.path / "text", remedy=NO_TEXT)
    report = FixReport()
    check.tables()
    report.decide(check.findings)
    _refuse_commands(check)
    before = len(check.findings)
    check.listen(float("inf"), lambda: min_seconds)
    report.decide(check.findings[before:])
    _write(check, _mended_tables(check, report), report)
    return report


def _refuse_commands(check: Check) -> None:
    sources = check.rows.get("wav.scp", {})
    pipes = sorted(rec for rec, row in sources.items() if row.value.endswith("|"))
    if pipes and not check.allow_pipes:
        message = f"shell commands are not allowed: {first_ids(pipes)}"
        raise DataError(message, check.path / "wav.scp", remedy="--allow_pipes, if you trust it")


def _mended_tables(check: Check, report: FixReport) -> dict[str, Table]:
    """Tables of the utterances that are left; those that become empty are left out later."""
    old = _values(check)
    text = {utt: mended(transcript) for utt, transcript in sorted(old["text"].items())}
    if odd := sum(text[utt] != transcript for utt, transcript in old["text"].items()):
        report.mended["text: characters that nobody sees, or Unicode that is not NFC"] = odd
    left = {utt: text[utt] for utt in text if utt not in report.gone}
    if not left:
        first = next(iter(report.dropped), "the file is empty")
        message = f"no utterance would be left ({first})"
        remedy = "are audio paths right, seen from this directory?"
        raise DataError(message, check.path, remedy=remedy)
    new = {"text": left}
    if "wav.scp" in old:
        recordings = {check.audio[utt].recording for utt in left}
        for name in ("wav.scp", CHANNELS):
            new[name] = {rec: v for rec, v in old.get(name, {}).items() if rec in recordings}
        new["utt2dur"] = _durations({u: check.seconds[u] for u in left}, old.get("utt2dur", {}))
    for name in ("segments", "entities"):
        new[name] = {utt: value for utt, value in old.get(name, {}).items() if utt in left}
    if "utt2spk" in old or "wav.scp" in old:
        known = old.get("utt2spk", {})
        if alone := sum(not known.get(utt) for utt in left):
            report.mended["utt2spk: utterances that became their own speaker"] = alone
        new["utt2spk"] = {utt: known.get(utt) or utt for utt in left}
        new["spk2utt"] = spk2utt_of(new["utt2spk"])
    return new


def _values(check: Check) -> dict[str, Table]:
    known = {name: rows for name, rows in check.rows.items() if name in TABLES}
    return {name: {key: row.value for key, row in rows.items()} for name, rows in known.items()}


def _durations(seconds: dict[str, float], old: Table) -> Table:
    """Measured durations; an old value that is right is kept as written."""
    durations = {}
    for utt, measured in seconds.items():
        durations[utt] = f"{measured:.4f}"
        with suppress(KeyError, ValueError):
            if is_right(parse_duration(old[utt]), measured):
                durations[utt] = old[utt]
    return durations


def _write(check: Check, new: dict[str, Table], report: FixReport) -> None:
    """Write the tables that have changed, after a copy of the old ones."""
    path, old = check.path, _values(check)
    untidy = {what.partition(":")[0] for what in report.mended}
    report.written = [n for n in TABLES if n in untidy or old.get(n, {}) != new.get(n, {})]
    gone = old["text"].keys() - new["text"].keys()
    for name, table in further_tables(path)[0].items():
        if gone & table.keys():
            new[name] = {key: value for key, value in table.items() if key not in gone}
            report.written.append(name)
    if report.written:
        report.backup = _back_up(path, sorted({*old, *(new.keys() - {*TABLES})}))
    for name in report.written:
        if new.get(name):
            write_table(path / name, new[name])
        else:
            (path / name).unlink(missing_ok=True)


def _back_up(path: Path, names: list[str]) -> Path:
    """Copy the tables to the first free `.backup/<n>`."""
    taken = [int(p.name) for p in path.glob(f"{BACKUP}/*") if p.name.isdecimal()]
    number = 1 + max(taken, default=0)
    folder = path / BACKUP / str(number)
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy2(path / name, folder / name)
    return folder
