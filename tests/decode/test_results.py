"""Hypotheses on disk: a killed run goes on, and a folder belongs to its settings."""

import json
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import DataDir
from speechllm.decode.config import DecodeConfig
from speechllm.decode.results import LINES, NBEST, SETTINGS, claim
from speechllm.errors import SpeechLLMError
from speechllm.files.layout import DESCRIPTION, TENSORS
from speechllm.files.own import read_json
from speechllm.files.whole import write_json
from tests.helpers.tiny import make_set


@pytest.fixture
def places(tmp_path: Path) -> tuple[DataDir, Path, Path]:
    bundle = tmp_path / "model"
    bundle.mkdir()
    (bundle / TENSORS).write_bytes(b"weights")
    (bundle / DESCRIPTION).write_text("{}")
    return DataDir.load(make_set(tmp_path / "set", "spk")), bundle, tmp_path / "out"


def lines(*ids: str) -> str:
    return "".join(json.dumps({"id": i, "text": i.upper()}) + "\n" for i in ids)


def test_half_a_line_is_decoded_again(places: tuple[DataDir, Path, Path]) -> None:
    config = DecodeConfig()
    claim(*places[:2], config, {}, places[2])
    (places[2] / LINES).write_text(lines("a", "b") + '{"id": "c", "te')
    assert list(claim(*places[:2], config, {}, places[2])) == ["a", "b"]
    assert (places[2] / LINES).read_text() == lines("a", "b")


def test_an_utterance_is_done_when_its_nbest_list_is_there_too(
    places: tuple[DataDir, Path, Path],
) -> None:
    config = DecodeConfig(nbest=2)
    claim(*places[:2], config, {}, places[2])
    (places[2] / LINES).write_text(lines("a", "b"))
    (places[2] / NBEST).write_text(lines("a", "c") + '{"id": "b"')
    assert list(claim(*places[:2], config, {}, places[2])) == ["a"]
    assert (places[2] / NBEST).read_text() == lines("a")


def test_other_settings_are_refused_by_name(places: tuple[DataDir, Path, Path]) -> None:
    claim(*places[:2], DecodeConfig(), {}, places[2])
    with pytest.raises(SpeechLLMError, match=r"another decode\.beam"):
        claim(*places[:2], DecodeConfig(beam=2), {}, places[2])
    claim(
        *places[:2], DecodeConfig(batch_positions=1), {}, places[2]
    )  # no hypothesis depends on it


def test_a_folder_older_than_a_key_had_its_default(places: tuple[DataDir, Path, Path]) -> None:
    claim(*places[:2], DecodeConfig(), {}, places[2])
    old = read_json(places[2] / SETTINGS)
    del old["decode"]["nbest"]
    write_json(places[2] / SETTINGS, old)
    with pytest.raises(SpeechLLMError, match=r"another decode\.nbest"):
        claim(*places[:2], DecodeConfig(nbest=3), {}, places[2])
    assert claim(*places[:2], DecodeConfig(), {}, places[2]) == {}
