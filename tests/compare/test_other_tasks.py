"""A comparison of models that do not transcribe: figures, tests and words are their task's."""

import random
import re

import pytest

from speechllm.compare import report
from speechllm.compare.legends import header
from speechllm.compare.plots import draw_plots
from speechllm.compare.report import write_comparison
from speechllm.compare.results import ArmResults, read_results
from speechllm.compare.tables import main_table, type_table
from speechllm.data.dirs.kaldi import read_table, write_table
from speechllm.files.whole import write_json
from speechllm.tasks.semantics import write_answer
from tests.helpers.fake_grid import CROPS


def meaning(said: str, action: str = "sow") -> dict[str, object]:
    crop = next(crop for crop in CROPS if crop in said)
    first = {"type": "start", "filler": said.split()[0]}
    entities = [first, {"type": "crop", "filler": crop}]
    return {"scenario": "field", "action": action, "entities": entities}


def answered(rate: float, seed: str):
    """Answers with a wrong action and a lost entity with that probability, each by itself."""
    draw = random.Random(seed)

    def answer(said: str) -> str:
        made = meaning(said, "mow" if draw.random() < rate else "sow")
        if draw.random() < rate:
            made["entities"] = made["entities"][:1]
        return write_answer(made)

    return answer


@pytest.fixture
def understood(fake):
    """Three arms of two seeds that understand, one better than the other."""
    for name in ("farm_test", "source_test"):
        said = read_table(fake.data / name / "text")
        table = {utt: write_answer(meaning(text)) for utt, text in said.items()}
        write_table(fake.data / name / "semantics", table)
    arms = {"base": 0.9, "text_only": 0.5, "direct_mixing": 0.3, "curriculum": 0.05}
    for label, rate in arms.items():
        for seed in (1, 2) if label != "base" else (1,):
            answers = answered(rate, f"{label} {seed}")
            cell = fake.add(label, answers, answers, seed=seed)
            labels = {"scenario": ["field"], "action": ["sow", "mow"], "type": ["crop", "start"]}
            bundle = {"format": 1, "model": {"task": "slu"}, "labels": labels}
            write_json(cell.folder / "model/model.json", bundle)
    return fake


def test_figures_are_those_of_the_task(understood) -> None:
    results = read_results(understood.cells, understood.data)
    assert results.task.name == "slu"
    base = results.find("farm", "base")
    assert base.target.key == "intent" and base.target.reference.tolist() == [1] * 40
    assert base.target.of("slu_f1").reference.shape == (1, 40)
    rows = {
        row[1]: dict(zip(header(results.task), row, strict=True))
        for row in (main_table(results, "base").rows)
    }
    assert float(rows["curriculum"]["intent error [95 %]"].split()[0]) < 15
    assert float(rows["curriculum"]["SLU-F1 error % [95 %]"].split()[0]) < 5
    assert rows["curriculum"]["change [95 %]"].endswith("*")
    assert rows["curriculum"]["better"] == "2/2" and rows["curriculum"]["p"] == "<0.001"
    table = type_table(results, "farm")
    assert table.header == ("arm", "crop", "start")
    assert dict(zip(table.header, table.rows[0], strict=True))["start"] == "0.00 [0.00, 0.00]"


def test_a_task_with_one_figure_has_one(understood) -> None:
    results = read_results(understood.cells, understood.data)
    alone = type("Alone", (type(results.task),), {"metrics": results.task.metrics[:1]})()
    fewer = ArmResults(results, task=alone)
    assert len(main_table(fewer, "base").header) == len(header(results.task)) - 1
    assert type_table(fewer, "farm").header == ("arm", "crop", "start")


def test_the_report_speaks_of_the_task(understood, monkeypatch) -> None:
    monkeypatch.setattr(report, "can_plot", lambda: False)
    out = understood.exp / "RESULTS.grid.md"
    write_comparison(understood.grid, understood.cells, understood.exp, understood.data, out)
    text = out.read_text()
    assert "**farm**: intent error from the lowest: `curriculum`" in text
    assert re.search(r"published order\*\*: `base` > `text_only` > `direct_mixing`", text)
    assert "matched pairs of utterances (Gillick" in text and "WER" not in text
    assert "## SLU-F1 error (%) by type: farm" in text


def test_plots_are_named_after_the_error(understood, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    plots = draw_plots(read_results(understood.cells, understood.data), tmp_path)
    assert plots[0].name == "intent_by_audio" and "intent error" in plots[0].caption
