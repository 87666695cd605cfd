from dataclasses import replace

import numpy as np
import pytest

from speechllm.compare.results import read_results
from speechllm.errors import DataError
from tests.helpers.fake_grid import UTTERANCES, dropping


def test_arms_are_gathered_over_seeds(whole):
    results = read_results(whole.cells, whole.data)
    assert [(r.arm, len(r.cells), r.planned) for r in results] == [
        ("base", 1, 1),
        ("text_only", 3, 3),
        ("denoise", 3, 3),
        ("mixed_batching_p20", 3, 3),
        ("shuffled_p20", 3, 3),
        ("audio", 3, 3),
    ]
    denoise = results.find("farm", "denoise")
    assert denoise.target.errors.tolist() == [[3] * UTTERANCES] * 3
    assert denoise.target.error == pytest.approx(300 * UTTERANCES / denoise.target.reference.sum())
    assert results.full_audio("farm").arm == "audio"
    assert (
        results.find("farm", "base").target.answers_key
        == results.find("farm", "text_only").target.answers_key
    )


def test_unfinished_cells_are_left_out_but_planned(fake):
    fake.add_seeds("denoise", [dropping(1), dropping(2)])
    fake.add("audio", dropping(0))
    fake.cells[1:] = [replace(cell, problem="not trained yet") for cell in fake.cells[1:]]
    (denoise,) = read_results(fake.cells, fake.data)
    assert (denoise.arm, len(denoise.cells), denoise.planned) == ("denoise", 1, 2)


def test_less_audio_does_not_stand_for_all_of_it(fake):
    """Else the share of the gap would silently be that of a smaller gap."""
    fake.add("audio", dropping(1), fraction=0.1, hours=0.1)
    fake.add("audio", dropping(0), fraction=1.0, hours=1.0)
    assert read_results(fake.cells, fake.data).full_audio("farm").arm == "audio_p100"
    fake.cells[1] = replace(fake.cells[1], problem="not trained yet")
    assert read_results(fake.cells, fake.data).full_audio("farm") is None
    fake.cells[1] = replace(fake.cells[1], target="elsewhere")
    assert read_results(fake.cells, fake.data).full_audio("farm").arm == "audio_p10"


def test_seeds_are_in_order_whatever_the_order_of_cells(fake):
    fake.add("denoise", dropping(2), seed=2)
    fake.add("denoise", dropping(1), seed=1, steps=100)
    (denoise,) = read_results(fake.cells, fake.data)
    assert np.array_equal(denoise.target.errors[:, 0], [1, 2])
    assert (denoise.mean("steps"), denoise.mean("nowhere")) == (150, None)


def test_a_test_set_that_is_gone(fake):
    fake.add("denoise", dropping(1))
    (fake.data / "farm_test/text").unlink()
    with pytest.raises(DataError, match="farm_test"):
        read_results(fake.cells, fake.data)
