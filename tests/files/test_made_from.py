"""Records of inputs: what is trusted, what is hashed, and what counts as changed."""

import os
import shutil
import time
from pathlib import Path

import pytest

from speechllm.errors import SpeechLLMError
from speechllm.files import made_from
from speechllm.files.made_from import (
    MADE_FROM,
    changed_since,
    digest,
    is_sealed,
    refuse_changes,
    sealed_file,
    verifying,
    write_record,
)

HOUR = 3600 * 10**9


def aged(path: Path, nanoseconds: int = HOUR) -> Path:
    """Make a file older, so that its time can be trusted."""
    then = time.time_ns() - nanoseconds
    os.utime(path, ns=(then, then))
    return path


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    """A record of three settled files."""
    files = {name: tmp_path / name for name in "abc"}
    for name, path in files.items():
        path.write_text(f"this is {name}")
        aged(path)
    write_record(tmp_path / MADE_FROM, files)
    return tmp_path / MADE_FROM, files


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed, while nothing is known from before."""
    read: list[str] = []
    real = made_from.digest

    def digest(path: Path) -> str:
        read.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(made_from, "digest", digest)
    monkeypatch.setattr(made_from, "_hashes", {})
    return read


def flip(path: Path) -> None:
    """Change one bit, and nothing that `stat` shows but ctime."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_nothing_is_read_where_sizes_and_times_are_the_same(place, reads) -> None:
    assert changed_since(*place) == [] and reads == []


def test_a_change_is_named(place) -> None:
    place[1]["b"].write_text("this is B")
    assert changed_since(*place) == ["b"]


def test_another_time_alone_is_no_change_and_is_remembered(place, reads) -> None:
    aged(place[1]["b"], 2 * HOUR)
    assert changed_since(*place) == [] and set(reads) == {"b"}
    reads.clear()
    assert changed_since(*place) == [] and reads == []


def test_a_copy_is_no_change(place, tmp_path) -> None:
    copies = {name: Path(shutil.copy(p, tmp_path / f"{name}2")) for name, p in place[1].items()}
    assert changed_since(place[0], copies) == []


def test_verifying_finds_what_kept_its_size_and_time(place) -> None:
    flip(place[1]["c"])
    assert changed_since(*place) == []  # as in git
    with verifying():
        assert changed_since(*place) == ["c"]
    assert changed_since(*place) == []


def test_a_time_that_is_too_young_is_not_trusted(tmp_path) -> None:
    young = tmp_path / "young"
    young.write_text("first")
    write_record(tmp_path / MADE_FROM, {"young": young})
    flip(young)  # within the same tick of a coarse clock
    assert changed_since(tmp_path / MADE_FROM, {"young": young}) == ["young"]


def test_files_that_come_or_go_are_changes(place) -> None:
    record, files = place
    new = aged(shutil.copy(files["a"], files["a"].with_name("d")))
    assert changed_since(record, files | {"d": new}) == ["d"]
    assert changed_since(record, {n: p for n, p in files.items() if n != "a"}) == ["a"]
    files["b"].unlink()
    assert changed_since(record, files) == ["b"]


def test_what_nobody_knows_is_unchanged(place) -> None:
    record, files = place
    assert changed_since(record, files | {"a": None}) == []
    write_record(record, files | {"a": None})
    assert changed_since(record, files) == []


def test_no_record_is_said_and_no_change(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    refuse_changes("exp/base", changed_since(tmp_path / MADE_FROM, {}), "rm -r exp/base")
    assert "exp/base: an older version made it" in caplog.text


def test_refusing_names_at_most_five() -> None:
    with pytest.raises(SpeechLLMError, match=r"a, b, c, d, e, \.\.\.\n.*or rm -r x"):
        refuse_changes("x", list("abcdefg"), "rm -r x")


def test_a_file_whose_writer_was_killed_before_its_hash_gets_it(tmp_path) -> None:
    path, beside = tmp_path / "x", tmp_path / "x.sha256"
    path.write_text("whole")
    assert is_sealed(path) and beside.read_text().startswith(digest(path))
    path.write_text("other")
    assert not is_sealed(path)


def test_a_hash_never_stands_beside_a_file_that_it_is_not_of(tmp_path, monkeypatch) -> None:
    """Killed while a file is replaced: it is the old one or the new one, and nobody doubts it."""
    path = tmp_path / "x"
    replace = os.replace
    for last in range(1, 3):
        with sealed_file(path) as stream:
            stream.write("old")
        renamed = []

        def die(old: str, new: str, last: int = last, renamed: list[str] = renamed) -> None:
            renamed.append(new)
            if len(renamed) == last:
                raise KeyboardInterrupt
            replace(old, new)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "replace", die)
            with sealed_file(path) as stream:
                stream.write("new")
        assert path.read_text() == ("old", "new")[last - 1]
        assert is_sealed(path) and sorted(p.name for p in tmp_path.iterdir()) == ["x", "x.sha256"]
