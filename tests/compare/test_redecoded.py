"""Arms that only decode otherwise: rows like others, and no end of what is about training."""

import re
from dataclasses import replace

import pytest

from speechllm.compare import report
from speechllm.compare.report import write_comparison
from speechllm.compare.results import read_results
from speechllm.compare.verdict import verdicts
from tests.helpers.fake_grid import GRID, FakeComparison, dropping


@pytest.fixture
def redecoded(whole: FakeComparison) -> FakeComparison:
    """The whole comparison; text_only and the base are better, and audio is, decoded otherwise."""
    whole.redecode("text_half", "text_only", dropping(1))
    whole.redecode("base_flat", "base", dropping(2))
    whole.redecode("audio_half", "audio", dropping(0))
    decodings = {
        "text_half": {"of": "text_only", "set": {"adapted": 0.5, "guard": {"retry": None}}},
        "base_flat": {"of": "base", "set": {"speech_temperature": 2.0}},
        "audio_half": {"of": "audio", "set": {"adapted": 0.5}},
    }
    pairs = [["text_half", "text_only"]]
    whole.grid = type(whole.grid).model_validate({**GRID, "decodings": decodings, "pairs": pairs})
    return whole


def test_an_arm_has_the_seeds_of_the_arm_that_it_decodes(redecoded: FakeComparison) -> None:
    results = read_results(redecoded.cells, redecoded.data)
    half, flat = (results.find("farm", arm) for arm in ("text_half", "base_flat"))
    assert [cell.seed for cell in half.cells] == [1, 2, 3] and half.target.errors.max() == 1
    assert (half.method, half.is_redecoded, half.is_base) == ("text_only", True, False)
    assert [cell.seed for cell in flat.cells] == [42] and not flat.is_base


def test_it_neither_ends_the_gap_nor_stands_for_a_published_method(
    redecoded: FakeComparison,
) -> None:
    results = read_results(redecoded.cells, redecoded.data)
    assert results.full_audio("farm").arm == "audio"
    order, published = verdicts(results)[0].lines
    assert "`audio` = `audio_half` 0.00 < `text_half` " in order
    assert "_half" not in published and "`text_only` > `denoise`" in published
    redecoded.cells = [
        replace(cell, problem="not decoded") if cell.arm == "audio" else cell
        for cell in redecoded.cells
    ]
    assert read_results(redecoded.cells, redecoded.data).full_audio("farm") is None


def test_the_report_tells_it_from_what_was_trained(
    redecoded: FakeComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "can_plot", lambda: False)
    late = "training has not ended"
    for arm in ("text_only", "text_half"):
        cell = next(cell for cell in redecoded.cells if cell.arm == arm)
        redecoded.cells[redecoded.cells.index(cell)] = replace(cell, problem=late)
    out = redecoded.exp / "RESULTS.grid.md"
    write_comparison(redecoded.grid, redecoded.cells, redecoded.exp, redecoded.data, out)
    text = out.read_text()
    rows = re.findall(r"^\| farm +\| (\w+) +\| +(.*?) *\|", text.split("## Controls")[0], re.M)
    assert rows[-3:] == [("text_half", "2 of 3"), ("base_flat", "1"), ("audio_half", "3")]
    assert re.search(r"^\| farm +\| text_half +\| text_only +\| 2 of 3", text, re.M)
    for line in (
        "- `text_half`: the models of `text_only`, decoded with `adapted=0.5 guard.retry=null`",
        "- `base_flat`: the models of `base`, decoded with `speech_temperature=2.0`",
    ):
        assert line in text.splitlines(), line
    assert text.count(late) == 1
    assert text.count("no step was better on dev") == 1  # text_only's, not its decodings'


def test_its_learning_curve_is_that_of_the_arm_it_decodes(redecoded: FakeComparison) -> None:
    pytest.importorskip("matplotlib")
    from speechllm.compare.plots import draw_plots

    results = read_results(redecoded.cells, redecoded.data)
    draw_plots(results, redecoded.exp / "figures")
    shown = (redecoded.exp / "figures/learning_farm.svg").read_text()
    assert "<!-- denoise -->" in shown and "<!-- text_half -->" not in shown
