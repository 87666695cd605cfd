"""What stops a command says so in a line, and nothing half made stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechllm.files.signals import NUMBERS
from tests.helpers.paths import ROOT
from tests.helpers.waiting import wait_for_text, wait_until

TRIAL = """
import sys, time, types
from pathlib import Path
from speechllm import cli

def run(args):
    from speechllm.files.whole import whole_file, whole_folder
    from speechllm.files.locks import locked_folder
    folder = Path(sys.argv[1])
    with locked_folder(folder), whole_folder(folder / "made", lambda _: False) as made:
        with whole_file(made / "in"), whole_file(folder / "out.txt") as stream:
            stream.write("half")
            (folder / "ready").write_text("yes")
            while True:
                time.sleep(0.02)

trial = types.ModuleType("trial")
trial.add_arguments, trial.run = lambda parser: None, run
sys.modules["speechllm.commands.trial"] = trial
cli.COMMANDS["trial"] = ""
cli.main(["trial"])
"""


def _heed_signals() -> None:
    """Tests in the background of a script have been told to ignore SIGINT, under nohup SIGHUP."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(folder: Path, before=lambda: None, **environment: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", TRIAL, str(folder)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: (_heed_signals(), before()),
    )
    wait_for_text(folder / "ready")
    return process


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_says_in_a_line_how_to_go_on(tmp_path, number):
    process = start(tmp_path)
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == 128 + number
    name = signal.Signals(number).name
    assert said == f"speechllm trial: stopped by {name}; to go on, give the same command again\n"
    assert [p.name for p in tmp_path.iterdir()] == ["ready"]


EARLY = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == "speechllm.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
runpy.run_module("speechllm", run_name="__main__")
"""


def test_an_interrupt_while_the_program_is_imported_shows_no_traceback():
    command = [sys.executable, "-c", EARLY]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, preexec_fn=_heed_signals
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_a_signal_that_comes_twice_is_one(tmp_path):
    """As `timeout` sends it: to its child, and to the group of both."""
    process = start(tmp_path, os.setsid)
    process.send_signal(signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    assert "stopped by SIGTERM" in process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert [p.name for p in tmp_path.iterdir()] == ["ready"]


def test_nohup_is_heard(tmp_path):
    process = start(tmp_path, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in process.communicate()[1]


def test_the_first_of_torchruns_processes_says_it_for_all(tmp_path):
    process = start(tmp_path, WORLD_SIZE="2", RANK="1")
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[1] == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_what_a_killed_process_has_left_is_swept_by_the_next(tmp_path):
    from speechllm.files.whole import whole_folder, write_json

    process = start(tmp_path)
    process.kill()
    process.communicate()
    wait_until(lambda: process.returncode is not None)
    left = {p.name.split(".")[1] for p in tmp_path.iterdir() if p.name.endswith(".tmp")}
    assert left == {"made", "out"}
    write_json(tmp_path / "other.json", {})
    with whole_folder(tmp_path / "made", lambda _: False):
        pass
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"ready", "other.json", "made", ".lock"}
