"""What stage 5 says before it trains."""

from pathlib import Path

import pytest

from speechllm.adapt import run
from speechllm.adapt.methods.text_only import TextOnly
from speechllm.config import parse
from speechllm.data.dirs.kaldi import write_data_dir


class Training(Exception):
    """Where the test ends."""


@pytest.mark.parametrize(
    ("form", "is_told"), [(str, False), (str.upper, True), (lambda line: f"{line.title()}.", True)]
)
def test_target_text_in_another_form_than_the_source_is_told(
    tmp_path: Path, monkeypatch, caplog, form, is_told: bool
) -> None:
    def join_world(deadline: float | None) -> None:
        raise Training

    monkeypatch.setattr(run, "join_world", join_world)
    write_data_dir(tmp_path / "source_train", text={"s1": "the cow eats green grass"})
    write_data_dir(tmp_path / "farm_train", text={"t1": form("green cow eats barley")})
    method = parse(TextOnly, {"method": "text_only", "train": {"steps": 1}}, "test")
    sets = [[tmp_path / name] for name in ("source_train", "farm_train")]
    with pytest.raises(Training):
        run.adapt(method, tmp_path / "base", *sets, [], [], tmp_path, tmp_path / "out")
    assert ("farm_train: 0 of 4 words stand in the source's transcripts" in caplog.text) == is_told
