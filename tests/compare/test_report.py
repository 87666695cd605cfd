import re
import subprocess
import sys
from dataclasses import replace

import pytest

from speechllm.compare import report
from speechllm.compare.report import write_comparison
from tests.helpers.fake_grid import dropping
from tests.helpers.paths import ROOT


@pytest.fixture
def undrawn(monkeypatch):
    """As where matplotlib is not installed."""
    monkeypatch.setattr(report, "can_plot", lambda: False)


def written(fake, **more) -> str:
    out = fake.exp / "RESULTS.grid.md"
    write_comparison(fake.grid, fake.cells, fake.exp, fake.data, out, **more)
    return out.read_text()


def test_the_report_has_all_its_parts(whole, undrawn, caplog):
    lost = whole.add("denoise", dropping(3), seed=4)
    whole.cells[-1] = replace(lost, problem="training has not ended")
    whole.cells[-2] = replace(whole.cells[-2], match="epochs", budget=3.0)
    whole.grid = whole.grid.model_copy(update={"pairs": (("audio", "denoise"),)})
    text = written(whole)
    assert text.startswith("# Comparison grid\n") and str(whole.exp) not in text
    assert re.findall("^## (.*)", text, re.M) == [
        *("What was found", "Arms", "Controls", "One beside another"),
        *("Figures", "Notes", "How this was made"),
    ]
    for line in (
        "- cells: 15 of 16 finished",
        "- seeds: 1, 2, 3; the base model was trained once",
        "- matched: 200 optimiser steps for every arm, over all its phases",
        "- but `audio`: 3 passes over what each uses of the target",
        "- baseline of the tests: `base`",
        "- not in the tables: base/grid/denoise_s4_farm on farm: training has not ended",
        "- text_only on farm: no step was better on dev than the base, seeds 1, 2, 3",
        "  denoise: {config: conf/methods/denoise.yaml}",
        "- torch: 2.13.0",
    ):
        assert line in text.splitlines(), line
    assert "matplotlib is not installed" in text and "speechllm[report]" in caplog.text
    assert not (whole.exp / "RESULTS.grid").exists()


def test_figures_are_linked_relatively(fake):
    pytest.importorskip("matplotlib")
    fake.add("base", dropping(2), seed=42)
    fake.add("audio", dropping(0), hours=1.0)
    linked = re.findall(r"\]\((.*?)\)", written(fake))
    assert linked == [
        f"RESULTS.grid/{n}.{s}" for n in ("wer_by_audio", "forgetting") for s in ("png", "svg")
    ]
    assert all((fake.exp / name).is_file() for name in linked)


def test_notes_say_what_only_seems_a_result(fake, undrawn):
    fake.add("denoise", lambda said: said)
    fake.add("shuffled", dropping(1), control_of="mixed_batching", method="mixed_batching")
    text = fake.cells[0].decodings["farm_test"] / "text"
    text.write_text("".join(text.read_text().splitlines(keepends=True)[1:]))
    notes = written(fake).split("## Notes")[1]
    for note in (
        "farm: the baseline base is not finished, so there are no tests",
        "farm: no finished arm fine-tuned on all its audio, so no share of the gap",
        "shuffled on farm is a control of mixed_batching, which is not finished",
        "denoise on farm, seed 1: farm_test lacks hypotheses (counted as wholly wrong): 1 (u000)",
    ):
        assert f"- {note}\n" in notes


def test_an_audio_arm_that_does_not_help(fake, undrawn):
    fake.add("base", dropping(1), seed=42)
    fake.add("audio", dropping(2), hours=1.0)
    assert "- farm: audio is not better than the base, so no share of the gap\n" in written(fake)


def test_the_normaliser_is_named(fake, undrawn):
    fake.add("base", lambda said: said.upper(), seed=42)
    text = written(fake, normalizer="english")
    assert "normaliser english, on both sides: Unicode NFKC; lower case" in text
    assert "| 0.00 [0.00, 0.00]" in text


def test_imports_neither_torch_nor_matplotlib():
    program = (
        "import sys, speechllm.compare.report; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'matplotlib')))"
    )
    root = ROOT
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0
