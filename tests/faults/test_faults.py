"""The kill harness: a short part of it, and whether it kills and sees what it should."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.faults.deaths import Calls, Death, count_calls
from tests.faults.process import start_fork, wait_for
from tests.faults.same import differences
from tests.helpers.paths import ROOT


def write(folder: Path, calls: Calls, death: Death | None) -> None:
    count_calls(calls, folder, death)
    (folder / "sub").mkdir()
    for name in ("a", "b"):
        with open(folder / f".{name}.tmp", "wb") as stream:
            stream.write(b"x" * 1000)
        os.replace(folder / f".{name}.tmp", folder / name)


def test_a_process_dies_at_the_call_that_was_asked_for(tmp_path: Path) -> None:
    calls = Calls()
    (tmp_path / "whole").mkdir()
    assert wait_for(start_fork(lambda: write(tmp_path / "whole", calls, None))) == 0
    assert calls.number == 5
    left = [[], ["sub"], [".a.tmp", "sub"], ["a", "sub"], [".b.tmp", "a", "sub"]]
    for number, names in enumerate(left, 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        worker = start_fork(lambda f=folder, n=number: write(f, Calls(), Death(call=n)))
        assert wait_for(worker) == -signal.SIGKILL
        assert sorted(path.name for path in folder.iterdir()) == names


def test_a_torn_write_leaves_the_bytes_that_were_asked_for(tmp_path: Path) -> None:
    death = Death(call=4, torn=7)
    assert wait_for(start_fork(lambda: write(tmp_path, Calls(), death))) == -signal.SIGXFSZ
    assert (tmp_path / ".b.tmp").stat().st_size == 7
    assert (tmp_path / "a").stat().st_size == 1000


def test_differences_name_what_is_left_over_missing_or_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, time in ((one, "17"), (two, "null")):
        folder.mkdir()
        (folder / "same.json").write_text(f'{{"x": [3, {time}, "{"0" * 64}"]}}')
        (folder / "report.md").write_text(f"Made on 2026-01-0{len(time)}.")
        (folder / "log").mkdir()
        (folder / "log" / time).touch()
    assert differences(one, two) == []
    (one / "gone").touch()
    (two / ".lock").touch()
    (two / "same.json").write_text(f'{{"x": [3, 17, "{"1" * 64}"]}}')
    assert differences(one, two) == ["left over: .lock", "missing: gone", "differs: same.json"]


def test_every_stage_goes_on_after_a_kill() -> None:
    """Nine of the two hundred trials, one for each stage, and some with SIGTERM."""
    command = [sys.executable, "-m", "tests.faults", "--kills", "9", "--stops", "4", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, row = (line for line in done.stdout.splitlines() if line.startswith("| all |"))
    kills, deaths, _, stops, faults = map(int, row.split("|")[2:-1])
    assert (kills, stops, faults) == (9, 4, 0) and deaths >= 9
