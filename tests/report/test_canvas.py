"""Names in figures are names, and no formulas."""

import pytest

from speechllm.report.canvas import new_figure


def test_dollars_are_no_formula(tmp_path):
    pytest.importorskip("matplotlib")
    with new_figure(2, 2, tmp_path / "x") as figure:
        figure.subplots().set_title("$\\frac{$ of $a^")
    assert (tmp_path / "x.svg").is_file()
