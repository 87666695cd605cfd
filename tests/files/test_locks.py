"""One process at a time; a dead one's lock is told from a live one's, here and elsewhere."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechllm.errors import SpeechLLMError
from speechllm.files import locks
from speechllm.files.locks import LOCK, STALE_SECONDS, forget_dead, locked, locked_folder
from speechllm.files.processes import Process, this_process
from tests.helpers.paths import ROOT
from tests.helpers.waiting import is_alive, wait_for_text, wait_until

HOLD = """
import sys, time
from pathlib import Path
import speechllm.files.locks as locks
from speechllm.errors import SpeechLLMError
locks.BEAT_SECONDS = 0.05
folder = Path(sys.argv[1])
try:
    with locks.locked_folder(folder):
        (folder / f"held.{sys.argv[2]}").write_text("yes")
        while not (folder / "end").exists():
            time.sleep(0.02)
except SpeechLLMError as error:
    (folder / f"refused.{sys.argv[2]}").write_text(str(error))
"""


def hold(folder: Path, name: str = "1") -> subprocess.Popen:
    """A process that holds a folder's lock until there is a file `end` in it."""
    return subprocess.Popen([sys.executable, "-c", HOLD, str(folder), name], cwd=ROOT)


def write_lock(folder: Path, process: Process, age: float = 0.0) -> Path:
    folder.mkdir(exist_ok=True)
    told = {"machine": process.machine, "pid": process.pid, "started": process.started}
    told |= {"host": "elsewhere", "command": "speechllm base", "since": "2026-01-01 00:00:00"}
    path = folder / LOCK
    path.write_text(json.dumps(told))
    then = time.time() - age
    os.utime(path, (then, then))
    return path


ELSEWHERE = Process("0" * 8, 4711, 99)


def test_who_holds_a_lock_is_named_and_it_vanishes_in_the_end(tmp_path):
    holder = hold(tmp_path)
    wait_for_text(tmp_path / "held.1")
    with pytest.raises(SpeechLLMError) as refused, locked_folder(tmp_path):
        pass
    (tmp_path / "end").touch()
    assert holder.wait() == 0
    for part in (f"{tmp_path} is being written", f"pid {holder.pid} on ", "start time ", "since "):
        assert part in refused.value.message
    assert f"speechllm {tmp_path} 1" in refused.value.message
    assert refused.value.remedy == f"wait for its end, or end it: kill {holder.pid}"
    assert not (tmp_path / LOCK).exists()
    with locked_folder(tmp_path), locked_folder(tmp_path):  # the same process may, twice
        assert (tmp_path / LOCK).exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["end", "held.1"]


def test_an_error_inside_releases(tmp_path):
    with pytest.raises(KeyError), locked_folder(tmp_path):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    holder = hold(tmp_path)
    wait_for_text(tmp_path / "held.1")
    holder.kill()
    # Not waited for: what waits to be collected is dead too.
    wait_until(lambda: not is_alive(holder.pid))
    assert (tmp_path / LOCK).exists()
    with locked_folder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    holder.wait()


def test_a_process_that_got_the_same_number_is_another_one(tmp_path):
    ours = this_process()
    write_lock(tmp_path, Process(ours.machine, ours.pid, ours.started + 1))
    with locked_folder(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_of_many_that_find_a_stale_lock_one_gets_it(tmp_path):
    ours = this_process()
    write_lock(tmp_path, Process(ours.machine, ours.pid, ours.started + 1))
    many = [hold(tmp_path, str(number)) for number in range(8)]
    wait_until(lambda: len(list(tmp_path.glob("held.*")) + list(tmp_path.glob("refused.*"))) == 8)
    assert len(list(tmp_path.glob("held.*"))) == 1
    (tmp_path / "end").touch()
    assert [one.wait() for one in many] == [0] * 8
    assert not list(tmp_path.glob(f"{LOCK}*"))


def test_another_machines_lock_is_alive_while_it_is_touched(tmp_path, monkeypatch):
    path = write_lock(tmp_path, ELSEWHERE, age=STALE_SECONDS - 60)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # our own clock may say what it likes
    says = pytest.raises(SpeechLLMError, match="pid 4711 on elsewhere, since 2026")
    with says as refused, locked_folder(tmp_path):
        pass
    assert f"rm {path} once you are sure" in refused.value.remedy
    assert f"{STALE_SECONDS:.0f} s after its last sign of life" in refused.value.remedy


def test_a_job_that_slurm_started_again_waits_for_the_lock_of_its_dead_node(tmp_path, monkeypatch):
    monkeypatch.setenv(locks.RESTARTED, "1")
    write_lock(tmp_path, ELSEWHERE, age=STALE_SECONDS - 1)
    with locked_folder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_another_machines_lock_that_nobody_touches_is_taken_over(tmp_path):
    write_lock(tmp_path, ELSEWHERE, age=STALE_SECONDS + 60)
    with locked_folder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "\0" * 9])
