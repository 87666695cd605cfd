"""Packing an exp folder of real, tiny models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from speechllm.decode.config import DecodeConfig
from speechllm.errors import ConfigError, DataError, SpeechLLMError
from speechllm.files.whole import sha256_of
from speechllm.model.bundle import load_bundle
from speechllm.pack.manifest import read_manifest
from speechllm.pack.write import pack
from tests.helpers.packed import make_exp
from tests.report.test_results import make_decoding


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Denoise and audio for farm (equal on dev), denoise for music; scores for some."""
    base = make_exp(tmp_path_factory.mktemp("work"))
    make_decoding(base / "decode_b4/farm_test", 70, 20, 10)  # WER 50
    make_decoding(base / "decode_b4/source_test", 6, 2, 2)  # 5
    make_decoding(base / "denoise_farm/decode_b4/farm_test", 40, 15, 5)  # 30
    make_decoding(base / "audio_farm/decode_b4/farm_test", 20, 15, 5)  # 20
    return base


def test_the_folder_holds_what_it_says(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    manifest = pack(base, out, decode=DecodeConfig(beam=2), tag="b4")
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    bundles = ("base", "domains/farm", "domains/music")
    parts = ("model.json", "trained.safetensors", "training.json")
    assert {"pack.json", "README.md"} <= files
    assert {f for f in files if f.startswith(("base", "domains"))} == {
        f"{bundle}/{part}" for bundle in bundles for part in parts
    }
    assert {f for f in files if f.startswith("pretrained")} >= {
        f"pretrained/{model}/{part}"
        for model in ("encoder", "llm")
        for part in ("config.json", "model.safetensors")
    }
    assert read_manifest(out) == manifest and manifest.decode.beam == 2
    assert manifest.domains["farm"].run == "base/denoise_farm"  # as good on dev, and no audio
    assert manifest.domains["music"].sha256 == sha256_of(
        [base / "denoise_music/model/trained.safetensors"]
    )
    whole = "".join(p.read_text() for p in out.rglob("*") if p.suffix in (".json", ".md"))
    assert str(tmp_path.parent) not in whole and "secret" not in whole
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("search", "why"),
    [
        ({"joint_ctc": {}}, "has no CTC"),
        ({"speech_temperature": 0.5}, "has no posteriors"),
        ({"constrained": True}, "have no form"),
        ({"adapted": 0.5}, "0.5 cannot be said of a packed model's base"),
    ],
)
def test_a_search_that_the_model_cannot_do_is_refused(
    base: Path, tmp_path: Path, search: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        pack(base, tmp_path / "packed", decode=DecodeConfig.model_validate(search))
    assert not (tmp_path / "packed").exists()


def test_a_bundle_of_it_can_be_loaded_like_any_other(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "packed"
    pack(base, out)
    shutil.copytree(out / "pretrained", tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    places = {key: f"elsewhere/{key}" for key in ("encoder", "llm")}
    assert load_bundle(out / "domains/farm", places).config.encoder == "elsewhere/encoder"


def test_the_card_has_the_rows_of_what_was_packed(base: Path, tmp_path: Path) -> None:
    pack(base, tmp_path / "packed", ["denoise_*"], tag="b4")
    card = (tmp_path / "packed/README.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.splitlines()]
    results = {(row[0], row[1]): row for row in rows if len(row) == 12}
    assert results["farm", "base"][2].startswith("50.00 [")
    assert results["farm", "denoise"][2].startswith("30.00 [")
    assert results["farm", "denoise"][7] == "66.67"  # of the gap to audio, which is not packed
    assert ("farm", "audio") not in results
    domains = {row[0]: row for row in rows if len(row) == 8}
    assert domains["farm"][1:5] == ["base/denoise_farm", "denoise", "the only one", "42"]
    parts = {row[0]: row for row in rows if len(row) == 6}
    assert parts["encoder"][1] == "encoder" and parts["encoder"][3] == "not stated"
    assert "base_model" not in card
    assert "Transcribe speech to text. Speech: <speech>." in card


def test_a_card_without_scores_says_so(base: Path, tmp_path: Path) -> None:
    pack(base, tmp_path / "packed", tag="other")
    assert (
        "Nothing was scored with the decoding `other`"
        in (tmp_path / "packed/README.md").read_text()
    )


def test_packing_again_changes_nothing_but_the_card(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(base, out)
    (out / "README.md").unlink()
    before = (out / "pack.json").stat().st_mtime_ns
    pack(base, out)
    assert (out / "README.md").exists() and (out / "pack.json").stat().st_mtime_ns == before


def test_another_choice_is_refused_by_key(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(base, out)
    with pytest.raises(SpeechLLMError) as caught:
        pack(base, out, ["audio_farm", "*_music"], decode=DecodeConfig(beam=2))
    assert "decode.beam, domains.farm.chosen, domains.farm.method" in str(caught.value)
    assert f"rm -r {out}" in str(caught.value)
    assert read_manifest(out).domains["farm"].method == "denoise"


def test_a_folder_with_something_else_in_it_is_left_alone(base: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(SpeechLLMError, match="no packed model"):
        pack(base, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_fails_half_way_leaves_nothing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("speechllm.pack.write.copy_model", fail)
    with pytest.raises(OSError, match="No space"):
        pack(base, tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_without_a_finished_base_the_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpeechLLMError, match="run stage 4"):
        pack(tmp_path / "exp/base", tmp_path / "packed")


def test_a_run_without_its_tensors_is_named(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base.parent, tmp_path / "exp")
    (tmp_path / "exp/base/denoise_music/model/trained.safetensors").unlink()
    with pytest.raises(SpeechLLMError, match=r"denoise_music/model/trained.safetensors: is not"):
        pack(tmp_path / "exp/base", tmp_path / "packed")


@pytest.mark.parametrize("run", ["base", "base/denoise_music"])
def test_a_damaged_model_is_not_packed(base: Path, tmp_path: Path, run: str) -> None:
    shutil.copytree(base.parent, tmp_path / "exp")
    tensors = tmp_path / "exp" / run / "model/trained.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DataError, match=rf"{run}/model/.* is not what was written\n  -> rm .*json"):
        pack(tmp_path / "exp/base", tmp_path / "packed")


@pytest.mark.parametrize(
    "name",
    [
        "base/trained.safetensors",
        "domains/farm/model.json",
        "pretrained/llm/model.safetensors",
        "pretrained/llm/tokenizer.json",
    ],
)
def test_a_packed_folder_that_is_damaged_is_not_packed_already(
    base: Path, tmp_path: Path, name: str
) -> None:
    pack(base, tmp_path / "packed")
    pack(base, tmp_path / "packed")
    path = tmp_path / "packed" / name
    path.write_bytes(path.read_bytes()[:-2] + b"  ")
    with pytest.raises(SpeechLLMError, match=r"or remove it and run the stage pack again$"):
        pack(base, tmp_path / "packed")
    shutil.rmtree(tmp_path / "packed")
    pack(base, tmp_path / "packed")


def test_training_json_tells_how_it_was_trained(base: Path, tmp_path: Path) -> None:
    pack(base, tmp_path / "packed")
    told = json.loads((tmp_path / "packed/domains/farm/training.json").read_text())
    assert told["method"] == "denoise" and told["config"]["train"]["seed"] == 42
    assert "environment" not in told
