"""Scripts of users that import modules by their old names go on."""

import importlib
import subprocess
import sys

import pytest

from speechllm.moved import MOVED
from tests.helpers.paths import ROOT

OLD_SCRIPT = """
from speechllm.data.corpora import pairs
from speechllm.data.corpora.pairs import Columns, read_pairs
from speechllm.data.corpora.utterances import Utterance, write_set
from speechllm.data.kaldi import DataDir, write_data_dir
from speechllm.progress import track
import speechllm.data.dirs.kaldi as new
assert DataDir is new.DataDir and new.__name__ == new.__spec__.name == "speechllm.data.dirs.kaldi"
assert pairs.Columns is Columns is pairs.PairColumns
"""


@pytest.mark.parametrize("new", sorted(set(MOVED.values())))
def test_all_new_names_are_there(new: str) -> None:
    assert importlib.import_module(f"speechllm.{new}").__name__ == f"speechllm.{new}"


def test_a_script_of_an_older_template_runs_and_is_told() -> None:
    command = [sys.executable, "-c", OLD_SCRIPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "speechllm: speechllm.data.kaldi is speechllm.data.dirs.kaldi now\n" in done.stderr
    assert done.stderr.count("data.kaldi is") == 1


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("speechllm.data.nothing")
