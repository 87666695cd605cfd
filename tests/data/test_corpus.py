"""Data dirs of one domain as one set of utterances."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speechllm.data.corpus import Corpus
from speechllm.errors import DataError


def test_durations_are_asked_for_before_training(make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir()
    assert Corpus.load([path]).hours(["utt1", "utt2"]) == pytest.approx(2 / 3600)
    (path / "utt2dur").unlink()
    with pytest.raises(DataError, match=r"no durations: utt2dur\n  -> speechllm fix .*set_train"):
        Corpus.load([path]).open_frames(path, "encoder")
