"""Checks of a data dir. All faults are collected; each names file, line and remedy."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from speechllm.config import SPEECH_MARKER
from speechllm.data.check.findings import Finding
from speechllm.data.check.validate_answers import Limit, check_answers
from speechllm.data.check.validate_audio import AudioFault, check_audio
from speechllm.data.dirs.bias_lists import BIAS_WORDS, BIASING, parse_biasing, scan_words
from speechllm.data.dirs.characters import LOST, Unseen, unseen
from speechllm.data.dirs.forms import compare, fold, words_of_phrases
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
from speechllm.data.dirs.tables import (
    ADD_RECORDINGS,
    CHANNELS,
    NO_DATA_DIR,
    NO_RECORDINGS,
    NO_TEXT,
    Fault,
    Row,
    scan_table,
)
from speechllm.data.speech.audio_error import LEAST_SECONDS
from speechllm.errors import DataError, shell_word
from speechllm.task import Task

T = TypeVar("T")
MOST_NAMED = 3  # invisible characters of one transcript that are named
DURATION_TOLERANCE = 0.05  # seconds between utt2dur and the audio


def check_data_dir(
    path: str | Path,
    *,
    allow_pipes: bool = False,
    full: bool = False,
    max_seconds: float = 30.0,
    transcript_limit: Limit = lambda text, answer=None: None,
    task: Task | None = None,
    others: Sequence[Task] = (),
    least_seconds: Callable[[], float] = lambda: LEAST_SECONDS,
) -> list[Finding]:
    """Check a data dir and the audio that it names.

    Args:
        path: the data dir.
        allow_pipes: run the commands in `wav.scp`.
        full: decode all samples; otherwise headers are read, and samples only of float formats,
            the only ones that can hold NaN.
        max_seconds: longer utterances are warned about.
        transcript_limit: says why a transcript, or one with its answer, cannot be used, or
            returns None.
        task: the task that the set is used for, if that is known.
        others: other tasks that it might be meant for; their tables are checked where they exist.
        least_seconds: gives the length of the shortest utterance that the encoder takes.

    Returns:
        All findings, in the order of the tables; an empty list for a flawless set.
    """
    check = _Check(Path(path), transcript_limit, task, "--allow_pipes " if allow_pipes else "")
    if not check.path.is_dir():
        return [Finding("error", "no such data dir", check.path, remedy=NO_DATA_DIR)]
    check.text()
    audio = check.audio_entries()
    check.speakers()
    check.entities()
    check.bias_lists()
    check.answers(others)
    seconds = {}
    for utt, header, faults in check_audio(audio, allow_pipes, full, max_seconds, least_seconds):
        for fault in faults:
            check.audio_fault(utt, audio[utt], fault, full)
        if header is not None:
            seconds[utt] = header.seconds
    check.durations(seconds)
    return check.complaints


class _Check:
    """Check under way: the tables of one data dir, and the findings so far."""

    def __init__(self, path: Path, transcript_limit: Limit, task: Task | None, options: str):
        self.path, self.task = path, task
        self.fix = f"speechllm data fix {options}{shell_word(path)}"
        self.transcript_limit = transcript_limit
        self.complaints: list[Finding] = []
        self.undecoded: set[int] = set()  # lines of `text` that are not UTF-8
        names = (*TABLES, BIASING)
        self.rows = {name: self._scan(name) for name in names if (path / name).exists()}

    def _scan(self, name: str) -> dict[str, Row]:
        """First row of every key of a table."""

        def report(fault: Fault) -> None:
            self.complain(name, fault.message, fault.line, fault.remedy, fault.item)
            if name == "text" and not fault.mendable:
                self.undecoded.add(fault.line)

        try:
            rows = scan_table(self.path / name, report)
        except DataError as error:
            remedy = error.remedy or "check the file and its permissions"
            self.complain(name, error.fault, error.line, remedy)
            return {}
        if not rows:
            self.complain(name, "file is empty", remedy=NO_TEXT if name == "text" else "delete it")
        return {row.key: row for row in reversed(rows)}

    def complain(
        self,
        file: str,
        message: str,
        line: int | None = None,
        remedy: str | None = None,
        item: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        remedy = self.fix if remedy is None else remedy
        self.complaints.append(Finding(severity, message, self.path / file, line, remedy, item))

    def parsed(self, name: str, parse: Callable[[str], T], remedy: str) -> dict[str, T]:
        """Values of a table; complains about each that cannot be parsed."""
        values = {}
        for utt, row in sorted(self.rows.get(name, {}).items()):
            try:
                values[utt] = parse(row.value)
            except ValueError as error:
                self.complain(name, f"malformed: {_general(error)}", row.line, remedy, utt)
        return values

    def same_ids(self, name: str, unknown: str, missing: str | None, wanted: Iterable[str]) -> None:
        """Compare the keys of a table with the utterances that it should have."""
        wanted = set(wanted)
        for utt, row in sorted(self.rows[name].items()):
            if utt not in wanted:
                self.complain(name, unknown, row.line, item=utt)
        if missing is not None:
            for utt in sorted(wanted - self.rows[name].keys()):
                self.complain(name, missing, item=utt)

    def text(self) -> None:
        """Check that transcripts are there, and fit for an LLM."""
        if "text" not in self.rows:
            self.complain("text", "file is missing", remedy=NO_TEXT)
        for utt, row in sorted(self.rows.get("text", {}).items()):
            edit = "mend the transcript in this line"
            if not row.value:
                self.empty_transcript(utt, row)
            if SPEECH_MARKER in row.value:
                message = f"transcript holds the marker {SPEECH_MARKER}"
                self.complain("text", message, row.line, edit, utt)
            self.characters(utt, row)
            if problem := self.transcript_limit(row.value):
                remedy = "shorten the transcript, drop the utterance, or use a longer context"
                self.complain("text", problem, row.line, remedy, utt)

    def characters(self, utt: str, row: Row) -> None:
        """Report invisible characters, each kind of fault once, and text that is not NFC."""
        faults: dict[tuple[str, str, Literal["error", "warning"]], list[Unseen]] = {}
        for odd in unseen(row.value):
            if odd.character == LOST and row.line in self.undecoded:
                continue
            what = "a control character" if odd.is_control else "a character that nobody sees"
            remedy = odd.by_hand if odd.instead is None else self.fix
            severity: Literal["error", "warning"] = "error" if odd.is_control else "warning"
            faults.setdefault((f"transcript holds {what}", remedy, severity), []).append(odd)
        for (message, remedy, severity), found in faults.items():
            more = ", ..." if len(found) > MOST_NAMED else ""
            item = f"{utt} ({'; '.join(map(str, found[:MOST_NAMED]))}{more})"
            self.complain("text", message, row.line, remedy, item, severity)
        if not unicodedata.is_normalized("NFC", row.value):
            message = "transcript is not in composed form (Unicode NFC)"
            self.complain("text", message, row.line, None, utt, "warning")

    def empty_transcript(self, utt: str, row: Row) -> None:
        """Report an empty transcript: a warning where speech has other answers, else an error."""
        if self.task and self.task.table != "text" and "wav.scp" in self.rows:
            message, remedy = "empty transcript: heard, but never read", "add it, if it is known"
            self.complain("text", message, row.line, remedy, utt, "warning")
        else:
            self.complain("text", "empty transcript", row.line, item=utt)

    def answers(self, others: Sequence[Task]) -> None:
        """Check the LLM's answers, where they are not the transcripts."""
        text = self.rows.get("text", {})
        check_answers(
            self.path, text, self.task, self._scan, self.complain, self.transcript_limit, others
        )

    def audio_entries(self) -> dict[str, Audio]:
        """Utterances that have text and a usable entry in wav.scp (and segments)."""
        text = self.rows.get("text", {})
        for name in ("segments", "utt2dur"):
            if name in self.rows and "wav.scp" not in self.rows:
                self.complain("wav.scp", f"file is missing, yet there is {name}", remedy="add it")
        if "wav.scp" not in self.rows:
            if "segments" in self.rows:
                self.complain("segments", NO_RECORDINGS, remedy=ADD_RECORDINGS)
            return {}
        for rec, row in sorted(self.rows["wav.scp"].items()):
            if not row.value:
                self.complain("wav.scp", "no path after the id", row.line, "add it", rec)
        sources = {rec: row.value for rec, row in self.rows["wav.scp"].items() if row.value}
        channels = self.parsed(CHANNELS, parse_channel, "mend or delete the line")
        for rec in sorted(channels.keys() - self.rows["wav.scp"].keys()):
            line = self.rows[CHANNELS][rec].line
            self.complain(CHANNELS, "channel of an unknown recording", line, item=rec)
        audio = whole_recordings(sources, channels)
        name = "wav.scp"
        if "segments" in self.rows:
            name, audio = "segments", self.segments(audio)
        self.same_ids(name, "audio without text", None, text)
        for utt, row in sorted(text.items()):
            if utt not in self.rows[name]:
                self.complain("text", "text without audio", row.line, item=utt)
        return {utt: entry for utt, entry in sorted(audio.items()) if utt in text}

    def segments(self, recordings: dict[str, Audio]) -> dict[str, Audio]:
        audio, used = {}, set()
        for utt, (rec, start, end) in self.parsed("segments", parse_segment, self.fix).items():
            used.add(rec)
            if rec in recordings:
                audio[utt] = replace(recordings[rec], start=start, end=end)
            else:
                line = self.rows["segments"][utt].line
                item = f"{utt} ({rec})"
                self.complain("segments", "recording is not in wav.scp", line, item=item)
        for rec in sorted(recordings.keys() - used):
            line = self.rows["wav.scp"][rec].line
            message = "recording without a segment"
            self.complain("wav.scp", message, line, item=rec, severity="warning")
        return audio

    def audio_fault(self, utt: str, audio: Audio, fault: AudioFault, full: bool) -> None:
        cut = fault.of_segment and "segments" in self.rows
        name, key = ("segments", utt) if cut else ("wav.scp", audio.recording)
        item = f"{utt} ({fault.detail})" if fault.detail else utt
        options = fault.fix_option + ("--full " if full else "")
        drop = self.fix.replace("fix ", f"fix {options}", 1)
        remedy = fault.remedy or f"mend the audio, or drop such utterances: {drop}"
        line = self.rows[name][key].line
        self.complain(name, fault.message, line, remedy, item, fault.severity)

    def speakers(self) -> None:
        for name in ("utt2spk", "spk2utt"):
            if "wav.scp" in self.rows and name not in self.rows:
                self.complain(name, "file is missing")
        if "utt2spk" in self.rows:
            text = self.rows.get("text", {})
            self.same_ids("utt2spk", "speaker of an unknown utterance", "no speaker", text)
        for utt, row in sorted(self.rows.get("utt2spk", {}).items()):
            if len(row.value.split()) != 1:
                message = "not `utterance speaker`: an id may not hold spaces"
                self.complain("utt2spk", message, row.line, "rename it everywhere", utt)
        if "utt2spk" in self.rows and "spk2utt" in self.rows:
            wanted = spk2utt_of({utt: row.value for utt, row in self.rows["utt2spk"].items()})
            found = {spk: row.value for spk, row in self.rows["spk2utt"].items()}
            for speaker in sorted(wanted.keys() | found.keys()):
                if wanted.get(speaker, "").split() != sorted(found.get(speaker, "").split()):
                    row = self.rows["spk2utt"].get(speaker)
                    message = "disagrees with utt2spk"
                    self.complain("spk2utt", message, row and row.line, item=speaker)

    def entities(self) -> None:
        if "entities" not in self.rows:
            return
        text = self.rows.get("text", {})
        self.same_ids("entities", "entities of an unknown utterance", None, text)
        for utt, listed in self.parsed("entities", parse_entities, "mend the line").items():
            transcript = text[utt].value if utt in text else None
            for entity in listed if transcript is not None else ():
                if message := _entity_problem(entity["text"], transcript):
                    line, item = self.rows["entities"][utt].line, f"{utt} ({entity['text']})"
                    edit = "mend the entity or the transcript"
                    self.complain("entities", message, line, edit, item, "warning")

    def bias_lists(self) -> None:
        """Check the bias lists."""
        if BIASING in self.rows:
            text, edit = self.rows.get("text", {}), "mend or delete the line"
            for utt, row in sorted(self.rows[BIASING].items()):
                if utt not in text:
                    self.complain(BIASING, "list of an unknown utterance", row.line, edit, utt)
            own = self.parsed(BIASING, parse_biasing, edit)
            self.entries_fit(BIASING, (entry for entries in own.values() for entry in entries))
        if (self.path / BIAS_WORDS).exists():

            def report(fault: Fault) -> None:
                self.complain(BIAS_WORDS, fault.message, fault.line, fault.remedy, fault.item)

            try:
                self.entries_fit(BIAS_WORDS, scan_words(self.path / BIAS_WORDS, report))
            except DataError as error:
                self.complain(BIAS_WORDS, error.fault, error.line, error.remedy)

    def entries_fit(self, name: str, entries: Iterable[str]) -> None:
        """Warn about lists in another form than the transcripts: no hypothesis would match them."""
        words = words_of_phrases(row.value for row in self.rows.get("text", {}).values())
        fit = compare(dict.fromkeys(entries, 1), words)
        if fit.is_odd(of_list=True):
            setting = fit.assignment("biasing.fold")
            remedy = "write them as the model writes transcripts"
            remedy += f", or decode with {setting}" if setting else ""
            said = fit.says("entries", "the transcripts")
            self.complain(name, said, None, remedy, severity="warning")

    def durations(self, seconds: dict[str, float]) -> None:
        """Compare utt2dur with the audio's own lengths."""
        if "utt2dur" not in self.rows:
            if "wav.scp" in self.rows:
                self.complain("utt2dur", "file is missing", severity="warning")
            return
        text = self.rows.get("text", {})
        self.same_ids("utt2dur", "duration of an unknown utterance", "no duration", text)
        for utt, said in self.parsed("utt2dur", parse_duration, self.fix).items():
            if utt in seconds and abs(said - seconds[utt]) > DURATION_TOLERANCE:
                item = f"{utt} ({said:.2f} s, its audio {seconds[utt]:.2f} s)"
                line = self.rows["utt2dur"][utt].line
                self.complain("utt2dur", "disagrees with the audio", line, item=item)


def _entity_problem(entity: str, transcript: str) -> str | None:
    """Say why an entity would not be counted, or None."""
    for folds, problem in (
        (("nfc",), None),
        (("lower", "punctuation"), "entity stands in the transcript in another form only"),
    ):
        # With a blank around each word, so that only whole words match.
        if f" {fold(entity, folds)} " in f" {fold(transcript, folds)} ":
            return problem
    return "entity does not occur in the transcript"


def _general(error: ValueError) -> str:
    """Message of an error without the value that caused it, so that equal faults are grouped."""
    return str(error).split(": ")[0]
