"""Speech-MASSIVE's parquet files, MASSIVE's text, and sentences with their entities in brackets."""

import json
from pathlib import Path

import pytest

from speechllm.corpora.massive import read_split, read_text
from speechllm.corpora.reading.annotated import read_annotated
from speechllm.errors import DataError
from tests.helpers.corpora import make_massive

parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra datasets")


def test_entities_in_brackets() -> None:
    found = read_annotated("weck mich [date : diese woche] um [time : fünf uhr  morgens] auf")
    assert found.text == "weck mich diese woche um fünf uhr morgens auf"
    assert found.entities == [
        {"type": "date", "filler": "diese woche"},
        {"type": "time", "filler": "fünf uhr morgens"},
    ]
    assert read_annotated("nichts") == ("nichts", [])
    for broken in ("a [date : b", "a date : b]", "a [date b]", "a [date : ]", "[a : [b : c]]"):
        with pytest.raises(ValueError, match="not"):
            read_annotated(broken)


def test_a_split_of_two_folders(tmp_path: Path) -> None:
    make_massive(tmp_path / "speech", ["fr-FR"])
    roots = [tmp_path / "none", tmp_path / "speech"]
    found = read_split(roots, "fr-FR", "train_115", tmp_path / "wav")
    assert [u.id for u in found] == ["fr-FR-train_1150", "fr-FR-train_1152", "fr-FR-train_1151"]
    first = found[0]
    assert first.text == "the cow eats green grass" and first.speaker == "s1"
    assert first.semantics == {
        "scenario": "farm",
        "action": "say",
        "entities": [{"type": "thing", "filler": "green grass"}],
    }
    original = tmp_path / "speech/wav/0.wav"
    assert Path(first.audio.source).read_bytes() == original.read_bytes()


def test_faults(tmp_path: Path) -> None:
    root = make_massive(tmp_path / "speech", ["fr-FR"])
    wav = tmp_path / "wav"
    with pytest.raises(DataError, match="no de-DE/train-"):
        read_split([root], "de-DE", "train", wav)
    (root / "fr-FR/test-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match="1 of 2 files of fr-FR test"):
        read_split([root], "fr-FR", "test", wav)
    path = root / "fr-FR/train-00000-of-00002.parquet"
    rows = parquet.read_table(path).to_pylist()
    for key, value, message in (
        ("annot_utt", "an [open one", "parquet:1: not `"),
        ("intent_str", "music_play", "parquet:1: intent music_play is not of scenario farm"),
        ("audio", {"bytes": None, "path": "x.wav"}, "parquet:1: fr-FR-train0 has no audio"),
        ("id", "../x", "parquet:1: id holds"),
    ):
        table = parquet.read_table(path).schema
        import pyarrow as arrow

        changed = [{**rows[0], key: value}, *rows[1:]]
        parquet.write_table(arrow.Table.from_pylist(changed, schema=table), path)
        with pytest.raises(DataError, match=message):
            read_split([root], "fr-FR", "train", wav)
    parquet.write_table(parquet.read_table(path).drop_columns("annot_utt"), path)
    with pytest.raises(DataError, match="no column annot_utt"):
        read_split([root], "fr-FR", "train", wav)


def test_text_alone(tmp_path: Path) -> None:
    row = {
        "id": "1",
        "partition": "train",
        "scenario": "alarm",
        "intent": "alarm_set",
        "annot_utt": "weck mich um [time : fünf]",
    }
    rows = [row, {**row, "id": "2", "partition": "dev"}]
    path = tmp_path / "de-DE.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    (found,) = read_text(tmp_path, "de-DE", "train")
    assert found.id == "de-DE-1" and found.audio is None and found.text == "weck mich um fünf"
    with pytest.raises(DataError, match="no split 'train_115'"):
        read_text(tmp_path, "de-DE", "train_115")
    del row["intent"]
    path.write_text(json.dumps(row))
    with pytest.raises(DataError, match="jsonl:1: not a line of MASSIVE: there is no 'intent'"):
        read_text(tmp_path, "de-DE", "train")
