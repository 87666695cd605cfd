from speechllm.report.table import Table, change, count, interval, number, rtf


def test_markdown_is_padded_and_escaped():
    table = Table(("model", "WER"), [["a|b", "1.00"], ["longer name", "12.00"]], names=1)
    assert table.markdown().splitlines() == [
        "| model       |   WER |",
        "| ----------- | ----: |",
        "| a\\|b        |  1.00 |",
        "| longer name | 12.00 |",
    ]


def test_a_table_without_rows():
    assert Table(("a", "b"), []).markdown().splitlines() == ["| a   | b   |", "| --- | --- |"]


def test_a_column_can_be_left_out():
    table = Table(("model", "steps", "WER"), [["a", "10", "1.00"]], names=1)
    assert table.without("steps") == Table(("model", "WER"), [["a", "1.00"]], names=1)
    assert table.width == len(table.markdown().splitlines()[0])


def test_figures():
    assert (number(1.005e2), number(0), number(None)) == ("100.50", "0.00", "-")
    assert (change(0.5), change(-0.126), change(None)) == ("+0.50", "-0.13", "-")
    assert (count(1234567), count(0), count(None)) == ("1,234,567", "0", "-")
    assert (interval([1, 2.5]), interval(None)) == ("[1.00, 2.50]", "-")
    assert (rtf({"rtf": 0.0123}), rtf({})) == ("0.012", "-")


def test_nothing_is_below_zero_by_nothing():
    assert (number(-1e-9), change(-1e-9), interval((-1e-9, 0.004))) == (
        *("0.00", "+0.00", "[0.00, 0.00]"),
    )
