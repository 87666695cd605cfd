"""Files and folders appear whole, replace only what may go, and leave nothing behind."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from speechllm.errors import DataError, SpeechLLMError
from speechllm.files.os_errors import naming
from speechllm.files.processes import Process, this_process
from speechllm.files.whole import clean_up, sweep, whole_file, whole_folder, write_json
from tests.files.test_locks import write_lock

OURS = this_process()
DEAD = Process(OURS.machine, OURS.pid, OURS.started + 1)
ELSEWHERE = Process("0" * 8, 4711, 99)


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


def test_what_dead_processes_left_goes_and_what_others_write_stays(tmp_path):
    for owner in (DEAD, ELSEWHERE, OURS):
        (tmp_path / f".x.json.{owner}.tmp").touch()
    (tmp_path / ".x.json.4711.tmp").touch()  # of an older version
    (tmp_path / ".hidden.tmp").touch()  # the user's
    write_json(tmp_path / "y.json", {})
    left = [".hidden.tmp", ".x.json.4711.tmp", f".x.json.{ELSEWHERE}.tmp", f".x.json.{OURS}.tmp"]
    assert names(tmp_path) == sorted([*left, "y.json"])
    sweep(tmp_path, time.time() + 2 * 86400)  # nobody has written there for days
    assert names(tmp_path) == [".hidden.tmp", "y.json"]


def test_where_all_is_done_what_dead_processes_left_goes_too(tmp_path):
    lock = write_lock(tmp_path, DEAD)
    for owner in (DEAD, ELSEWHERE):
        (tmp_path / f".x.json.{owner}.tmp").touch()
    clean_up(lock)
    assert names(tmp_path) == [f".x.json.{ELSEWHERE}.tmp"]
    write_lock(tmp_path, OURS)
    clean_up(lock)
    assert names(tmp_path) == [lock.name, f".x.json.{ELSEWHERE}.tmp"]
    clean_up(tmp_path / "absent" / lock.name)


@pytest.mark.parametrize("owner", [DEAD, ELSEWHERE, "4711"])
def test_what_was_being_replaced_is_put_back(tmp_path, owner):
    """The process died between the two renames."""
    for name in (f".b.{owner}.tmp", f".b.{owner}.old.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name[-7:]).touch()
    with pytest.raises(KeyError), whole_folder(tmp_path / "b", lambda path: True):
        raise KeyError
    assert names(tmp_path) == ["b"] and names(tmp_path / "b") == ["old.tmp"]


def test_what_was_replaced_goes(tmp_path):
    """The process died behind the second rename."""
    for name in ("b", f".b.{DEAD}.old.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name[-7:]).touch()
    with pytest.raises(KeyError), whole_folder(tmp_path / "b", lambda path: True):
        raise KeyError
    assert names(tmp_path) == ["b"] and names(tmp_path / "b") == ["b"]


def test_a_process_killed_between_the_renames_loses_nothing(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/old").touch()
    script = """
import os, signal, sys
from speechllm.files.whole import whole_folder
rename = os.rename
def die(old, new):
    if "old.tmp" not in str(new):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(old, new)
os.rename = die
with whole_folder(sys.argv[1], lambda path: True) as folder:
    (folder / "new").touch()
"""
    command = [sys.executable, "-c", script, str(tmp_path / "b")]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert not (tmp_path / "b").exists()
    write_json(tmp_path / "any.json", {})
    assert names(tmp_path / "b") == ["old"]


def test_a_folder_is_made_by_one_process_at_a_time(tmp_path):
    lock = tmp_path / ".b.lock"
    lock.write_text(
        f'{{"machine": "{ELSEWHERE.machine}", "pid": 4711, "started": 99, "host": "there"}}'
    )
    with (
        pytest.raises(SpeechLLMError, match="pid 4711 on there"),
        whole_folder(tmp_path / "b", lambda path: True),
    ):
        pass
    assert names(tmp_path) == [".b.lock"]


def test_the_longest_name_has_its_temporary_too(tmp_path):
    write_json(tmp_path / ("x" * 255), {})
    with whole_folder(tmp_path / ("ä" * 127), lambda path: True):
        pass
    assert names(tmp_path) == sorted(["x" * 255, "ä" * 127])


@contextmanager
def small_files():
    """No file may grow beyond 4096 bytes, that of pytest's own output neither."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_has_no_room_is_named(tmp_path):
    with pytest.raises(OSError) as error, small_files(), whole_file(tmp_path / "x") as stream:
        stream.write("x" * 9999)
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(tmp_path / "x"))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_errors_of_libraries_are_those_of_the_system(tmp_path, error):
    with pytest.raises(OSError) as found, naming(Path("a/b")):
        raise error
    assert (found.value.errno, found.value.filename) == (errno.ENOSPC, "a/b")


def test_what_has_nothing_to_do_with_the_file_does_not_name_it():
    for error in (ConnectionResetError(errno.ECONNRESET, "reset"), KeyError("os error 2")):
        with pytest.raises(type(error)) as found, naming(Path("a/b")):
            raise error
        assert found.value is error


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError) as error, whole_file(tmp_path / "x"):
        pass
    assert error.value.filename == str(tmp_path / "x")


def test_a_file_of_a_folder_that_never_appeared_is_named_as_it_would_be(tmp_path):
    with (
        pytest.raises(OSError) as error,
        small_files(),
        whole_folder(tmp_path / "b", lambda path: True) as folder,
        whole_file(folder / "c/x") as stream,
    ):
        stream.write("x" * 9999)
    assert error.value.filename == str(tmp_path / "b/c/x")
    assert names(tmp_path) == []


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError) as error, whole_file(tmp_path / "x"):
        pass
    assert error.value.filename == str(tmp_path / "x") and os.listdir(tmp_path) == ["x"]


def test_weights_are_for_all_who_may_read_what_is_made(tmp_path: Path) -> None:
    """safetensors writes files for their owner alone."""
    with whole_folder(tmp_path / "model", lambda _: False) as folder:
        for name in ("a.safetensors", "private.txt"):
            (folder / name).write_text("")
            (folder / name).chmod(0o600)
        (folder / "usual").write_text("")
    usual = (tmp_path / "model/usual").stat().st_mode
    assert (tmp_path / "model/a.safetensors").stat().st_mode == usual
    assert (tmp_path / "model/private.txt").stat().st_mode & 0o777 == 0o600
