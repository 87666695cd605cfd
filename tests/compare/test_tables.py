from dataclasses import replace

import pytest

from speechllm.compare.legends import header
from speechllm.compare.results import read_results
from speechllm.compare.tables import (
    control_table,
    main_table,
    pair_table,
    type_table,
)
from speechllm.data.dirs.kaldi import write_table
from speechllm.report.table import Table, probability
from tests.helpers.fake_grid import UTTERANCES, dropping, read_text


def rows(table: Table) -> dict[str, dict[str, str]]:
    """By arm."""
    return {row[1]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_every_figure_of_a_row(whole):
    results = read_results(whole.cells, whole.data)
    words = results[0].target.reference.sum()
    table = rows(main_table(results, "base"))
    assert list(table) == ["base", "text_only", "denoise", "mixed_batching_p20", "audio"]
    mixed = table["mixed_batching_p20"]
    wer = 100 * 2 * UTTERANCES / words
    assert mixed["WER [95 %]"].startswith(f"{wer:.2f} [") and mixed["seeds"] == "3"
    assert mixed["change [95 %]"].startswith(f"{-wer:+.2f} [")
    assert mixed["change [95 %]"].endswith("] *") and mixed["better"] == "3/3"
    assert (mixed["p"], mixed["p pairs"]) == ("<0.001", "<0.001")
    assert (mixed["gain %"], mixed["gap closed %"]) == ("50.00", "50.00")
    assert table["audio"]["gap closed %"] == "100.00"
    assert [mixed[key] for key in ("audio h", "trained M", "steps", "kept step", "seconds")] == [
        *("0.20", "1.50", "200", "100", "12"),
    ]
    base = table["base"]
    assert {base[key] for key in ("change [95 %]", "p", "better", "gain %", "gap closed %")} == {
        "-"
    }


def test_a_set_without_entities_has_no_rate_of_them(fake):
    (fake.data / "farm_test/entities").unlink()
    fake.add("denoise", dropping(1))
    results = read_results(fake.cells, fake.data)
    assert rows(main_table(results, "base"))["denoise"]["entity error % [95 %]"] == "-"
    assert type_table(results, "farm").rows == []


def test_what_is_equal_is_not_marked(whole):
    row = rows(main_table(read_results(whole.cells, whole.data), "base"))["text_only"]
    assert row["change [95 %]"] == "+0.00 [0.00, 0.00]" and row["p"] == row["p pairs"] == "1.000"
    assert (row["better"], row["gain %"], row["gap closed %"]) == ("0/3", "0.00", "0.00")


def test_holm_counts_all_arms_and_targets_of_the_table(fake):
    """One clear difference: its p is 2 / 10001 times the number of tests."""
    fake.add("base", dropping(2), seed=42)
    fake.add("clear", dropping(0), method="denoise")
    for n in range(9):
        fake.add(f"same{n}", dropping(2), method="denoise")
    table = rows(main_table(read_results(fake.cells, fake.data), "base"))
    assert table["clear"]["p"] == probability(10 * 2 / 10001) == "0.002"


def test_another_baseline(whole):
    table = rows(main_table(read_results(whole.cells, whole.data), "audio"))
    assert table["audio"]["p"] == "-" and table["base"]["p"] == "<0.001"
    assert table["base"]["better"] == "0/1" and table["base"]["gain %"] == "-"
    missing = rows(main_table(read_results(whole.cells, whole.data), "elsewhere"))
    assert {row["p"] for row in missing.values()} == {"-"}


def test_seeds_that_are_still_missing_are_shown(fake):
    fake.add("base", dropping(2), seed=42)
    fake.add_seeds("denoise", [dropping(1)] * 3)
    fake.cells[-1] = replace(fake.cells[-1], problem="not trained yet")
    table = rows(main_table(read_results(fake.cells, fake.data), "base"))
    assert table["denoise"]["seeds"] == "2 of 3"


def test_controls_stand_beside_what_they_control(whole):
    results = read_results(whole.cells, whole.data)
    (row,) = rows(control_table(results)).values()
    lost = 100 * UTTERANCES / results[0].target.reference.sum()
    assert (row["control"], row["of"]) == ("shuffled_p20", "mixed_batching_p20")
    assert row["WER [95 %]"].startswith(f"{lost:.2f}")
    assert row["WER of it [95 %]"].startswith(f"{2 * lost:.2f}")
    assert row["difference [95 %]"].startswith(f"{-lost:+.2f}")
    assert row["p"] == "<0.001" and row["difference [95 %]"].endswith("*")


def test_pairs_stand_beside_each_other(whole):
    results = read_results(whole.cells, whole.data)
    table = pair_table(results, [("audio", "mixed_batching_p20"), ("audio", "elsewhere")])
    (row,) = rows(table).values()
    lost = 100 * UTTERANCES / results[0].target.reference.sum()
    assert (row["arm"], row["against"]) == ("audio", "mixed_batching_p20")
    assert row["difference [95 %]"].startswith(f"{-2 * lost:+.2f}")
    assert row["p"] == "<0.001" and row["difference [95 %]"].endswith("*")


def test_a_control_of_something_unfinished_has_no_row(fake):
    fake.add("shuffled", dropping(1), control_of="mixed_batching", method="mixed_batching")
    assert control_table(read_results(fake.cells, fake.data)).rows == []


def test_entities_by_type(fake):
    """The last word is always lost: an entity that holds it has one error, one before it none."""
    text = read_text(fake.data / "farm_test/text")
    listed = '[{"type": "before", "text": "%s"}, {"type": "whole", "text": "%s"}]'
    write_table(
        fake.data / "farm_test/entities",
        {utt: listed % (said.rsplit(" ", 1)[0], said) for utt, said in text.items()},
    )
    fake.add("denoise", dropping(1))
    results = read_results(fake.cells, fake.data)
    table = type_table(results, "farm")
    words = sum(len(said.split()) for said in text.values())
    assert table.header == ("arm", f"before ({words - UTTERANCES} words)", f"whole ({words} words)")
    ((arm, before, whole),) = table.rows
    error = f"{100 * UTTERANCES / words:.2f} ["
    assert (arm, before) == ("denoise", "0.00 [0.00, 0.00]") and whole.startswith(error)
    (row,) = main_table(results, "base").rows
    cells = dict(zip(header(results.task), row, strict=True))
    assert cells["entity error % [95 %]"].startswith(error), "words in both annotations count once"


@pytest.mark.parametrize(
    ("p", "shown"), [(None, "-"), (0.0004, "<0.001"), (0.0123, "0.012"), (1.0, "1.000")]
)
def test_probabilities(p, shown):
    assert probability(p) == shown
