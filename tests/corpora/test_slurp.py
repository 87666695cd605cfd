"""SLURP's layout, its real lines, and what is said of a copy with holes."""

import json
import logging
from pathlib import Path

import pytest

from speechllm.corpora.reading.utterances import write_set
from speechllm.corpora.slurp import read_split
from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.errors import DataError
from tests.helpers.corpora import edit, make_slurp, make_wave


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_slurp(tmp_path / "slurp")


def test_a_split(root: Path, tmp_path: Path) -> None:
    utterances = read_split(root, "train")
    assert len(utterances) == 6
    first = utterances[0]
    assert first.id == "audio-1500000000-headset" and first.text == "the cow eats green grass"
    assert first.semantics == {
        "scenario": "farm",
        "action": "ask",
        "entities": [{"type": "thing", "filler": "green grass"}],
    }
    write_set(tmp_path / "data", utterances)
    meant = read_table(tmp_path / "data/semantics")
    assert list(meant) == DataDir.load(tmp_path / "data").ids
    assert json.loads(meant[first.id]) == first.semantics
    write_set(tmp_path / "data", [u._replace(semantics=None) for u in utterances])
    assert not (tmp_path / "data/semantics").exists()


def test_microphones_and_text_alone(root: Path) -> None:
    (root / "audio/slurp_real/audio-1500000001-headset.flac").unlink()
    close = read_split(root, "train", "headset")
    assert [u.id for u in close] == [
        *("audio-1500000000-headset", "audio-1500000001", "audio-1500000002-headset"),
    ]
    text = read_split(root, "train", with_audio=False)
    assert [u.id for u in text] == ["slurp-0", "slurp-1", "slurp-2"]
    assert all(u.audio is None and u.semantics for u in text)


def test_holes_are_counted_and_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("audio-1500000001-headset", "audio-1500000001", "audio-1500000002"):
        (root / f"audio/slurp_real/{name}.flac").unlink()
    make_wave(root / "audio/slurp_real/audio-77.flac", 0.1)
    with caplog.at_level(logging.WARNING):
        assert len(read_split(root, "train")) == 3
    said = caplog.text
    assert "not in" in said and "3 (audio-1500000001-headset.flac, audio-1500000001.flac" in said
    assert "without any recording: 1 (slurp_id 1)" in said
    assert "that no line names: 1 (audio-77.flac)" in said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"scenario"', '"scenery"', "train.jsonl:1: not a line of SLURP: there is no 'scenario'"),
        ('"span": [3, 4]', '"span": [3, 9]', r"train.jsonl:1: entity thing: span \[3, 9\]"),
        ('"entities": ', '"entities": null, "x": ', "train.jsonl:1: not a line of SLURP: 'None"),
        ("{", "{{", "train.jsonl:1: broken JSON"),
    ],
)
def test_faults_are_named_by_line(root: Path, old: str, new: str, message: str) -> None:
    edit(root / "dataset/slurp/train.jsonl", old, new)
    with pytest.raises(DataError, match=message):
        read_split(root, "train")


def test_nothing_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--slurp_root"):
        read_split(tmp_path, "train")
    with pytest.raises(DataError, match="no folder slurp_synth"):
        make_slurp(root, ["train_synthetic"])
        read_split(root, "train_synthetic")
    for file in (root / "audio/slurp_real").glob("*"):
        file.unlink()
    with pytest.raises(DataError, match=r"no recording of train.jsonl is there"):
        read_split(root, "train")


def test_real_lines(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/slurp").symlink_to((shared_data / "slurp").resolve())
    text = {u.id: u for u in read_split(tmp_path, "test", with_audio=False)}
    assert len(text) == 1500
    assert {u.semantics["scenario"] for u in text.values()} > {"alarm", "calendar", "iot", "qa"}
    for utterance in text.values():
        for entity in utterance.semantics["entities"]:
            assert f" {entity['filler']} " in f" {utterance.text} "
    row = json.loads((shared_data / "slurp/train.jsonl").read_text().splitlines()[0])
    first = next(u for u in read_split(tmp_path, "train", with_audio=False))
    assert first.id == f"slurp-{row['slurp_id']}"
    assert first.semantics["entities"] == [
        {"type": "currency_name", "filler": "american dollar"},
        {"type": "currency_name", "filler": "japanese yen"},
    ]
    for recording in row["recordings"]:
        make_wave(tmp_path / "audio/slurp_real" / recording["file"], 0.3)
    assert len(read_split(tmp_path, "train")) == len(row["recordings"])
