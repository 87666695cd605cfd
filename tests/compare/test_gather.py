"""Finished cells are found with their results; all others say why they are not used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from speechllm.adapt.method import load_method
from speechllm.compare.gather import gather
from speechllm.compare.grid import Cell, Redecoding
from speechllm.decode.config import DecodeConfig
from speechllm.errors import DataError
from speechllm.files.whole import sha256_of

SETS = ("farm_test", "source_test")


def decode(model: Path, name: str, tag: str = "b4", **settings: object) -> None:
    folder = model / f"decode_{tag}" / name
    (folder / "score").mkdir(parents=True)
    (folder / "text").write_text(f"{model.name} hello\n")
    made_from = {"hypothesis": {"sha256": digest(folder / "text")}}
    (folder / "score/wer.json").write_text(json.dumps({"made_from": made_from}))
    config = DecodeConfig.model_validate({"beam": 7, **settings})
    (folder / "settings.json").write_text(json.dumps({"decode": config.model_dump(mode="json")}))


def digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "exp/base"
    (base / "model").mkdir(parents=True)
    (base / "model/trained.safetensors").write_bytes(b"weights")
    (base / "run.json").write_text('{"kind": "base", "config": {"train": {"seed": 7}}}')
    for name in SETS:
        decode(base, name)
    return base


@pytest.fixture
def cell(base: Path) -> Cell:
    """A cell that is trained, decoded and scored."""
    config = base.parent / "audio.yaml"
    config.write_text("method: audio\ntrain: {steps: 9}\n")
    cell = Cell("audio", 0.5, 1, "farm", base / "trial/audio", config, ("fraction=0.5",))
    cell.folder.mkdir(parents=True)
    (cell.folder / "train.jsonl").touch()
    (cell.folder / "run.json").write_text('{"kind": "adapted", "steps": 9}')
    inputs = {
        "base": str(base),
        "base_sha256": sha256_of([base / "model/trained.safetensors"]),
        "target_dev": ["data/farm_dev"],
    }
    write_made(cell, load_method(config, cell.overrides).model_dump(mode="json"), inputs)
    for name in SETS:
        decode(cell.folder, name)
    return cell


def write_made(cell: Cell, config: dict, inputs: dict) -> None:
    (cell.folder / "config.yaml").write_text(yaml.safe_dump({"config": config, "inputs": inputs}))


def made(cell: Cell) -> tuple[dict, dict]:
    values = yaml.safe_load((cell.folder / "config.yaml").read_text())
    return values["config"], values["inputs"]


def problem(cell: Cell, base: Path) -> str | None:
    return gather([cell], base, "b4")[-1].problem


def test_the_base_comes_first_then_the_cells_with_their_results(cell: Cell, base: Path) -> None:
    first, second = gather([cell], base, "b4")
    assert (first.label, first.seed, first.target, first.folder) == ("base", 7, "farm", base)
    assert first.is_finished and second.is_finished
    assert second.run["steps"] == 9 and second.arm == "audio_p50"
    assert second.decodings == {name: cell.folder / "decode_b4" / name for name in SETS}


def test_work_that_is_left_is_named(cell: Cell, base: Path) -> None:
    (cell.folder / "decode_b4/source_test/score/wer.json").unlink()
    assert problem(cell, base) == "not scored as it is now (b4): source_test"
    (cell.folder / "decode_b4/source_test/text").unlink()
    assert problem(cell, base) == "not decoded (b4): source_test"
    assert gather([cell], base, "b4")[-1].decodings.keys() == {"farm_test"}
    assert gather([cell], base, "b8")[-1].problem == "not decoded (b8): farm_test, source_test"
    (cell.folder / "run.json").unlink()
    assert problem(cell, base) == "training has not ended"
    (cell.folder / "train.jsonl").unlink()
    assert problem(cell, base) == "not trained yet"


def test_hypotheses_that_have_changed_are_not_used(cell: Cell, base: Path) -> None:
    (cell.folder / "decode_b4/farm_test/text").write_text("other words\n")
    assert problem(cell, base) == "not scored as it is now (b4): farm_test"


def test_a_cell_of_other_settings_is_not_used(cell: Cell, base: Path) -> None:
    config, inputs = made(cell)
    config["train"]["steps"] = 10
    write_made(cell, config, inputs)
    assert problem(cell, base) == "trained with other settings: train.steps"


def test_a_cell_of_another_base_is_not_used(cell: Cell, base: Path) -> None:
    (base / "model/trained.safetensors").write_bytes(b"other weights")
    assert "another base" in problem(cell, base)


@pytest.mark.parametrize("name", ["source", "target", "source_dev", "target_dev"])
def test_a_cell_that_saw_a_test_set_is_not_used(cell: Cell, base: Path, name: str) -> None:
    config, inputs = made(cell)
    write_made(cell, config, inputs | {name: ["data/farm_train", "data/farm_test"]})
    assert problem(cell, base) == "farm_test was seen in training"


def test_without_a_base_there_is_nothing_to_compare(cell: Cell, base: Path) -> None:
    (base / "run.json").unlink()
    with pytest.raises(DataError, match="no finished base model"):
        gather([cell], base, "b4")


def test_decodings_come_last_as_arms_of_their_own(cell: Cell, base: Path) -> None:
    for name in SETS:
        decode(cell.folder, name, "b4_half", adapted=0.5, batch_positions=9)
        decode(base, name, "b4_flat", length_penalty=0.0)
    half = Redecoding(of="audio_p50", set={"adapted": 0.5})
    arms = {"half": half, "flat": Redecoding(of="base", set={"length_penalty": 0.0})}
    other = replace(cell, seed=2, folder=cell.folder.with_name("other"))
    first, second, _, half, untrained, flat = gather([cell, other], base, "b4", arms)
    assert (half.arm, half.seed, half.target, half.folder) == ("half", 1, "farm", cell.folder)
    assert half.decoding_of == "audio_p50" and half.is_finished and half.run == second.run
    assert half.decodings == {name: cell.folder / "decode_b4_half" / name for name in SETS}
    assert (untrained.seed, untrained.problem) == (2, "not trained yet")
    assert (flat.arm, flat.seed, flat.decoding_of) == ("flat", 7, "base") and flat.is_finished
    assert flat.decodings == {name: base / "decode_b4_flat" / name for name in SETS}
    assert first.decodings == {name: base / "decode_b4" / name for name in SETS}


def test_a_decoding_that_is_left_or_was_made_otherwise_is_named(cell: Cell, base: Path) -> None:
    def problem(adapted: float = 0.5) -> str | None:
        arms = {"half": Redecoding(of="audio_p50", set={"adapted": adapted})}
        return gather([cell], base, "b4", arms)[-1].problem

    assert problem() == "not decoded (b4_half): farm_test, source_test"
    decode(cell.folder, "farm_test", "b4_half", adapted=0.5)
    assert problem() == "not decoded (b4_half): source_test"
    decode(cell.folder, "source_test", "b4_half", adapted=0.5, beam=8)
    assert problem() == "decoded with other settings (b4_half, source_test): beam"
    assert problem(0.25) == "decoded with other settings (b4_half, farm_test): adapted"
