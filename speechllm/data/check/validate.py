"""Checks of a data dir. All faults are collected; each names file, line and remedy."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from speechllm.config import SPEECH_MARKER
from speechllm.data.check.findings import Decision, Finding
from speechllm.data.check.rows import Rows, read_rows
from speechllm.data.check.validate_answers import Limit, check_answers
from speechllm.data.check.validate_audio import AudioFault, check_audio
from speechllm.data.dirs.bias_lists import BIAS_WORDS, BIASING, parse_biasing, scan_words
from speechllm.data.dirs.characters import LOST, Unseen, mended, unseen
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
    CHANNELS,
    NO_DATA_DIR,
    NO_TEXT,
    Fault,
    Row,
    scan_table,
)
from speechllm.data.speech.audio_error import LEAST_SECONDS
from speechllm.errors import DataError, shell_word
from speechllm.files.garbage import uncollected
from speechllm.task import Task

T = TypeVar("T")
SEMANTICS = "semantics"  # table of meanings
MOST_NAMED = 3  # invisible characters of one transcript that are named
DURATION_TOLERANCE = 0.05  # seconds between utt2dur and the audio
REBUILT = ("spk2utt", "utt2dur")  # by `speechllm data fix`, whatever stands in them


@uncollected()
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
    check = Check(Path(path), allow_pipes, full, transcript_limit, task)
    if not check.path.is_dir():
        return [Finding("error", "no such data dir", check.path, remedy=NO_DATA_DIR)]
    check.tables()
    check.bias_lists()
    check.answers(others)
    check.listen(max_seconds, least_seconds)
    return check.findings


class Check:
    """Check under way: the tables of one data dir, and the findings so far.

    Args:
        path, allow_pipes, full, transcript_limit, task: as for `check_data_dir`.

    Attributes:
        rows: first row of every id, by table.
        findings: faults found so far.
        audio: utterances with text, and places of their samples; known after `tables`.
        seconds: length of each that can be used; known after `listen`.
    """

    def __init__(
        self,
        path: Path,
        allow_pipes: bool = False,
        full: bool = False,
        transcript_limit: Limit = lambda text, answer=None: None,
        task: Task | None = None,
    ):
        self.path, self.task, self.allow_pipes, self.full = path, task, allow_pipes, full
        self.fix = f"speechllm data fix {'--allow_pipes ' * allow_pipes}{shell_word(path)}"
        self.transcript_limit = transcript_limit
        self.findings: list[Finding] = []
        self.audio: dict[str, Audio] = {}
        self.seconds: dict[str, float] = {}
        self.places: dict[str, Path] = {}  # files, which a million findings share
        self.undecoded: set[int] = set()  # lines of `text` that are not UTF-8
        names = (*TABLES, BIASING)
        self.rows = {name: self._scan(name) for name in names if (path / name).exists()}

    def tables(self) -> None:
        """Check the tables that `speechllm data fix` mends, and whether they fit together."""
        self._text()
        self.audio = self._audio_entries()
        self._speakers()
        self._entities()

    def listen(self, max_seconds: float, least_seconds: Callable[[], float]) -> None:
        """Check the audio, and the durations that are written down."""
        found = check_audio(self.audio, self.allow_pipes, self.full, max_seconds, least_seconds)
        for utt, header, faults in found:
            for fault in faults:
                self._audio_fault(utt, self.audio[utt], fault)
            if header is not None:
                self.seconds[utt] = header.seconds
        self._durations()

    def _scan(self, name: str) -> Rows:
        """First row of every key of a table."""

        def report(fault: Fault) -> None:
            does = _decision(name, fault) if name in TABLES else None
            self._complain(name, fault.message, fault.line, fault.remedy, fault.item, decision=does)
            if name == "text" and not fault.mendable:
                self.undecoded.add(fault.line)

        try:
            rows = read_rows(self.path / name, report)
        except DataError as error:
            remedy = error.remedy or "check the file and its permissions"
            decision = Decision("ask", error.fault) if name in TABLES else None
            self._complain(name, error.fault, error.line, remedy, decision=decision)
            return Rows({})
        if not rows:
            self._complain(name, "file is empty", remedy=NO_TEXT if name == "text" else "delete it")
        return rows

    def _complain(
        self,
        file: str,
        message: str,
        line: int | None = None,
        remedy: str | None = None,
        item: str = "",
        severity: Literal["error", "warning"] = "error",
        decision: Decision | None = None,
    ) -> None:
        """Note a fault; without a remedy it is one that `speechllm data fix` mends."""
        remedy = self.fix if remedy is None else remedy
        if file not in self.places:
            self.places[file] = self.path / file
        place = self.places[file]
        self.findings.append(Finding(severity, message, place, line, remedy, item, decision))

    def _drop(
        self,
        file: str,
        message: str,
        line: int,
        key: str,
        severity: Literal["error", "warning"] = "error",
        line_alone: bool = True,
    ) -> None:
        """Note a fault for which `speechllm data fix` drops an utterance, or just the line."""
        decision = Decision("drop line" if line_alone else "drop", message, key)
        self._complain(file, message, line, None, key, severity, decision)

    def _parsed(
        self,
        name: str,
        parse: Callable[[str], T],
        remedy: str,
        decide: Callable[[str, ValueError], Decision | None] = lambda utt, error: None,
    ) -> dict[str, T]:
        """Values of a table; complains about each that cannot be parsed."""
        values = {}
        for utt, row in self.rows.get(name, Rows({})).items():
            try:
                values[utt] = parse(row.value)
            except ValueError as error:
                message, decision = f"malformed: {_general(error)}", decide(utt, error)
                self._complain(name, message, row.line, remedy, utt, decision=decision)
        return values

    def _same_ids(
        self, name: str, unknown: str, missing: str | None, wanted: Iterable[str]
    ) -> None:
        """Compare the keys of a table with the utterances that it should have."""
        wanted = set(wanted)
        for utt, row in self.rows[name].items():
            if utt not in wanted and name in REBUILT:
                self._complain(name, unknown, row.line, item=utt)
            elif utt not in wanted:
                self._drop(name, unknown, row.line, utt)
        if missing is not None:
            for utt in sorted(wanted - self.rows[name].keys()):
                self._complain(name, missing, item=utt)

    def _text(self) -> None:
        """Check that transcripts are there, and fit for an LLM."""
        if "text" not in self.rows:
            self._complain("text", "file is missing", remedy=NO_TEXT)
        for utt, row in self.rows.get("text", Rows({})).items():
            edit = "mend the transcript in this line"
            if not mended(row.value):
                self._empty_transcript(utt, row)
            if SPEECH_MARKER in row.value:
                message = f"transcript holds the marker {SPEECH_MARKER}"
                self._complain("text", message, row.line, edit, utt)
            self._characters(utt, row)
            if problem := self.transcript_limit(row.value):
                remedy = "shorten the transcript, drop the utterance, or use a longer context"
                self._complain("text", problem, row.line, remedy, utt)

    def _characters(self, utt: str, row: Row) -> None:
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
            self._complain("text", message, row.line, remedy, item, severity)
        if not unicodedata.is_normalized("NFC", row.value):
            message = "transcript is not in composed form (Unicode NFC)"
            self._complain("text", message, row.line, None, utt, "warning")

    def _empty_transcript(self, utt: str, row: Row) -> None:
        """Report an empty transcript: a warning where speech has other answers, else an error."""
        message, heard = "empty transcript", "wav.scp" in self.rows
        if heard and self.task and self.task.table != "text":
            message, remedy = f"{message}: heard, but never read", "add it, if it is known"
            self._complain("text", message, row.line, remedy, utt, "warning")
        elif heard and utt in self._understood:
            self._complain("text", message, row.line, item=utt)
        else:
            self._drop("text", message, row.line, utt, line_alone=False)

    @cached_property
    def _understood(self) -> set[str]:
        """Utterances whose meaning is known, so that their words need not be."""
        if not (self.path / SEMANTICS).is_file():
            return set()
        rows = scan_table(self.path / SEMANTICS, lambda fault: None)
        return {row.key for row in rows if row.value}

    def answers(self, others: Sequence[Task]) -> None:
        """Check the LLM's answers, where they are not the transcripts."""
        text = self.rows.get("text", Rows({}))
        check_answers(
            self.path, text, self.task, self._scan, self._complain, self.transcript_limit, others
        )

    def _audio_entries(self) -> dict[str, Audio]:
        """Utterances that have text and a usable entry in wav.scp (and segments)."""
        text = self.rows.get("text", Rows({}))
        for name in ("segments", "utt2dur"):
            if name in self.rows and "wav.scp" not in self.rows:
                message = f"file is missing, yet there is {name}"
                ask = Decision("ask", message) if name == "segments" else None
                self._complain("wav.scp", message, remedy="add it", decision=ask)
        if "wav.scp" not in self.rows:
            return {}
        for rec, row in self.rows["wav.scp"].items():
            if not row.value:
                message = "no path after the id"
                does = "drop line" if "segments" in self.rows else "drop"
                drop = Decision(does, message, rec)
                self._complain("wav.scp", message, row.line, "add it", rec, decision=drop)
        sources = {rec: row.value for rec, row in self.rows["wav.scp"].items() if row.value}
        edit = "mend or delete the line"
        channels = self._parsed(
            CHANNELS, parse_channel, edit, lambda rec, error: Decision("ask", f"{rec}: {error}")
        )
        for rec in sorted(channels.keys() - self.rows["wav.scp"].keys()):
            line = self.rows[CHANNELS][rec].line
            self._drop(CHANNELS, "channel of an unknown recording", line, rec)
        audio = whole_recordings(sources, channels)
        name = "wav.scp"
        if "segments" in self.rows:
            name, audio = "segments", self._segments(audio)
        self._same_ids(name, "audio without text", None, text)
        for utt, row in text.items():
            if utt not in self.rows[name]:
                self._drop("text", "text without audio", row.line, utt, line_alone=False)
        return {utt: entry for utt, entry in sorted(audio.items()) if utt in text}

    def _segments(self, recordings: dict[str, Audio]) -> dict[str, Audio]:
        audio, used = {}, set()
        cuts = self._parsed(
            *("segments", parse_segment, self.fix),
            lambda utt, error: Decision("drop", "malformed segment", utt),
        )
        for utt, (rec, start, end) in cuts.items():
            used.add(rec)
            if rec in recordings:
                audio[utt] = recordings[rec].cut(start, end)
            else:
                line = self.rows["segments"][utt].line
                drop = Decision("drop", "segment of an unknown recording", utt)
                message, item = "recording is not in wav.scp", f"{utt} ({rec})"
                self._complain("segments", message, line, item=item, decision=drop)
        for rec in sorted(recordings.keys() - used):
            line = self.rows["wav.scp"][rec].line
            self._drop("wav.scp", "recording without a segment", line, rec, "warning")
        return audio

    def _audio_fault(self, utt: str, audio: Audio, fault: AudioFault) -> None:
        cut = fault.of_segment and "segments" in self.rows
        name, key = ("segments", utt) if cut else ("wav.scp", audio.recording)
        item = f"{utt} ({fault.detail})" if fault.detail else utt
        options = fault.fix_option + ("--full " if self.full else "")
        command = self.fix.replace("fix ", f"fix {options}", 1)
        remedy = fault.remedy or f"mend the audio, or drop such utterances: {command}"
        line = self.rows[name][key].line
        drop = Decision("drop", fault.message, utt) if fault.severity == "error" else None
        self._complain(name, fault.message, line, remedy, item, fault.severity, drop)

    def _speakers(self) -> None:
        for name in ("utt2spk", "spk2utt"):
            if "wav.scp" in self.rows and name not in self.rows:
                self._complain(name, "file is missing")
        if "utt2spk" in self.rows:
            text = self.rows.get("text", Rows({}))
            self._same_ids("utt2spk", "speaker of an unknown utterance", "no speaker", text)
        for utt, row in self.rows.get("utt2spk", Rows({})).items():
            if len(row.value.split()) != 1:
                message = "not `utterance speaker`: an id may not hold spaces"
                self._complain("utt2spk", message, row.line, "rename it everywhere", utt)
        if "utt2spk" in self.rows and "spk2utt" in self.rows:
            wanted = spk2utt_of(self.rows["utt2spk"].values_by_key)
            found = self.rows["spk2utt"].values_by_key
            for speaker in sorted(wanted.keys() | found.keys()):
                if wanted.get(speaker, "").split() != sorted(found.get(speaker, "").split()):
                    row = self.rows["spk2utt"].get(speaker)
                    message = "disagrees with utt2spk"
                    self._complain("spk2utt", message, row and row.line, item=speaker)

    def _entities(self) -> None:
        if "entities" not in self.rows:
            return
        text = self.rows.get("text", Rows({}))
        self._same_ids("entities", "entities of an unknown utterance", None, text)
        entities = self._parsed(
            *("entities", parse_entities, "mend or delete the line"),
            lambda utt, error: Decision("ask", f"{utt}: malformed entities ({error})"),
        )
        for utt, listed in entities.items():
            transcript = text[utt].value if utt in text else None
            for entity in listed if transcript is not None else ():
                if message := _entity_problem(entity["text"], transcript):
                    line, item = self.rows["entities"][utt].line, f"{utt} ({entity['text']})"
                    edit = "mend the entity or the transcript"
                    self._complain("entities", message, line, edit, item, "warning")

    def bias_lists(self) -> None:
        """Check the bias lists."""
        if BIASING in self.rows:
            text, edit = self.rows.get("text", Rows({})), "mend or delete the line"
            for utt, row in self.rows[BIASING].items():
                if utt not in text:
                    self._complain(BIASING, "list of an unknown utterance", row.line, edit, utt)
            own = self._parsed(BIASING, parse_biasing, edit)
            self._entries_fit(BIASING, (entry for entries in own.values() for entry in entries))
        if (self.path / BIAS_WORDS).exists():

            def report(fault: Fault) -> None:
                self._complain(BIAS_WORDS, fault.message, fault.line, fault.remedy, fault.item)

            try:
                self._entries_fit(BIAS_WORDS, scan_words(self.path / BIAS_WORDS, report))
            except DataError as error:
                self._complain(BIAS_WORDS, error.fault, error.line, error.remedy)

    def _entries_fit(self, name: str, entries: Iterable[str]) -> None:
        """Warn about lists in another form than the transcripts: no hypothesis would match them."""
        words = words_of_phrases(self.rows.get("text", Rows({})).values_by_key.values())
        fit = compare(dict.fromkeys(entries, 1), words)
        if fit.is_odd(of_list=True):
            setting = fit.assignment("biasing.fold")
            remedy = "write them as the model writes transcripts"
            remedy += f", or decode with {setting}" if setting else ""
            said = fit.says("entries", "the transcripts")
            self._complain(name, said, None, remedy, severity="warning")

    def _durations(self) -> None:
        """Compare utt2dur with the audio's own lengths."""
        if "utt2dur" not in self.rows:
            if "wav.scp" in self.rows:
                self._complain("utt2dur", "file is missing", severity="warning")
            return
        text = self.rows.get("text", Rows({}))
        self._same_ids("utt2dur", "duration of an unknown utterance", "no duration", text)
        for utt, said in self._parsed("utt2dur", parse_duration, self.fix).items():
            if utt in self.seconds and not is_right(said, measured := self.seconds[utt]):
                item = f"{utt} ({said:.2f} s, its audio {measured:.2f} s)"
                line = self.rows["utt2dur"][utt].line
                self._complain("utt2dur", "disagrees with the audio", line, item=item)


def is_right(said: float, measured: float) -> bool:
    """Whether a duration that is written down is that of the audio."""
    return abs(said - measured) <= DURATION_TOLERANCE


def _decision(name: str, fault: Fault) -> Decision:
    """Decision on a fault in one line of a table."""
    if not fault.mendable:
        return Decision("ask", f"{fault.message}: {fault.item}")
    if fault.other and name not in REBUILT:
        said = f"{fault.item} also stands in line {fault.other}, with another value"
        return Decision("ask", said)
    return Decision("mend", f"{name}: {fault.message}")


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
