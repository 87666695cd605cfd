"""Praat's TextGrids: both text forms, and what is wrong with broken ones, by line."""

from pathlib import Path

import pytest

from speechllm.corpora.reading.textgrid import Interval, read_textgrid
from speechllm.errors import DataError

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click"
    item [2]:
        class = "IntervalTier"
        name = "Doctor"
        xmin = 0
        xmax = 3
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.25
            text = ""
        intervals [2]:
            xmin = 1.25
            xmax = 3
            text = "he said ""ah"" <UNSURE>twice</UNSURE>
and left, 3 times"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
3
<exists>
1
"IntervalTier"
"Doctor"
0
3
1
0
3
"hello"
"""


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "call.TextGrid"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_long_form(tmp_path: Path) -> None:
    (tier,) = read_textgrid(write(tmp_path, LONG))
    said = 'he said "ah" <UNSURE>twice</UNSURE>\nand left, 3 times'
    assert tier.name == "Doctor"
    assert tier.intervals == [Interval(0, 1.25, "", 25), Interval(1.25, 3, said, 29)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_short_form_in_praats_encodings(tmp_path: Path, encoding: str) -> None:
    text = SHORT.replace("hello", "olá").replace("\n", "\r\n")
    (tier,) = read_textgrid(write(tmp_path, text, encoding))
    assert tier.intervals == [Interval(0, 3, "olá", 13)]


def test_without_tiers_there_are_none(tmp_path: Path) -> None:
    head = LONG[: LONG.index("tiers?")]
    assert read_textgrid(write(tmp_path, f"{head}tiers? <absent>\n")) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"TextGrid"', '"Pitch 1"', ":1: not a TextGrid"),
        ("xmin = 1.25", "xmin = 1.2", ":29: interval starts at 1.2 s, before the one of line 25"),
        ("xmax = 1.25", "xmax = 0", ":25: interval ends at 0 s, and starts at 0 s"),
        ("xmax = 1.25", "xmax = soon", ":27: a number is wanted, here is: "),
        ('text = ""', 'text = "', ":27: a string does not end"),
        ("intervals: size = 2", "intervals: size = 3", ":31: a number is wanted, here is: end of"),
        ("intervals: size = 2", "intervals: size = 1", ":29: more than was announced: 1.25"),
        ("intervals: size = 2", "intervals: size = 1.5", ":23: a count is wanted, not 1.5"),
        ('"IntervalTier"', '"Interval"', ":19: a tier is an IntervalTier or a TextTier"),
    ],
)
def test_a_fault_is_named_by_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LONG
    path = write(tmp_path, LONG.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        read_textgrid(path)
    assert f"{path}{message}" in str(error.value)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path, SHORT.replace("hello", "olá"), "latin-1")
    with pytest.raises(DataError, match=r"call.TextGrid:15: line is not UTF-8"):
        read_textgrid(path)


def test_all_of_primock57(shared_data: Path) -> None:
    paths = sorted((shared_data / "medical/primock57/transcripts").glob("*.TextGrid"))
    tiers = [read_textgrid(path) for path in paths]
    assert len(tiers) == 90 and all(len(tier) == 1 for tier in tiers)
    said = [i for (tier,) in tiers for i in tier.intervals if i.text.strip()]
    assert len(said) == 5580
