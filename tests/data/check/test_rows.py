"""Rows of a table, whichever way it was read."""

from pathlib import Path

from speechllm.data.check.rows import Rows, read_rows
from speechllm.data.dirs.tables import Fault, Row


def test_rows_of_a_tidy_table_know_their_lines(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a one\nb two  words\nc\n")
    rows = read_rows(tmp_path / "text", lambda fault: None)
    wanted = [Row("a", "one", 1), Row("b", "two  words", 2), Row("c", "", 3)]
    assert [*rows.in_order()] == wanted == [*rows.values()]
    assert [*rows.items()] == [(row.key, row) for row in wanted]
    assert rows["c"] == wanted[2] and rows.get("d") is None and len(rows) == 3
    assert rows.keys() - {"a"} == {"b", "c"} == {"b", "c", "d"} & rows.keys()


def test_rows_of_an_untidy_table_are_sorted_and_the_first_of_a_key_counts(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("b two\n\na one\nb other\n")
    faults: list[Fault] = []
    rows = read_rows(tmp_path / "text", faults.append)
    assert [*rows.in_order()] == [Row("a", "one", 3), Row("b", "two", 1)]
    assert rows["b"].line == 1 and [fault.line for fault in faults] == [2, 3, 4]


def test_no_rows(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    rows = read_rows(tmp_path / "text", lambda fault: None)
    assert not rows and "a" not in rows and [*Rows({}).items()] == []
