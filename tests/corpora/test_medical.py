"""PriMock57's calls, MTS-Dialog's turns, and the spoken form of both."""

import logging
from pathlib import Path

import pytest

from speechllm.corpora import mts_dialog, primock57
from speechllm.corpora.reading.spoken import spoken_form
from speechllm.errors import DataError
from tests.helpers.corpora import edit, make_mts_dialog, make_primock57

DOCTOR = "day1_consultation01_doctor"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return make_primock57(tmp_path / "primock57", (1, 2))


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Six, seven times a day. And you’re okay?", "SIX SEVEN TIMES A DAY AND YOU'RE OKAY"),
        ("Dr. Smith's over-the-counter pills", "DOCTOR SMITH'S OVER THE COUNTER PILLS"),
        ("'It's a 76-year-old, 'quoted'…", "IT'S A 76 YEAR OLD QUOTED"),
        ("bread & butter, 5%", "BREAD AND BUTTER 5 PERCENT"),
        ("naïve señor_", "NAÏVE SEÑOR"),
        ("... -- !", ""),
    ],
)
def test_spoken_form(written: str, spoken: str) -> None:
    assert spoken_form(written) == spoken
    assert spoken_form(spoken) == spoken


def test_sides_of_a_call(calls: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        utterances = primock57.read_days(calls, [1])
    ids = [u.id for u in utterances]
    assert ids[:3] == [f"{DOCTOR}-0002", f"{DOCTOR}-0004", f"{DOCTOR}-0008"] and len(ids) == 7
    assert f"not understood by the transcriber: 1 ({DOCTOR}-0006)" in caplog.text
    second = utterances[1]
    assert second.text == "UM RAIN FALLS ON THE WHEAT FIELD" and second.speaker == DOCTOR
    assert second.audio.recording == DOCTOR
    assert (second.audio.start, second.audio.end) == pytest.approx((1.5, 2.5))
    kept = primock57.read_days(calls, [1], with_audio=False, keep_unintelligible=True)
    assert len(kept) == 8 and kept[2].text == "A HORSE DRINKS COLD WATER"
    assert all(u.audio is None for u in kept)


def test_calls_with_faults(calls: Path) -> None:
    transcript = calls / f"transcripts/{DOCTOR}.TextGrid"
    edit(transcript, "<UNSURE>", "<LAUGH>")
    with pytest.raises(DataError, match=r"doctor.TextGrid:28: a mark that is not known: '<LAUGH>"):
        primock57.read_days(calls, [1])
    edit(transcript, "xmin = 1.5", "xmin = 0.7")
    with pytest.raises(
        DataError, match=r"TextGrid:28: interval starts at 0.7 s, before the one of"
    ):
        primock57.read_days(calls, [1])
    (calls / "audio/day2_consultation01_patient.wav").unlink()
    with pytest.raises(DataError, match=r"patient.TextGrid: there is no .*patient.wav\n  -> --pri"):
        primock57.read_days(calls, [2])
    with pytest.raises(DataError, match="there is no consultation of day 5"):
        primock57.read_days(calls, [2, 5])
    (calls / "transcripts/mine.TextGrid").touch()
    with pytest.raises(DataError, match=r"mine.TextGrid: not day<d>_consultation"):
        primock57.read_days(calls, [2])


def test_turns_of_dialogues(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make_mts_dialog(tmp_path) / "MTS-Dialog-TrainingSet.csv"
    edit(path, "rain falls", "20 drops fall")  # the patient's turn of row 1, on line 5
    edit(path, "Doctor: rain", "rain")  # row 2, on line 6
    with caplog.at_level(logging.WARNING):
        turns = {u.id: u.text for u in mts_dialog.read_turns(path, "mts")}
    assert turns == {
        "mts-0000-001": "THE COW EATS GREEN GRASS",
        "mts-0000-002": "WELL SELL THE OLD TRACTOR TODAY",
        "mts-0001-001": "SELL THE OLD TRACTOR TODAY",
        "mts-0002-002": "WELL A HORSE DRINKS COLD WATER",
    }
    assert "with digits: 1 (mts-0001-002)" in caplog.text
    assert "no turn, in MTS-Dialog-TrainingSet.csv: 1 (line 6)" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("section_text", "note", ":1: columns ID, section_header, note"),
        ("\n1,GENHX", "\n0,GENHX", ":5: ID '0' is no number, or stands twice"),
        ("\n1,GENHX", "\none,GENHX", ":5: ID 'one' is no number"),
        ("\n1,GENHX", "\n1,1,GENHX", ":5: 5 cells, but 4 columns"),
    ],
)
def test_rows_with_faults(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = edit(make_mts_dialog(tmp_path) / "MTS-Dialog-TrainingSet.csv", old, new)
    with pytest.raises(DataError) as error:
        mts_dialog.read_turns(path, "mts")
    assert f"{path}{message}" in str(error.value)


def test_the_real_texts(shared_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    medical = shared_data / "medical"
    path = medical / "mts_dialog/MTS-Dialog-TrainingSet.csv"
    with caplog.at_level(logging.WARNING):
        turns = mts_dialog.read_turns(path, "mts")
    assert len(turns) == 11445 and len({u.id for u in turns}) == 11445
    assert "with digits: 7 (" in caplog.text and "2 (line 2696, line 11003)" in caplog.text
    said = primock57.read_days(medical / "primock57", [1, 2, 3], with_audio=False)
    assert len(said) == 2948
    assert all(set(u.text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ") for u in said)
