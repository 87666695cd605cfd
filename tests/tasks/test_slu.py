import json
from pathlib import Path

import pytest

from speechllm.data.dirs.answers import read_targets
from speechllm.data.dirs.kaldi import DataDir, write_data_dir, write_table
from speechllm.errors import DataError
from speechllm.model.description import task_of
from speechllm.task import load_task
from speechllm.tasks.semantics import write_answer

TASK = load_task("slu")


def meaning(scenario: str, action: str, **entities: str) -> str:
    listed = [{"type": kind, "filler": filler} for kind, filler in entities.items()]
    return write_answer({"scenario": scenario, "action": action, "entities": listed})


TEXT = {"a": "wake me at six", "b": "play some jazz", "c": "stop"}
SEMANTICS = {
    "a": meaning("alarm", "set", time="six"),
    "b": meaning("play", "music", genre="jazz"),
    "c": meaning("play", "stop"),
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_data_dir(tmp_path / "set", text=TEXT)
    write_table(tmp_path / "set/semantics", SEMANTICS)
    return tmp_path / "set"


def test_targets_and_labels(data_dir: Path) -> None:
    targets = read_targets(TASK, DataDir.load(data_dir))
    assert targets == SEMANTICS
    labels = TASK.labels(targets.values())
    assert labels == {
        "scenario": ["alarm", "play"],
        "action": ["music", "set", "stop"],
        "type": ["genre", "time"],
    }
    assert TASK.is_answer(SEMANTICS["a"]) and not TASK.is_answer(SEMANTICS["a"][:-1])


def test_what_is_missing_or_broken_is_named(data_dir: Path) -> None:
    write_table(data_dir / "semantics", {k: v for k, v in SEMANTICS.items() if k != "b"})
    with pytest.raises(DataError, match=r"semantics: no line for utterances of text: 1 \(b\)"):
        read_targets(TASK, DataDir.load(data_dir))
    write_table(data_dir / "semantics", {**SEMANTICS, "b": "{"})
    with pytest.raises(DataError, match=r"semantics:2: b: no JSON"):
        read_targets(TASK, DataDir.load(data_dir))
    (data_dir / "semantics").unlink()
    with pytest.raises(DataError, match=r"(?s)semantics: no such file.*model\.task"):
        read_targets(TASK, DataDir.load(data_dir))


def test_errors_by_hand() -> None:
    answers = {
        "a": meaning("alarm", "set", time="seven"),  # the intent is right, the filler is not
        "b": meaning("play", "stop", genre="jazz"),  # the action is wrong
        "c": "sorry",
    }
    labels = TASK.labels([SEMANTICS["a"], SEMANTICS["c"]])
    counted = TASK.count(SEMANTICS, answers, labels=labels)
    assert counted.rates["intent"].errors.tolist() == [0, 1, 1]
    assert counted.rates["intent"].percent == pytest.approx(100 * 2 / 3)
    # six / seven: words: TP 1, FP 1, FN 1; characters: distance 4 / 5. jazz: TP 1 in both.
    assert counted.rates["slu_f1"].errors.tolist() == pytest.approx([2 + 2 * 4 / 5, 0, 0])
    assert counted.rates["slu_f1"].reference.tolist() == pytest.approx([4 + 2 + 8 / 5, 4, 0])
    assert counted.by_type["genre"].percent == 0
    assert counted.remarks["answers without any JSON, scored as empty ones"] == ("c",)
    assert counted.remarks["labels of references that training did not have"] == [
        "action music 1x",
        "type genre 1x",
    ]
    labels |= {"action": ["Music"], "type": ["gen-re"]}
    remarks = TASK.count(SEMANTICS, answers, labels=labels).remarks
    assert (
        "action music 1x, Music in training"
        in (remarks["labels of references that training did not have"])
    )
    perfect = TASK.count(SEMANTICS, SEMANTICS)
    assert [perfect.rates[f.key].percent for f in TASK.metrics] == [0, 0] and not perfect.remarks


def test_a_scored_folder(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from speechllm.cli import main

    hypotheses, out = data_dir.parent / "hyp", data_dir.parent / "score"
    write_table(hypotheses, {"a": SEMANTICS["a"], "b": SEMANTICS["c"]})
    command = ["score", "--ref", f"{data_dir}/semantics", "--hyp", f"{hypotheses}"]
    command += ["--out", f"{out}", "--task", "slu"]
    main(command)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("%intent error 66.67 [ 2 / 3 ]") and "; %SLU-F1 error 33.33" in line
    result = json.loads((out / "slu.json").read_text())
    assert result["missing"] == ["c"] and result["made_from"]["task"] == "slu"
    figures = result["scores"]["plain"]
    assert figures["intent"]["errors"] == 2 and figures["intent"]["interval"]
    assert figures["by_type"].keys() == {"genre", "time"}
    written = (out / "slu.json").stat().st_ino
    main(command)
    assert (out / "slu.json").stat().st_ino == written
    main([*command, "--n_bootstrap", "10"])
    assert (out / "slu.json").stat().st_ino != written


def test_slots_are_the_same_answers_by_other_figures(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from speechllm.cli import main

    slots = load_task("slots")
    loaded = DataDir.load(data_dir)
    assert read_targets(slots, loaded) == read_targets(TASK, loaded)
    assert slots.prompt == TASK.prompt and slots.main.key == "slu_f1"
    hypotheses, out = data_dir.parent / "hyp", data_dir.parent / "score"
    write_table(hypotheses, {"a": SEMANTICS["a"], "b": SEMANTICS["c"]})
    command = ["score", "--ref", f"{data_dir}/semantics", "--hyp", f"{hypotheses}"]
    main([*command, "--out", f"{out}", "--task", "slots"])
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("%SLU-F1 error 33.33") and "; %exact error 66.67 [ 2 / 3 ]" in line
    assert (out / "slots.json").is_file()


@pytest.mark.parametrize("damaged", ['{"format": 1, "model": null}', '{"model": ["slu"]}', "[]"])
def test_a_damaged_description_is_told(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.json").write_text(damaged)
    with pytest.raises(DataError, match=r"model\.json: is damaged: .* mapping") as error:
        task_of(tmp_path)
    assert error.value.remedy
