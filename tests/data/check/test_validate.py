"""Every kind of bad input is found, with file and line, and all of them at once."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.check.findings import Finding, group_findings
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import read_table, write_data_dir, write_table


def found(path: Path, message: str, **options: object) -> list[Finding]:
    """The complaints whose message holds `message`."""
    complaints = check_data_dir(path, **options)
    assert all(c.remedy for c in complaints), "every complaint says what mends it"
    return [c for c in complaints if message in c.message]


def only(path: Path, message: str, **options: object) -> Finding:
    """The only complaint of a set, which holds `message`."""
    complaints = check_data_dir(path, **options)
    assert [c.message for c in complaints if message not in c.message] == []
    assert len(complaints) == 1
    return complaints[0]


def edit(file: Path, old: str, new: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert old in content
    file.write_text(content.replace(old, new), encoding="utf-8", newline="")


def replace_audio(path: Path, utt: str, samples: np.ndarray, rate: int = 16000, **more: str):
    soundfile.write(read_table(path / "wav.scp")[utt], samples, rate, **more)


def test_flawless_sets(make_data_dir):
    assert check_data_dir(make_data_dir()) == []
    entities = {"utt3": [{"type": "crop", "text": "sugar beets"}]}
    assert check_data_dir(make_data_dir("t", with_audio=False, entities=entities)) == []


def test_segmented_set_is_flawless(make_data_dir):
    path = make_data_dir()
    wav = read_table(path / "wav.scp")
    text = {"u1": "a", "u2": "b"}
    segments = {"u1": ("utt1", 0, 0.5), "u2": ("utt1", 0.5, None)}
    utt2dur = {"u1": 0.5, "u2": 0.5}
    write_data_dir(path, text=text, wav={"utt1": wav["utt1"]}, segments=segments, utt2dur=utt2dur)
    assert check_data_dir(path) == []


def test_no_such_dir(tmp_path):
    assert only(tmp_path / "none", "no such data dir").severity == "error"


@pytest.mark.parametrize("name", ["text", "utt2spk", "spk2utt"])
def test_missing_file(make_data_dir, name):
    path = make_data_dir()
    (path / name).unlink()
    complaint = found(path, "file is missing")[0]
    assert (complaint.severity, complaint.file) == ("error", path / name)


def test_missing_utt2dur_is_a_warning(make_data_dir):
    path = make_data_dir()
    (path / "utt2dur").unlink()
    assert only(path, "file is missing").severity == "warning"


def test_missing_wav_scp(make_data_dir):
    path = make_data_dir()
    (path / "wav.scp").unlink()
    assert only(path, "yet there is utt2dur").file == path / "wav.scp"


def test_empty_file(make_data_dir):
    path = make_data_dir()
    (path / "wav.scp").write_text("")
    assert found(path, "file is empty")[0].file == path / "wav.scp"


def test_duplicate_ids(make_data_dir):
    path = make_data_dir()
    edit(path / "text", "utt2 good morning\n", "utt2 good morning\nutt2 good morning\n")
    complaint = only(path, "more than once")
    assert (complaint.line, complaint.item) == (3, "utt2")
    assert complaint.remedy.startswith(f"speechllm data fix {path}")


def test_unsorted_ids(make_data_dir):
    path = make_data_dir()
    lines = (path / "text").read_text().splitlines()
    (path / "text").write_text("\n".join(reversed(lines)) + "\n")
    assert [c.line for c in check_data_dir(path)] == [2, 3]
    assert len(found(path, "not sorted")) == 2


def test_windows_line_ends(make_data_dir):
    path = make_data_dir()
    edit(path / "text", "\n", "\r\n")
    assert [c.line for c in found(path, "CRLF")] == [1, 2, 3]
    assert len(check_data_dir(path)) == 3


def test_not_utf8(make_data_dir):
    path = make_data_dir()
    (path / "text").write_bytes(b"utt1 hello\nutt2 caf\xe9\nutt3 bye\n")
    complaint = only(path, "not UTF-8")
    assert complaint.line == 2
    assert "iconv" in complaint.remedy


@pytest.mark.parametrize("odd", ["../utt2", "a/b", "utt\x012", "utt\u00a02"])
def test_odd_ids(make_data_dir, odd):
    path = make_data_dir()
    edit(path / "text", "utt2 ", f"{odd} ")
    [complaint] = found(path, "id holds") + found(path, "id is empty")
    assert complaint.item == repr(odd)
    assert (complaint.severity, complaint.file, complaint.line) == ("error", path / "text", 2)


def test_ids_with_spaces(make_data_dir):
    path = make_data_dir(text={"utt1": "a", "utt2": "b"})
    for name in ("text", "wav.scp", "utt2spk"):
        edit(path / name, "utt1 ", "utt 1 ")
        edit(path / name, "utt2 ", "utt 2 ")
    twice = found(path, "more than once")
    assert [c.file.name for c in twice] == ["text", "wav.scp", "utt2spk"]
    assert all("space" in c.remedy for c in twice)
    assert found(path, "may not hold spaces")[0].file.name == "utt2spk"


def test_text_without_audio_and_audio_without_text(make_data_dir):
    path = make_data_dir()
    text = read_table(path / "text")
    write_table(path / "text", {"utt0": "new", "utt1": text["utt1"], "utt3": text["utt3"]})
    complaint = found(path, "text without audio")[0]
    assert (complaint.file, complaint.line, complaint.item) == (path / "text", 1, "utt0")
    complaint = found(path, "audio without text")[0]
    assert (complaint.file, complaint.line, complaint.item) == (path / "wav.scp", 2, "utt2")
    assert [c.item for c in found(path, "no speaker")] == ["utt0"]
    assert [c.item for c in found(path, "speaker of an unknown")] == ["utt2"]


def test_empty_transcript(make_data_dir):
    path = make_data_dir()
    edit(path / "text", "utt2 good morning", "utt2")
    complaint = only(path, "empty transcript")
    assert (complaint.line, complaint.item, complaint.remedy) == (
        2,
        "utt2",
        f"speechllm data fix {path}",
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [("good <speech> day", "marker <speech>"), ("good\tday", "control"), ("a\x1bb", "control")],
)
def test_transcripts_that_would_break_a_prompt(make_data_dir, bad, message):
    path = make_data_dir()
    edit(path / "text", "good morning", bad)
    assert only(path, message).line == 2


def test_transcript_limit_is_asked(make_data_dir):
    def limit(text: str) -> str | None:
        return "too long for the context" if len(text.split()) > 2 else None

    assert only(make_data_dir(), "too long", transcript_limit=limit).item == "utt3"


def test_speaker_tables_disagree(make_data_dir):
    path = make_data_dir()
    edit(path / "spk2utt", "spk0 utt1 utt3", "spk0 utt1")
    complaint = only(path, "disagrees with utt2spk")
    assert (complaint.file, complaint.line, complaint.item) == (path / "spk2utt", 1, "spk0")


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ("utt1 0", "segment is not"),
        ("utt1 zero 1", "malformed"),
        ("utt1 0.5 0.5", "ends before it starts"),
        ("utt1 -1 0.5", "not numbers >= 0"),
        ("other 0 1", "recording is not in wav.scp"),
        ("utt1 0 1.2", "beyond the end"),
        ("utt1 1.5 -1", "beyond the end"),
    ],
)
def test_bad_segments(make_data_dir, segment, message):
    path = make_data_dir(text={"utt1": "hello", "utt2": "bye"})
    (path / "segments").write_text(f"utt1 {segment}\nutt2 utt2 0 1\n")
    complaint = found(path, message)[0]
    assert (complaint.severity, complaint.file, complaint.line) == ("error", path / "segments", 1)
    assert complaint.item.startswith("utt1")


def test_segments_without_recordings(make_data_dir):
    path = make_data_dir(text={"utt1": "hello"})
    (path / "segments").write_text("utt1 utt1 0 0.5\n")
    (path / "wav.scp").unlink()
    complaint = found(path, "file is missing, yet there is segments")[0]
    assert (complaint.severity, complaint.file) == ("error", path / "wav.scp")


def test_recording_without_segment(make_data_dir):
    path = make_data_dir(text={"utt1": "hello"})
    edit(path / "wav.scp", "utt1 ", "other x.wav\nutt1 ")
    (path / "segments").write_text("utt1 utt1 0 1\n")
    complaint = only(path, "recording without a segment")
    assert (complaint.severity, complaint.item) == ("warning", "other")


def test_missing_and_unreadable_audio(make_data_dir):
    path = make_data_dir()
    wav = read_table(path / "wav.scp")
    Path(wav["utt1"]).unlink()
    Path(wav["utt2"]).write_text("no audio")
    edit(path / "wav.scp", wav["utt3"], "")
    missing, unreadable = found(path, "audio file is missing")[0], found(path, "cannot be read")[0]
    assert (missing.file, missing.line, missing.item) == (path / "wav.scp", 1, "utt1")
    assert (unreadable.line, unreadable.severity) == (2, "error")
    assert found(path, "no path")[0].line == 3


def test_zero_length_audio(make_data_dir):
    path = make_data_dir()
    replace_audio(path, "utt2", np.zeros(0))
    assert only(path, "zero length").line == 2


def test_nan_audio_is_found_without_full(make_data_dir):
    path = make_data_dir()
    replace_audio(path, "utt2", np.full(16000, np.nan), subtype="FLOAT")
    assert (complaint := only(path, "NaN")).line == 2
    assert complaint.severity == "error"


def test_half_copied_audio(make_data_dir):
    path = make_data_dir()
    file = Path(read_table(path / "wav.scp")["utt2"])
    file.write_bytes(file.read_bytes()[:20000])
    assert only(path, "truncated").item == "utt2 (it ends after 0.62 s)"


def test_full_decodes_all_samples(make_data_dir, tone):
    path = make_data_dir()
    flac = path / "x.flac"
    soundfile.write(flac, np.random.default_rng(0).normal(size=16000) * 0.1, 16000)
    content = bytearray(flac.read_bytes())
    content[10000:10100] = bytes(100)  # what headers tell is as it was
    flac.write_bytes(content)
    edit(path / "wav.scp", read_table(path / "wav.scp")["utt1"], str(flac))
    replace_audio(path, "utt2", np.zeros(16000))
    assert check_data_dir(path) == []
    assert {(c.severity, c.message) for c in check_data_dir(path, full=True)} == {
        ("error", "audio cannot be decoded"),
        ("warning", "all samples are equal: silence"),
    }


def test_telephone_and_stereo_audio_are_warned_about(make_data_dir, tone):
    path = make_data_dir()
    replace_audio(path, "utt1", tone(rate=8000), 8000)
    replace_audio(path, "utt2", tone(channels=2))
    rate, stereo = check_data_dir(path)
    assert (rate.severity, rate.item) == ("warning", "utt1")
    assert rate.message == "audio of 8000 Hz is resampled to 16000 Hz"
    assert (stereo.severity, stereo.item) == ("warning", "utt2")
    assert stereo.message == "2 channels are mixed down to their mean"


def test_very_long_and_very_short_utterances(make_data_dir, tone):
    path = make_data_dir()
    replace_audio(path, "utt1", tone(0.05))
    edit(path / "utt2dur", "utt1 1.0000", "utt1 0.0500")
    replace_audio(path, "utt2", tone(1.5))
    edit(path / "utt2dur", "utt2 1.0000", "utt2 1.5000")
    complaints = found(path, "not between 0.1 and 1.2 s", max_seconds=1.2)
    assert [c.item for c in complaints] == ["utt1 (0.05 s)", "utt2 (1.50 s)"]
    assert {c.severity for c in complaints} == {"warning"}


def test_commands(make_data_dir):
    path = make_data_dir()
    file = read_table(path / "wav.scp")["utt2"]
    edit(path / "wav.scp", file, f"cat {file} |")
    complaint = only(path, "shell commands are not allowed")
    assert (complaint.line, complaint.severity) == (2, "error")
    assert check_data_dir(path, allow_pipes=True) == []
    edit(path / "wav.scp", f"cat {file} |", "exit 3 |")
    assert "exit status 3" in only(path, "command failed", allow_pipes=True).item


def test_durations_disagree(make_data_dir):
    path = make_data_dir()
    edit(path / "utt2dur", "utt2 1.0000", "utt2 1.2000")
    edit(path / "utt2dur", "utt3 1.0000", "utt3 1.0300")
    complaint = only(path, "disagrees with the audio")
    assert complaint.item == "utt2 (1.20 s, its audio 1.00 s)"
    assert (complaint.file, complaint.line) == (path / "utt2dur", 2)
    edit(path / "utt2dur", "utt2 1.2000", "utt2 -1")
    assert only(path, "malformed").item == "utt2"


@pytest.mark.parametrize("text", ["Sugar beets", "SUGAR BEETS", "sugar-beets."])
def test_entities_in_another_form_are_told_apart_from_those_that_were_not_said(
    make_data_dir, text: str
):
    entities = {"utt3": [{"type": "crop", "text": text}]}
    path = make_data_dir(with_audio=False, entities=entities)
    complaint = only(path, "stands in the transcript in another form only")
    assert (complaint.severity, complaint.item) == ("warning", f"utt3 ({text})")


def test_bad_entities(make_data_dir):
    path = make_data_dir()
    crops = json.dumps([{"type": "crop", "text": "sugar beet"}])  # the transcript says beets
    (path / "entities").write_text(f"utt1 [{{]\nutt2 {{}}\nutt3 {crops}\nutt9 []\n")
    broken = found(path, "malformed")
    assert [(c.line, c.item) for c in broken] == [(1, "utt1"), (2, "utt2")]
    assert found(path, "unknown utterance")[0].line == 4
    absent = found(path, "does not occur")[0]
    assert (absent.severity, absent.item) == ("warning", "utt3 (sugar beet)")


def test_all_complaints_come_at_once(make_data_dir):
    path = make_data_dir()
    edit(path / "text", "utt1 hello world", "utt1")
    Path(read_table(path / "wav.scp")["utt2"]).unlink()
    (path / "spk2utt").unlink()
    messages = {c.message for c in check_data_dir(path)}
    assert messages == {"empty transcript", "audio file is missing", "file is missing"}


def test_equal_complaints_are_grouped():
    file = Path("data/x/text")
    same = [
        Finding("error", "empty", file, n, "speechllm data fix data/x", f"u{n}") for n in range(8)
    ]
    other = Finding("warning", "odd", file, None, "look", "u9")
    first, second = group_findings([other, *same])
    assert first.startswith("data/x/text: error: empty [8]: u0")
    assert "u4 at line 4, ..." in first and "u5" not in first
    assert first.endswith("\n  -> speechllm data fix data/x")
    assert second == "data/x/text: warning: odd: u9\n  -> look"


def test_control_characters_do_not_reach_the_terminal():
    [line] = group_findings([Finding("error", "odd", Path("text"), 1, item="a\x1b[31mb")])
    assert line == "text:1: error: odd: a\\x1b[31mb"


def test_real_data(shared_data, tmp_path):
    transcripts = sorted((shared_data / "librispeech_sample/dev-clean").rglob("*.trans.txt"))
    text, wav = {}, {}
    for file in transcripts:
        for utt, transcript in read_table(file).items():
            text[utt] = transcript
            wav[utt] = str(file.parent / f"{utt}.flac")
    utt2spk = {utt: utt.split("-")[0] for utt in text}
    write_data_dir(tmp_path / "dev", text=text, wav=wav, utt2spk=utt2spk)
    assert only(tmp_path / "dev", "file is missing", full=True).file.name == "utt2dur"


@pytest.mark.parametrize(
    ("bad", "severity", "message", "named", "remedy"),
    [
        ("you\x85can", "error", "a control character", "U+0085, column 4", "speechllm data fix"),
        ("we\0", "error", "a control character", "U+0000, column 3", "speechllm data fix"),
        ("a\ufeffb", "error", "a control character", "U+FEFF, column 2", "speechllm data fix"),
        ("a\u2028b", "error", "a control character", "U+2028, column 2", "speechllm data fix"),
        ("caf\x92s", "error", "a control character", "U+0092, column 4", "is meant for ’"),
        ("we\u200bbundle", "warning", "nobody sees", "U+200B, column 3", "put a blank"),
        ("a\u200eb\u200ec", "warning", "nobody sees", "U+200E, column 2; U+200E, column 4", "fix"),
        ("lost \ufffd", "warning", "nobody sees", "U+FFFD, column 6", "from its source"),
        ("cafe\u0301", "warning", "composed form", "utt2", "speechllm data fix"),
    ],
)
def test_characters_that_nobody_sees(make_data_dir, bad, severity, message, named, remedy):
    path = make_data_dir()
    edit(path / "text", "good morning", bad)
    complaint = only(path, message)
    assert (complaint.severity, complaint.line) == (severity, 2)
    assert named in complaint.item and remedy in complaint.remedy


def test_an_id_with_a_character_that_nobody_sees(make_data_dir):
    path = make_data_dir()
    edit(path / "text", "utt2 ", "utt\u200b2 ")
    assert "(U+200B, column 4)" in found(path, "id holds a character")[0].message
