"""Processes that a launcher starts: what it says when one fails, is killed, or runs out of time."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import is_alive, wait_for_text, wait_until

RANK = """
import os, signal, sys, time
from pathlib import Path

case, rank = sys.argv[1], os.environ["RANK"]
print(f"{case}: rank {rank} began", file=sys.stderr, flush=True)
Path(f"{case}.{rank}").touch()
while not all(Path(f"{case}.{r}").exists() for r in "01"):
    time.sleep(0.01)
if case == "well":
    sys.exit(0)
if rank == "1" and case == "error":
    print("speechllm base: error: there is no x", "  -> make it", sep="\\n", file=sys.stderr)
    sys.exit(1)
if rank == "1" and case == "killed":
    os.kill(os.getpid(), 9)
if case == "same":  # as a wrong config, which every rank refuses
    print("speechllm base: error: there is no y", file=sys.stderr, flush=True)
    Path(f"said.{rank}").touch()
    while not all(Path(f"said.{r}").exists() for r in "01"):
        time.sleep(0.01)
    sys.exit(2)
if case == "over":  # the second one leaves the first word to the first
    time.sleep(2 * (rank == "1"))
    sys.exit(75)
if case == "saves":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Path(f"waits.{rank}").touch()
    signal.sigwait({signal.SIGTERM})
    time.sleep(6)  # longer than what a failed process has to clean up
    Path(f"saved.{rank}").touch()
    sys.exit(128 + signal.SIGTERM)
if case == "told":  # by the signal of one of them
    sys.exit(128 + signal.SIGUSR1)
if case == "lost":
    sys.exit(76)
if case == "left":  # by a rank that dies: the other one's connection ends
    sys.exit(5 if rank == "1" else 76)
time.sleep(600)
"""
LAUNCHER = """
import json, sys
from pathlib import Path
from speechllm.errors import SpeechLLMError
from speechllm.files.signals import Stopped
from speechllm.train.launch import Fleet, launch

said, meeting = {}, sys.argv[1]
for case in sys.argv[2:]:
    fleet = Fleet(1, 2, meeting) if meeting else Fleet(2, logs=Path("logs", case))
    try:
        launch(fleet, [sys.executable, "rank.py", case])
        said[case] = ["ended well"]
    except SpeechLLMError as error:
        said[case] = [error.message, error.remedy]
    except SystemExit as exit_:
        said[case] = [exit_.code]
    except Stopped as stopped:
        said[case] = [f"stopped by {stopped.number}"]
print(json.dumps(said))
"""
CASES = ("well", "error", "killed", "same", "told", "lost", "left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    (folder / "rank.py").write_text(RANK)
    return folder


def start(folder: Path, meeting: str, *cases: str, **options: object) -> subprocess.Popen:
    """Start a launcher: of two processes, or of one of two machines that have a place to meet."""
    words = [sys.executable, "-c", LAUNCHER, meeting, *cases]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True, **options)


def outcome(launcher: subprocess.Popen) -> dict[str, list]:
    out, _ = launcher.communicate(timeout=300)
    assert launcher.returncode == 0
    return json.loads(out)


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, list]:
    """What the launcher of two processes makes of each case: message and remedy, or exit code."""
    with (folder / "console").open("w") as console:
        launcher = start(folder, "", *CASES, stderr=console)
        return outcome(launcher)


def test_a_rank_that_fails_is_named_with_its_message_and_its_log(said: dict[str, list]) -> None:
    message, remedy = said["error"]
    assert message.startswith("rank 1 of 2 on ")
    assert message.endswith("ended with exit code 1: speechllm base: error: there is no x")
    assert remedy == "see logs/error/rank1.log; the same command goes on from the last checkpoint"


def test_a_rank_that_is_killed_is_named(said: dict[str, list]) -> None:
    message, remedy = said["killed"]
    assert message.startswith("rank 1 of 2 on ") and message.endswith(" was killed by SIGKILL")
    assert remedy.startswith("see logs/killed/rank1.log;")


def test_the_rank_that_others_miss_is_named_and_not_they(said: dict[str, list]) -> None:
    assert "rank 1 of 2" in said["left"][0] and "exit code 5" in said["left"][0]
    assert "ended because a process of another machine had ended" in said["lost"][0]


def test_a_signal_to_a_rank_is_named(said: dict[str, list]) -> None:
    assert said["told"][0].endswith(" was stopped by SIGUSR1")


def test_what_the_first_rank_has_said_is_not_said_again(said: dict[str, list]) -> None:
    assert said["well"] == ["ended well"] and said["same"] == [2]


def test_the_first_rank_writes_to_the_console_and_the_others_to_logs(
    said: dict[str, list], folder: Path
) -> None:
    console = (folder / "console").read_text().splitlines()
    assert [line for line in console if "began" in line] == [f"{c}: rank 0 began" for c in CASES]
    assert len(console) == len(CASES) + 1, console  # no word of torch; "same" says one more
    for case in CASES:
        log = (folder / "logs" / case / "rank1.log").read_text()
        assert log.startswith(f"{case}: rank 1 began")


def test_on_a_signal_ranks_may_take_their_time_to_save(folder: Path) -> None:
    launcher = start(folder, "", "saves")
    wait_until(lambda: len(list(folder.glob("waits.*"))) == 2)
    launcher.terminate()
    assert outcome(launcher) == {"saves": [f"stopped by {signal.SIGTERM}"]}
    assert len(list(folder.glob("saved.*"))) == 2


def test_the_machine_that_ends_first_does_not_stop_the_others(folder: Path) -> None:
    """The launcher that keeps the place to meet ends at once, the other one's rank later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = free.getsockname()
    meeting = f"localhost:{place[1]}"
    launchers = [start(folder, meeting, "over")]
    with socket.socket() as caller:
        wait_until(lambda: caller.connect_ex(place) == 0)
    launchers.append(start(folder, meeting, "over"))
    assert [outcome(launcher) for launcher in launchers] == [{"over": [75]}] * 2


def test_a_single_process_ends_with_its_launcher_too(folder: Path) -> None:
    """Else it would go on alone, and keep the lock of its folder."""
    alone = "import os, time; from pathlib import Path; from speechllm.train.distributed import *\n"
    alone += "join_world(); Path('alone').write_text(str(os.getpid())); time.sleep(600)"
    code = "import sys; from speechllm.train.launch import *\n"
    code += f"launch(Fleet(1), [sys.executable, '-c', {alone!r}])"
    launcher = subprocess.Popen([sys.executable, "-c", code], cwd=folder)
    rank = int(wait_for_text(folder / "alone"))
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not is_alive(rank), "the process outlives its launcher")
