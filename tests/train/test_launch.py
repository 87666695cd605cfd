"""Processes that a launcher starts: what it says when one fails, is killed, or runs out of time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RANK = """
import os, sys, time
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
if case == "over":
    sys.exit(75)
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
from speechllm.train.launch import Fleet, launch

said = {}
for case in sys.argv[1:]:
    try:
        launch(Fleet(2, logs=Path("logs", case)), [sys.executable, "rank.py", case])
        said[case] = ["ended well"]
    except SpeechLLMError as error:
        said[case] = [error.message, error.remedy]
    except SystemExit as exit_:
        said[case] = [exit_.code]
print(json.dumps(said))
"""
CASES = ("well", "error", "killed", "same", "lost", "left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launch")


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, list]:
    """What the launcher of two processes makes of each case: message and remedy, or exit code."""
    (folder / "rank.py").write_text(RANK)
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *CASES],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    (folder / "console").write_text(done.stderr)
    return json.loads(done.stdout)


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
    assert "was left alone by a process of another machine" in said["lost"][0]


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