def test_a_lock_that_says_nothing_is_judged_by_its_age(tmp_path, content):
    (tmp_path / LOCK).write_text(content)
    says = pytest.raises(SpeechLLMError, match=r"does not say who holds it\n  -> rm .*\.lock")
    with says, locked_folder(tmp_path):
        pass
    os.utime(tmp_path / LOCK, (0, 0))
    with locked_folder(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_lock_is_one_line_whatever_it_says(tmp_path):
    path = write_lock(tmp_path, ELSEWHERE)
    told = json.loads(path.read_text()) | {"command": "a\nb\x1b[31m" + "x" * 9999}
    path.write_text(json.dumps(told))
    with pytest.raises(SpeechLLMError) as refused, locked_folder(tmp_path):
        pass
    assert refused.value.message.isprintable() and len(refused.value.message) < 500


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.EPERM, "Operation not permitted", *map(str, paths))

    monkeypatch.setattr(os, "link", refuse)
    with locked_folder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    ours = this_process()
    write_lock(tmp_path, Process(ours.machine, ours.pid, ours.started + 1))
    with locked_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_ranks_of_torchrun_share_the_first_ones_lock(tmp_path, monkeypatch):
    write_lock(tmp_path, ELSEWHERE)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with locked_folder(tmp_path):
        pass
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SpeechLLMError), locked_folder(tmp_path):
        pass


def test_patience_waits_for_a_short_work(tmp_path):
    holder = hold(tmp_path)
    wait_for_text(tmp_path / "held.1")
    (tmp_path / "end").touch()
    with locked(tmp_path / LOCK, "it", patience=60.0):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert holder.wait() == 0


def test_a_holder_touches_its_lock_and_makes_it_anew(tmp_path):
    holder = hold(tmp_path)
    wait_for_text(tmp_path / "held.1")
    os.utime(tmp_path / LOCK, (0, 0))
    wait_until(lambda: (tmp_path / LOCK).stat().st_mtime > 0, "the lock was not touched")
    (tmp_path / LOCK).unlink()
    wait_for_text(tmp_path / LOCK)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == holder.pid
    (tmp_path / "end").touch()
    assert holder.wait() == 0


def test_who_was_robbed_of_its_lock_ends(tmp_path):
    holder = hold(tmp_path)
    wait_for_text(tmp_path / "held.1")
    other = write_lock(tmp_path / "other", ELSEWHERE)
    os.replace(other, tmp_path / LOCK)
    assert holder.wait() == -signal.SIGTERM
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == ELSEWHERE.pid


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system", "whatever")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError) as error, locked_folder(tmp_path / "x"):
        pass
    assert error.value.filename == str(tmp_path / "x" / LOCK)
    assert locks._held == set()


def test_of_a_dead_process_neither_lock_nor_guard_stays(tmp_path):
    """It was killed before it could remove its lock, or while it removed another one's."""
    ours = this_process()
    dead = Process(ours.machine, ours.pid, ours.started + 1)
    for names in ([LOCK], [f"{LOCK}.taking"], [LOCK, f"{LOCK}.taking"]):
        for take in (lambda: forget_dead(tmp_path / LOCK), lambda: _take(tmp_path)):
            for name in names:
                write_lock(tmp_path, dead).rename(tmp_path / name)
            take()
            assert list(tmp_path.iterdir()) == []
    alive = write_lock(tmp_path, ELSEWHERE)
    forget_dead(alive)
    assert alive.exists()


def _take(folder):
    with locked_folder(folder):
        pass
