import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechllm.errors import DataError, SpeechLLMError, Unfinished
from speechllm.jobs.runner import cores, make_jobs, parse_range, pick_jobs, read_tasks, run_jobs
from tests.helpers.paths import ROOT
from tests.helpers.waiting import is_alive, wait_for_text, wait_until


def shell(script: str) -> list[str]:
    return ["bash", "-c", script]


def array(tmp_path: Path, script: str, last: int = 3):
    return make_jobs(("JOB", range(1, last + 1)), tmp_path / "log/x.JOB.log", shell(script))


def test_the_number_replaces_the_name_where_it_is_a_word():
    jobs = make_jobs(
        ("JOB", range(2, 4)), Path("log/x.JOB.log"), ["cmd", "JOB/4", "a_JOB.ark", "JOBS", "myJOB"]
    )
    assert jobs[0].command == ["cmd", "2/4", "a_2.ark", "JOBS", "myJOB"]
    assert [str(job.log) for job in jobs] == ["log/x.2.log", "log/x.3.log"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("JOB=1:4", ("JOB", range(1, 5))),
        ("J=3", ("J", range(3, 4))),
        ("log/x.log", None),
        ("JOB=a:b", None),
    ],
)
def test_ranges(word, expected):
    assert parse_range(word) == expected


def test_an_empty_range_and_a_shared_log_are_errors():
    for many in ("1:99999999999", "1:" + "9" * 5000):
        with pytest.raises(SpeechLLMError, match="1,000,000 jobs are the most"):
            parse_range(f"JOB={many}")
    with pytest.raises(SpeechLLMError, match="empty range"):
        parse_range("JOB=3:2")
    with pytest.raises(SpeechLLMError, match="shared by 2 jobs"):
        make_jobs(("JOB", range(1, 3)), Path("x.log"), ["true"])


def test_a_log_has_header_output_and_footer_and_a_done_file_beside_it(tmp_path):
    run_jobs(array(tmp_path, "echo out JOB; echo err JOB >&2"), max_jobs_run=2)
    lines = (tmp_path / "log/x.2.log").read_text().splitlines()
    assert lines[0] == "# bash -c 'echo out 2; echo err 2 >&2'"
    assert lines[1].startswith("# Started at ")
    assert lines[3:5] == ["out 2", "err 2"]
    assert lines[5].startswith("# Accounting: time=")
    assert lines[6].startswith("# Ended (code 0)")
    done = json.loads((tmp_path / "log/x.2.log.done").read_text())
    assert done["code"] == 0 and done["seconds"] >= 0


def test_a_failure_names_the_job_and_shows_its_log_and_the_others_run_on(tmp_path):
    script = f"if [ JOB = 1 ]; then echo the reason; exit 7; fi; touch {tmp_path}/JOB"
    with pytest.raises(SpeechLLMError) as error:
        run_jobs(array(tmp_path, script), max_jobs_run=1)
    message = str(error.value)
    assert "1 of 3 jobs failed" in message
    assert "job 1, code 7" in message and "x.1.log" in message
    assert "| the reason" in message
    assert (tmp_path / "2").exists() and (tmp_path / "3").exists()


def test_jobs_whose_time_was_over_are_no_failures(tmp_path):
    with pytest.raises(Unfinished, match="the time of 2 of 3 jobs was over"):
        run_jobs(array(tmp_path, "[ JOB = 1 ] || exit 75"), max_jobs_run=3)
    with pytest.raises(SpeechLLMError, match=r"job 2, code 75 \(its time was over") as error:
        run_jobs(array(tmp_path, "[ JOB = 1 ] || exit 7$((JOB + 3))"), max_jobs_run=3)
    assert not isinstance(error.value, Unfinished) and "job 3, code 76" in str(error.value)


def test_a_command_that_is_not_there_fails_like_a_shells(tmp_path):
    jobs = make_jobs(None, tmp_path / "x.log", ["no-such-command"])
    with pytest.raises(SpeechLLMError, match="code 127"):
        run_jobs(jobs, max_jobs_run=1)
    assert "No such file" in (tmp_path / "x.log").read_text()


def test_a_killed_job_says_so(tmp_path):
    with pytest.raises(SpeechLLMError, match=r"code 137 .*memory"):
        run_jobs(make_jobs(None, tmp_path / "x.log", shell("kill -9 $$")), max_jobs_run=1)


