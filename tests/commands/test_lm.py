"""What `speechllm lm` says of text that is written in another form than its dev set or the base."""

import logging
from pathlib import Path

import pytest
import yaml

from speechllm.cli import main
from speechllm.data.dirs.kaldi import write_data_dir
from speechllm.files.locks import LOCK

TEXT = {"u1": "the cow eats", "u2": "the grass grows"}


def make(folder: Path, text, dev, base=str) -> None:
    """Train a bigram model of text, dev text and a base's text in some forms."""
    for name, form in (("text", text), ("dev", dev), ("source_train", base)):
        write_data_dir(folder / name, text={utt: form(line) for utt, line in TEXT.items()})
    (folder / "base").mkdir()
    inputs = {"train": [f"{folder}/source_train", f"{folder}/gone"]}
    (folder / "base/config.yaml").write_text(yaml.safe_dump({"config": {}, "inputs": inputs}))
    (folder / "ngram.yaml").write_text("kind: ngram\norder: 2\n")
    main(
        [
            *("lm", "--config", f"{folder}/ngram.yaml", "--base", f"{folder}/base"),
            *("--text", f"{folder}/text", "--dev", f"{folder}/dev", "--exp", f"{folder}/lm"),
        ]
    )


@pytest.fixture(autouse=True)
def all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "speechllm")


def test_the_share_of_unknown_dev_words_is_said(tmp_path: Path, caplog) -> None:
    make(tmp_path, str, lambda line: line.replace("cow", "ox"))
    assert "1 of 6 words of the dev text (16.7 %) are unknown to the training text" in caplog.text
    assert "WARNING" not in caplog.text


def test_text_in_another_case_than_dev_or_base_is_a_warning(tmp_path: Path, caplog) -> None:
    make(tmp_path, str.upper, str)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "0 of 6 words stand in what" in warnings[0] and "would in lower case" in warnings[0]
    assert "6 of them are known in capitals ('the' is 'THE' there); write both alike" in warnings[1]


def test_its_folder_is_locked_until_it_is_made(tmp_path: Path, monkeypatch) -> None:
    locked = []
    monkeypatch.setattr(
        "speechllm.lm.make.make_lm", lambda *given: locked.append((given[-1] / LOCK).is_file())
    )
    make(tmp_path, str, str)
    assert locked == [True] and not (tmp_path / "lm" / LOCK).exists()
