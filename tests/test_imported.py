"""Where an imported model is from is said in run.json, in RESULTS.md and in packs."""

import json
from pathlib import Path

import pytest

from speechllm.config import ModelConfig
from speechllm.errors import DataError
from speechllm.imported import in_words, source_of, sources_of
from speechllm.pack.pretrained import copy_model, describe, licence_of

SOURCE = {
    "format": "CTranslate2 WhisperSpec 3",
    "stored": "int8",
    "dtype": "float32",
    "licence": "MIT",
    "packages": [{"name": "tiny", "version": "1.2"}],
    "sha256": {"model.bin": "00"},
}
WORDS = "CTranslate2 WhisperSpec 3 of tiny 1.2, float32 from int8, licence MIT"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "whisper"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "LICENSE").write_text("Some licence\n")
    (folder / "source.json").write_text(json.dumps(SOURCE))
    return folder


def test_a_config_s_imported_models(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    config = ModelConfig(encoder=str(folder), llm=str(tmp_path / "other"))
    assert sources_of(config) == {"encoder": SOURCE}
    assert sources_of(ModelConfig(encoder="org/hub", llm="org/llm")) == {}


def test_in_words() -> None:
    assert in_words(SOURCE) == WORDS
    for stored in ({}, {"stored": "float16"}):
        assert in_words({"format": "GGUF 3 llama", "dtype": "float16", **stored}) == (
            "GGUF 3 llama, float16, licence not stated"
        )


def test_a_damaged_record(folder: Path) -> None:
    (folder / "source.json").write_text("[")
    with pytest.raises(DataError, match=r"(?s)source.json.*import the model again"):
        source_of(folder)


def test_in_a_pack(folder: Path, tmp_path: Path) -> None:
    assert licence_of(folder) == "MIT"
    found, _ = describe(str(folder), "encoder", tmp_path / "packed", "local")
    assert (found.licence, found.source) == ("MIT", WORDS)
    copy_model(folder, tmp_path / "carried")
    assert json.loads((tmp_path / "carried/source.json").read_text()) == SOURCE
    (folder / "source.json").unlink()
    found, _ = describe(str(folder), "encoder", tmp_path / "packed", "local")
    assert found.source is None