def test_pick_runs_only_what_is_asked_for(tmp_path):
    jobs = array(tmp_path, f"echo x >>{tmp_path}/ran.JOB; [ JOB != 2 ] || [ -e {tmp_path}/mended ]")
    assert pick_jobs(jobs, "failed") == []
    with pytest.raises(SpeechLLMError):
        run_jobs(jobs, max_jobs_run=2)
    jobs[2].done_file.unlink()  # as where the machine went down
    assert [job.number for job in pick_jobs(jobs, "failed")] == [2]
    assert [job.number for job in pick_jobs(jobs, "incomplete")] == [2, 3]
    (tmp_path / "mended").touch()
    run_jobs(jobs, max_jobs_run=2, pick="incomplete")
    assert [(tmp_path / f"ran.{n}").read_text().count("x") for n in (1, 2, 3)] == [1, 2, 2]
    assert pick_jobs(jobs, "incomplete") == []


def test_another_command_with_the_same_log_is_not_taken_for_done(tmp_path):
    run_jobs(array(tmp_path, "true"), max_jobs_run=3)
    assert len(pick_jobs(array(tmp_path, "true #"), "incomplete")) == 3


def test_no_more_than_max_jobs_run_at_once(tmp_path):
    """A job waits a while for another, however slowly that one is started."""
    running = f"ls {tmp_path} | grep -c on"
    wait = f"for i in $(seq 40); do [ $({running}) -lt 2 ] || break; sleep 0.05; done"
    script = f"touch {tmp_path}/on.JOB; {wait}; {running}; sleep 0.2; rm {tmp_path}/on.JOB"
    jobs = array(tmp_path, script, last=4)
    run_jobs(jobs, max_jobs_run=2)
    counts = [int(job.log.read_text().splitlines()[3]) for job in jobs]
    assert max(counts) == 2


