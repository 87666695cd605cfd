"""What can be mended is mended, what is dropped is named, and the old files are kept."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechllm.data.check.fix import fix_data_dir
from speechllm.data.check.validate import check_data_dir
from speechllm.data.dirs.kaldi import DataDir, read_table, write_table
from speechllm.errors import DataError

FIVE = {f"utt{n}": f"sentence number {n}" for n in range(1, 6)}


def tables(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}


def test_flawless_set_is_left_alone(make_data_dir):
    path = make_data_dir(entities={"utt3": [{"type": "crop", "text": "sugar beets"}]})
    before = tables(path)
    assert fix_data_dir(path).lines() == ["nothing to fix"]
    assert tables(path) == before
    assert not (path / ".backup").exists()


def test_line_ends_order_and_equal_duplicates(make_data_dir):
    path = make_data_dir(text=FIVE)
    for name in ("text", "wav.scp", "utt2spk"):
        lines = (path / name).read_text().splitlines()
        shuffled = [*lines[::-1], lines[0], ""]
        (path / name).write_text("".join(f"{line}\r\n" for line in shuffled), newline="")
    (path / "text").write_bytes(b"\xef\xbb\xbf" + (path / "text").read_bytes())
    report = fix_data_dir(path)
    assert check_data_dir(path) == []
    assert read_table(path / "text") == FIVE
    assert report.dropped == {}
    assert report.mended["text: Windows line end (CRLF)"] == 7
    assert report.mended["text: id occurs more than once"] == 1
    assert report.written == ["text", "wav.scp", "utt2spk"]
    assert fix_data_dir(path).lines() == ["nothing to fix"]


def test_backups_hold_the_old_files(make_data_dir):
    path = make_data_dir(text=FIVE)
    for number, utt in enumerate(["utt1", "utt2"], 1):
        write_table(path / "text", {**read_table(path / "text"), utt: ""})
        before = tables(path)
        report = fix_data_dir(path)
        assert report.backup == path / ".backup" / str(number)
        assert tables(report.backup) == before
        assert report.lines()[-1] == f"old files: {path}/.backup/{number}"


def test_utterances_lacking_text_or_audio_are_dropped_everywhere(make_data_dir):
    path = make_data_dir(
        text=FIVE, entities={utt: [{"type": "n", "text": utt[3:]}] for utt in FIVE}
    )
    text, wav = read_table(path / "text"), read_table(path / "wav.scp")
    del text["utt1"]
    write_table(path / "text", {**text, "utt2": "", "utt9": "no audio"})
    Path(wav["utt3"]).unlink()
    report = fix_data_dir(path)
    assert report.dropped == {
        "empty transcript": ["utt2"],
        "audio without text": ["utt1"],
        "text without audio": ["utt9"],
        "audio file is missing": ["utt3"],
        "speaker of an unknown utterance": ["utt1"],
        "entities of an unknown utterance": ["utt1"],
    }
    assert "dropped, empty transcript: 1 (utt2)" in report.lines()
    assert check_data_dir(path) == []
    data = DataDir.load(path)
    assert data.ids == list(data.audio) == list(data.utt2dur) == ["utt4", "utt5"]
    assert list(data.entities) == ["utt4", "utt5"]


def test_unknown_tables_lose_what_is_dropped(make_data_dir):
    path = make_data_dir(text=FIVE)
    write_table(path / "phones", {utt: "p" for utt in FIVE})
    write_table(path / "spk2gender", {"spk0": "f"})
    (path / "README.md").write_text("no table\n\nat all\n")
    before = tables(path)
    assert fix_data_dir(path).lines() == ["nothing to fix"]
    write_table(path / "text", {**read_table(path / "text"), "utt2": ""})
    report = fix_data_dir(path)
    assert list(read_table(path / "phones")) == ["utt1", "utt3", "utt4", "utt5"]
    assert "phones" in report.written and "spk2gender" not in report.written
    assert (report.backup / "phones").read_bytes() == before["phones"]
    assert (path / "README.md").read_bytes() == before["README.md"]


def test_unusable_audio_is_dropped(make_data_dir):
    path = make_data_dir(text=FIVE)
    wav = read_table(path / "wav.scp")
    soundfile.write(wav["utt1"], np.full(16000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(wav["utt2"], np.zeros(0), 16000)
    Path(wav["utt3"]).write_text("no audio")
    report = fix_data_dir(path)
    assert report.dropped == {
        "audio holds NaN or Inf": ["utt1"],
        "audio has zero length": ["utt2"],
        "audio file cannot be read": ["utt3"],
    }
    assert check_data_dir(path) == []


def test_segments(make_data_dir):
    path = make_data_dir(text=FIVE)
    segments = "utt1 utt1 0 0.5\nutt2 utt2 0.7 0.2\nutt3 utt3 0 9\nutt4 utt99 0 1\n"
    (path / "segments").write_text(segments)
    report = fix_data_dir(path)
    assert report.dropped == {
        "malformed segment": ["utt2"],
        "segment of an unknown recording": ["utt4"],
        "text without audio": ["utt5"],
        "segment is beyond the end of the recording": ["utt3"],
        "recording without a segment": ["utt2", "utt4", "utt5"],
    }
    assert (path / "segments").read_text() == "utt1 utt1 0 0.5\n"
    assert read_table(path / "utt2dur") == {"utt1": "0.5000"}
    assert check_data_dir(path) == []


def test_speakers_and_durations_are_made_anew(make_data_dir):
    path = make_data_dir(text=FIVE)
    write_table(path / "utt2dur", {"utt1": "7.5", "utt2": "1.01", "utt3": "fast"})
    (path / "spk2utt").write_text("spk9 utt9\n")
    write_table(path / "utt2spk", {"utt1": "anna", "utt2": "anna", "utt3": "bert"})
    report = fix_data_dir(path)
    assert report.mended == {"utt2spk: utterances that became their own speaker": 2}
    durations = read_table(path / "utt2dur")
    assert durations == {**dict.fromkeys(FIVE, "1.0000"), "utt2": "1.01"}
    assert read_table(path / "spk2utt")["anna"] == "utt1 utt2"
    assert check_data_dir(path) == []


def test_text_only_set(make_data_dir):
    path = make_data_dir(with_audio=False)
    (path / "text").write_text("b y\na x\nc\n")
    report = fix_data_dir(path)
    assert (path / "text").read_text() == "a x\nb y\n"
    assert report.dropped == {"empty transcript": ["c"]}
    assert {p.name for p in path.iterdir()} == {"text", ".backup"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text", b"utt1 one\nutt1 two\n", "text:2: utt1 also stands in line 1, with another value"),
        ("wav.scp", b"utt1 a.wav\nutt1 b.wav\n", "with another value"),
        ("text", b"utt1 caf\xe9\n", "text:1: line is not UTF-8"),
        ("text", b"../utt1 one\n", "text:1: id holds"),
        ("entities", b"utt1 [{]\n", "utt1: malformed entities"),
        ("wav.scp", b"utt1 cat x.wav |\n", "shell commands are not allowed: 1 .utt1"),
        ("wav.scp", b"utt1 missing.wav\n", "no utterance would be left .audio file is missing"),
        ("text", b"utt1\n", "no utterance would be left .empty transcript"),
    ],
)
def test_what_only_the_user_can_decide_is_refused(make_data_dir, name, content, message):
    path = make_data_dir(text={"utt1": "hello"})
    (path / name).write_bytes(content)
    before = tables(path)
    with pytest.raises(DataError, match=message):
        fix_data_dir(path)
    assert tables(path) == before
    assert not (path / ".backup").exists()


def test_allowed_commands_are_run(make_data_dir):
    path = make_data_dir(text={"utt1": "hello"})
    file = read_table(path / "wav.scp")["utt1"]
    write_table(path / "wav.scp", {"utt1": f"cat {file} |"})
    (path / "utt2dur").unlink()
    assert fix_data_dir(path, allow_pipes=True).written == ["utt2dur"]
    assert read_table(path / "utt2dur") == {"utt1": "1.0000"}


def test_characters_that_carry_nothing_are_mended(make_data_dir):
    odd = {"utt1": "you\x85can", "utt2": "\ufeffhy\u00adphen\0", "utt3": "cafe\u0301 au lait"}
    path = make_data_dir(text={**odd, "utt4": "we\u200bbundle", "utt5": "\ufeff"})
    report = fix_data_dir(path)
    fixed = {"utt1": "you can", "utt2": "hyphen", "utt3": "café au lait", "utt4": "we\u200bbundle"}
    assert read_table(path / "text") == fixed
    assert report.dropped == {"empty transcript": ["utt5"]}
    assert report.lines()[1].startswith("mended, text: characters that nobody sees")
    assert [c.item for c in check_data_dir(path)] == ["utt4 (U+200B, column 3)"]
    assert fix_data_dir(path).lines() == ["nothing to fix"]
