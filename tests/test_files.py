"""Folders appear whole, and replace only what may go."""

import pytest

from speechllm.errors import DataError
from speechllm.files import whole_folder


def names(path):
    return sorted(p.name for p in path.iterdir())


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with whole_folder(tmp_path / "a/b", lambda path: False) as folder:
        (folder / "x").touch()
        assert not (tmp_path / "a/b").exists()
    assert names(tmp_path / "a") == ["b"] and names(tmp_path / "a/b") == ["x"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/old").touch()
    with pytest.raises(KeyError), whole_folder(tmp_path / "b", lambda path: True) as folder:
        (folder / "new").touch()
        raise KeyError
    assert names(tmp_path) == ["b"] and names(tmp_path / "b") == ["old"]


def test_only_what_may_go_is_replaced(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/old").touch()
    (tmp_path / "file").touch()
    for place in ("b", "file"):
        with (
            pytest.raises(DataError, match="something else in the place of the result"),
            whole_folder(tmp_path / place, lambda path: False),
        ):
            pass
    with whole_folder(tmp_path / "b", lambda path: (path / "old").exists()) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["b", "file"] and names(tmp_path / "b") == ["new"]