def test_jobs_share_the_cores_unless_the_user_says_how(tmp_path, monkeypatch):
    def threads(max_jobs_run: int) -> str:
        jobs = array(tmp_path, "echo threads=$OMP_NUM_THREADS", last=2)
        run_jobs(jobs, max_jobs_run)
        return jobs[0].log.read_text().splitlines()[3]

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads(1) == "threads="
    assert threads(2) == f"threads={max(1, cores() // 2)}"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert threads(2) == "threads=7"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_jobs_and_all_they_started(tmp_path, number):
    script = f"sleep 60 & echo $! >{tmp_path}/child; wait"
    command = [sys.executable, "-m", "speechllm", "run", "JOB=1:1", f"{tmp_path}/x.JOB.log"]
    runner = subprocess.Popen(
        [*command, *shell(script)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a script has been told to ignore SIGINT.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    wait_for_text(tmp_path / "child")
    runner.send_signal(number)
    assert runner.wait() == 128 + number
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_alive(child), "a job's child outlived the runner")
    assert "# Stopped" in (tmp_path / "x.1.log").read_text()
    assert not (tmp_path / "x.1.log.done").exists()
    runner.stderr.close()


def test_the_command_line_keeps_the_commands_own_options(tmp_path):
    log = tmp_path / "x.JOB.log"
    command = ["run", "--max-jobs-run", "2", "JOB=1:2", str(log), "echo", "--a-b", "JOB", "--pick"]
    done = subprocess.run(
        [sys.executable, "-m", "speechllm", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.2.log").read_text().splitlines()[3] == "--a-b 2 --pick"
    assert "jobs" in done.stderr


def tasks(tmp_path: Path, *lines: str):
    (tmp_path / "tasks").write_text("".join(f"{line}\n" for line in lines))
    return read_tasks(tmp_path / "tasks", tmp_path / "log/x.JOB.log")


def test_tasks_are_commands_with_words_quoted_as_in_a_shell(tmp_path):
    jobs = tasks(tmp_path, "echo 'two words' JOB", r"echo it\'s")
    assert [job.command for job in jobs] == [["echo", "two words", "JOB"], ["echo", "it's"]]
    assert [job.log.name for job in jobs] == ["x.1.log", "x.2.log"]


@pytest.mark.parametrize("line", ["", "echo 'open"])
def test_a_task_that_is_no_command_is_named_by_its_line(tmp_path, line):
    with pytest.raises(DataError, match=r"tasks:2"):
        tasks(tmp_path, "echo one", line)


@pytest.fixture
def speechllm_in_path(monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def test_commands_of_speechllm_start_warm_when_they_are_many(tmp_path, speechllm_in_path):
    jobs = tasks(tmp_path, "speechllm --version", "speechllm data check", "speechllm nonsense")
    with pytest.raises(SpeechLLMError, match="2 of 3 jobs failed"):
        run_jobs(jobs, max_jobs_run=1)
    assert [job.code() for job in jobs] == [0, 2, 2]
    lines = jobs[0].log.read_text().splitlines()
    assert lines[0] == "# speechllm --version" and lines[-1].startswith("# Ended (code 0)")
    assert "speechllm 0" in lines[3]
    assert "unknown command 'nonsense'" in jobs[2].log.read_text()


def test_another_speechllm_in_path_is_run_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "speechllm").write_text("#!/bin/sh\necho pretends\n")
    (tmp_path / "speechllm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    jobs = tasks(tmp_path, *["speechllm --version"] * 2)
    run_jobs(jobs, max_jobs_run=1)
    assert jobs[0].log.read_text().splitlines()[3] == "pretends"


def test_a_signal_ends_warm_jobs_too(tmp_path, speechllm_in_path):
    inner = f"speechllm run {tmp_path}/inner.log bash -c 'echo $$ >{tmp_path}/child; sleep 60'"
    (tmp_path / "tasks").write_text(f"{inner}\n" * 2)
    words = ["run", "--max_jobs_run", "1", "--tasks", f"{tmp_path}/tasks", f"{tmp_path}/x.JOB.log"]
    runner = subprocess.Popen(
        [sys.executable, "-m", "speechllm", *words], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    wait_for_text(tmp_path / "child")
    runner.send_signal(signal.SIGTERM)
    assert runner.wait() == 128 + signal.SIGTERM
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_alive(child), "a job's child outlived the runner")
    assert not (tmp_path / "x.1.log.done").exists()


def runner_of(tmp_path: Path, script: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "speechllm", "run", "JOB=1:2", f"{tmp_path}/x.JOB.log"]
    return subprocess.Popen([*command, *shell(script)], cwd=ROOT, stderr=subprocess.DEVNULL)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_watchdog(pid: int) -> bool:
    return "watchdog" in Path(f"/proc/{pid}/cmdline").read_text()


def test_jobs_and_all_they_started_die_with_a_killed_runner(tmp_path):
    script = f"trap '' HUP; sleep 600 & echo $! >{tmp_path}/child.JOB; wait"
    runner = runner_of(tmp_path, script)
    children = [int(wait_for_text(tmp_path / f"child.{n}")) for n in (1, 2)]
    runner.kill()
    runner.wait()
    wait_until(lambda: not any(map(is_alive, children)), "a job's child outlived the runner")


def test_warm_jobs_die_with_a_killed_runner(tmp_path, speechllm_in_path):
    inner = f"speechllm run {tmp_path}/inner.log bash -c 'echo $$ >{tmp_path}/child; sleep 600'"
    (tmp_path / "tasks").write_text(f"{inner}\n" * 2)
    words = ["run", "--max_jobs_run", "1", "--tasks", f"{tmp_path}/tasks", f"{tmp_path}/x.JOB.log"]
    runner = subprocess.Popen(
        [sys.executable, "-m", "speechllm", *words], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    child = int(wait_for_text(tmp_path / "child"))
    runner.kill()
    runner.wait()
    wait_until(lambda: not is_alive(child), "a warm job's child outlived the runner")


def test_a_job_that_outlived_all_is_ended_by_the_next_runner(tmp_path):
    script = f"echo $$ >{tmp_path}/pid.JOB; exec sleep 600"
    runner = runner_of(tmp_path, script)
    pids = [int(wait_for_text(tmp_path / f"pid.{n}")) for n in (1, 2)]
    wait_until(lambda: len(list(tmp_path.glob("x.*.log.running"))) == 2)
    [watchdog] = filter(is_watchdog, children_of(runner.pid))
    runner.send_signal(signal.SIGSTOP)
    os.kill(watchdog, signal.SIGKILL)
    runner.kill()
    runner.wait()
    assert all(map(is_alive, pids))
    run_jobs(make_jobs(("JOB", range(1, 3)), tmp_path / "x.JOB.log", ["true"]), max_jobs_run=2)
    assert not any(map(is_alive, pids))
    assert sorted(p.name for p in tmp_path.glob("x.*")) == [
        *("x.1.log", "x.1.log.done", "x.2.log", "x.2.log.done")
    ]


def test_an_array_has_one_runner(tmp_path):
    runner = runner_of(tmp_path, f"echo yes >{tmp_path}/on.JOB; exec sleep 600")
    for number in (1, 2):
        wait_for_text(tmp_path / f"on.{number}")
    with pytest.raises(SpeechLLMError, match=f"being written by another .*: pid {runner.pid} "):
        run_jobs(make_jobs(None, tmp_path / "x.log", ["true"]), max_jobs_run=1)
    runner.terminate()
    assert runner.wait() == 128 + signal.SIGTERM
