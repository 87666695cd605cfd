"""Arrays of jobs on a real Slurm of two nodes, whose jobs, nodes and controller come to grief."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speechllm.cli import main
from speechllm.errors import SpeechLLMError
from speechllm.jobs import scheduler, slurm
from speechllm.jobs.resources import SlurmConfig
from speechllm.jobs.runner import Job, make_jobs, run_jobs
from tests.helpers.paths import ROOT
from tests.helpers.slurm import NODES, Cluster
from tests.helpers.waiting import wait_for_text, wait_until

CONFIG = SlurmConfig(default={"mem": "50M"})
pytestmark = pytest.mark.usefixtures("quick", "cluster")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of tests has no cache that lags behind."""
    monkeypatch.setattr(slurm, "CACHE_SECONDS", 0.5)


def shell(script: str) -> list[str]:
    return ["bash", "-c", script]


def array(tmp_path: Path, script: str, last: int = 2) -> list[Job]:
    numbers = ("JOB", range(1, last + 1))
    return make_jobs(numbers, tmp_path / "log/x.JOB.log", shell(script))


def run(jobs: list[Job], pick: str = "all", at_once: int = 4) -> None:
    run_jobs(jobs, at_once, pick, slurm.slurm_backend(CONFIG, jobs))


class Runner:
    """`speechllm run --slurm` in a process of its own, that is ended with the test."""

    def __init__(self, tmp_path: Path, script: str, last: int = 2, **environment: str):
        self.log = tmp_path / "log/x.JOB.log"
        config = tmp_path / "slurm.yaml"
        config.write_text("default:\n  mem: 50M\n")
        self.said = tmp_path / "said"
        words = ["run", "--slurm", str(config), f"JOB=1:{last}", str(self.log), *shell(script)]
        with self.said.open("a") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "speechllm", *words],
                cwd=ROOT,
                stderr=stderr,
                env={**os.environ, **environment},
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def wait(self, code: int = 0) -> str:
        """Wait for its end; what it said."""
        assert self.process.wait(120) == code, self.said.read_text()
        return self.said.read_text()

    def says(self, text: str) -> None:
        wait_until(lambda: text in self.said.read_text(), f"it does not say '{text}'")


@pytest.fixture
def start(tmp_path: Path, cluster: Cluster) -> Iterator[Callable[..., Runner]]:
    started: list[Runner] = []

    def make(script: str, last: int = 2, **environment: str) -> Runner:
        started.append(Runner(tmp_path, script, last, **environment))
        return started[-1]

    yield make
    for runner in started:
        runner.process.kill()
        runner.process.wait()
    cluster.call("scancel", "--user=root")
    wait_until(lambda: not cluster.queue(), "jobs do not end")


def left(tmp_path: Path) -> list[str]:
    """Files beside the logs and done files."""
    names = (path.name for path in (tmp_path / "log").iterdir())
    return sorted(name for name in names if not name.endswith((".log", ".done")))


def test_jobs_leave_the_logs_and_done_files_of_the_local_runner(tmp_path: Path) -> None:
    script = "echo out JOB; echo err JOB >&2; echo threads=$OMP_NUM_THREADS"
    run(array(tmp_path, script, 3))
    lines = (tmp_path / "log/x.2.log").read_text().splitlines()
    assert lines[0] == f"# bash -c '{script.replace('JOB', '2')}'"
    assert lines[1].startswith("# Started at ") and lines[2] == "#"
    assert lines[3:5] == ["out 2", "err 2"] and lines[5].startswith("threads=")
    assert lines[6].startswith("# Accounting: time=") and lines[7].startswith("# Ended (code 0)")
    done = json.loads((tmp_path / "log/x.2.log.done").read_text())
    assert done.keys() == {"command", "code", "seconds", "host"} and done["code"] == 0
    assert left(tmp_path) == []


def test_a_failure_is_named_and_the_others_run_on_and_a_rerun_does_what_is_missing(
    tmp_path: Path,
) -> None:
    script = f"echo x >>{tmp_path}/ran.JOB; [ JOB != 2 ] || {{ echo the reason; exit 7; }}"
    jobs = array(tmp_path, script, 3)
    with pytest.raises(SpeechLLMError, match=r"1 of 3 jobs failed") as error:
        run(jobs)
    assert "job 2, code 7: " in str(error.value) and "| the reason" in str(error.value)
    with pytest.raises(SpeechLLMError, match=r"1 of 1 jobs failed"):
        run(jobs, "incomplete")
    assert [(tmp_path / f"ran.{n}").read_text().count("x") for n in (1, 2, 3)] == [1, 2, 1]


def test_no_more_than_max_jobs_run_at_once(tmp_path: Path) -> None:
    script = f"touch {tmp_path}/on.JOB; ls {tmp_path} | grep -c on; sleep 1; rm {tmp_path}/on.JOB"
    jobs = array(tmp_path, script, 3)
    run(jobs, at_once=1)
    assert [int(job.log.read_text().splitlines()[3]) for job in jobs] == [1, 1, 1]


def test_more_jobs_than_an_array_may_have(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(scheduler, "largest_array", lambda: 2)
    jobs = array(tmp_path, "true", 3)
    run(jobs)
    assert [job.code() for job in jobs] == [0, 0, 0]


def test_names_and_words_are_left_as_they_are(tmp_path: Path) -> None:
    for name in ("100%a it's", 'two  "quotes" $HOME', "back\\slash %j", "ümlaut;&|*"):
        folder = tmp_path / name
        words = [sys.executable, "-c", "import sys; print(sys.argv[1:])"]
        odd = ["", "a b", "it's", '"', "$HOME", "%a", "\\n", "*", "ü", "--array=9", "two\nlines"]
        [job] = make_jobs(None, folder / f"{name}.log", [*words, *odd])
        run([job])
        assert job.code() == 0 and repr(odd) in job.log.read_text()
    [job] = make_jobs(None, tmp_path / "x.log", ["no-such-command"])
    with pytest.raises(SpeechLLMError, match="code 127"):
        run([job])
    assert "No such file" in job.log.read_text()


def test_a_job_that_is_killed_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpeechLLMError, match=r"code 137 .*memory"):
        run(array(tmp_path, "kill -9 $$", 1))
    with pytest.raises(SpeechLLMError, match="1 of 2 jobs failed") as error:  # with all around it
        run(array(tmp_path, "echo so far; [ JOB = 1 ] || kill -9 $PPID; sleep 1"))
    assert "job 2, code 137 (Slurm job " in str(error.value) and "FAILED" in str(error.value)
    assert "| so far" in str(error.value) and left(tmp_path) == []


ACCOUNTING = """#!/bin/sh
echo "$@" >>{folder}/asked
echo 'OUT_OF_MEMORY|0:125'
"""


def test_exit_states_come_from_accounting_where_it_is_on(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "sacct").write_text(ACCOUNTING.format(folder=tmp_path))
    (tmp_path / "sacct").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SpeechLLMError, match=r"code 137 \(Slurm job \d+_0: OUT_OF_MEMORY"):
        run(array(tmp_path, "kill -9 $PPID; sleep 1", 1))
    assert "--jobs=" in (tmp_path / "asked").read_text()


def test_a_job_that_is_cancelled_by_somebody_is_named(tmp_path, start, cluster) -> None:
    runner = start("[ JOB = 2 ] || exec sleep 600")
    wait_until(lambda: (tmp_path / "log/x.2.log.done").exists())
    wait_for_text(tmp_path / "log/x.1.log")
    [task] = cluster.running()
    cluster.call("scancel", task)
    said = runner.wait(1)
    assert "1 of 2 jobs failed" in said and f"(Slurm job {task}: CANCELLED" in said
    assert "# Stopped at" in (tmp_path / "log/x.1.log").read_text()


def test_a_signal_that_reaches_the_command_first_is_no_end_of_its_own(tmp_path, monkeypatch):
    from speechllm.jobs import on_node

    monkeypatch.setattr(on_node, "is_running", lambda task: False)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    job = Job(1, ["bash", "-c", "kill -TERM $$"], tmp_path / "x.log")
    threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert on_node.run_task(job, requeues=0) == 128 + signal.SIGTERM
    assert "# Stopped at" in job.log.read_text() and job.code() is None


def test_a_job_that_goes_back_into_the_queue_goes_on(tmp_path, start, cluster) -> None:
    runner = start(f"echo on >>{tmp_path}/ran; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done", 1)
    wait_for_text(tmp_path / "ran")
    runner.says("1 running")
    [task] = cluster.running()
    cluster.call("scontrol", "requeue", task)
    wait_until(lambda: (tmp_path / "ran").read_text().count("on") == 2)
    (tmp_path / "go").touch()
    assert "job 1 is in the queue again" in runner.wait()
    assert (tmp_path / "log/x.1.log").read_text().count("# Started at") == 2


def test_a_warning_before_the_end_stops_a_job_and_puts_it_back(tmp_path, start, cluster) -> None:
    script = f"echo on >>{tmp_path}/ran; [ -e {tmp_path}/saved ] && exit; "
    script += f"trap 'touch {tmp_path}/saved; exit 9' TERM; sleep 600 & wait"
    runner = start(script, 1)
    wait_for_text(tmp_path / "ran")
    [task] = cluster.running()
    cluster.call("scancel", "--signal=USR1", "--batch", task)
    runner.wait()
    assert (tmp_path / "ran").read_text().count("on") == 2
    assert "it goes back into the queue" in (tmp_path / "log/x.1.log").read_text()


def test_a_job_that_is_put_back_too_often_fails(tmp_path, cluster) -> None:
    script = f"echo on >>{tmp_path}/ran; kill -USR1 $PPID; exec sleep 600"
    config, jobs = SlurmConfig(default={"mem": "50M", "requeues": 1}), array(tmp_path, script, 1)
    with pytest.raises(SpeechLLMError, match="not put back into the queue: that was done 1 times"):
        run_jobs(jobs, 1, backend=slurm.slurm_backend(config, jobs))
    assert (tmp_path / "ran").read_text().count("on") == 2


def test_a_job_that_gives_way_to_an_urgent_one_goes_on(tmp_path, start, cluster) -> None:
    script = f"echo on >>{tmp_path}/ran; [ -e {tmp_path}/saved ] && exit; "
    script += f"trap 'touch {tmp_path}/saved; exit 9' TERM; sleep 600 & wait"
    runner = start(script, 1)
    wait_for_text(tmp_path / "ran")
    urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null"]
    cluster.call("sbatch", *urgent, "--wrap=sleep 1")
    assert "job 1 is in the queue again" in runner.wait()
    assert (tmp_path / "ran").read_text().count("on") == 2


def test_what_jobs_wait_for_is_said(tmp_path, start, cluster) -> None:
    for node in NODES:
        words = [f"nodename={node}", "state=drain", "reason=test"]
        cluster.call("scontrol", "update", *words)
    try:
        runner = start("true")
        reason = re.compile("pending: .*(ReqNodeNotAvail|Resources|DRAINED)")
        wait_until(lambda: reason.search(runner.said.read_text()), "it does not say the reason")
    finally:
        for node in NODES:
            cluster.call("scontrol", "update", f"nodename={node}", "state=resume")
    runner.wait()


def test_a_job_whose_node_goes_down_runs_on_another(tmp_path, start, cluster) -> None:
    script = f"echo on >>{tmp_path}/ran; [ $(wc -l <{tmp_path}/ran) = 2 ] || exec sleep 600"
    runner = start(script, 1)
    wait_for_text(tmp_path / "ran")
    runner.says("1 running")
    [(_, node)] = cluster.running().items()
    cluster.kill(node)
    try:
        said = runner.wait()
        assert "job 1 is in the queue again" in said
        assert json.loads((tmp_path / "log/x.1.log.done").read_text())["code"] == 0
    finally:
        cluster.start_node(node)
        wait_until(lambda: cluster.states() == ["idle"] * 2, "the node does not come up again")


def test_jobs_end_well_while_the_controller_is_down(tmp_path, start, cluster) -> None:
    runner = start(f"touch {tmp_path}/on.JOB; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done")
    cluster.running(2)
    cluster.kill("controller")
    try:
        (tmp_path / "go").touch()
        runner.wait()
    finally:
        cluster.start_controller()
        wait_until(lambda: cluster.states() == ["idle"] * 2, "the cluster does not come up again")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_jobs(tmp_path, start, cluster, number) -> None:
    runner = start(f"echo on >{tmp_path}/on.JOB; exec sleep 600", 6)  # two of them wait
    cluster.running(4)
    wait_for_text(tmp_path / "on.1")
    runner.process.send_signal(number)
    assert "stopped by SIG" in runner.wait(128 + number)
    assert cluster.queue() == {} and left(tmp_path) == []
    assert not list(tmp_path.glob("log/*.done"))
    assert "# Stopped at" in (tmp_path / "log/x.1.log").read_text()


def test_jobs_of_a_killed_runner_are_waited_for_by_the_next(tmp_path, start, cluster) -> None:
    script = f"echo on >>{tmp_path}/ran.JOB; [ JOB != 3 ] || exit 3; [ JOB = 1 ] || "
    script += f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
    first = start(script, 3)
    wait_until(lambda: len(list(tmp_path.glob("log/*.done"))) == 2)
    cluster.running()
    first.process.kill()
    first.process.wait()
    second = start(script, 3)
    second.says("an earlier runner's jobs are still in Slurm's queue: 1 are waited for, 1 have")
    (tmp_path / "go").touch()
    assert "1 of 3 jobs failed" in second.wait(1)  # it was given another try
    assert [(tmp_path / f"ran.{n}").read_text().count("on") for n in (1, 2, 3)] == [1, 1, 2]
    assert left(tmp_path) == []


def test_a_pick_of_failed_jobs_leaves_those_that_run(tmp_path, start, cluster) -> None:
    script = f"echo on >>{tmp_path}/ran.JOB; [ JOB = 2 ] && exit 3; "
    script += f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done"
    first = start(script)
    wait_until(lambda: len(list(tmp_path.glob("log/*.done"))) == 1)
    cluster.running()
    first.process.kill()
    first.process.wait()
    threading.Timer(3, (tmp_path / "go").touch).start()
    with pytest.raises(SpeechLLMError, match="1 of 1 jobs failed"):
        run(array(tmp_path, script), "failed")
    assert [(tmp_path / f"ran.{n}").read_text().count("on") for n in (1, 2)] == [1, 2]
    assert [job.code() for job in array(tmp_path, script)] == [0, 3]


def test_other_jobs_of_a_killed_runner_are_cancelled(tmp_path, start, cluster) -> None:
    first = start(f"echo on >{tmp_path}/on.JOB; exec sleep 600")
    cluster.running(2)
    first.process.kill()
    first.process.wait()
    assert "2 other jobs of an earlier runner are cancelled" in start("echo new").wait()
    assert cluster.queue() == {} and left(tmp_path) == []
    assert "new" in (tmp_path / "log/x.1.log").read_text()


def test_jobs_that_nobody_wants_any_more_do_nothing(tmp_path, monkeypatch) -> None:
    """A runner was killed while sbatch was at work: the next one found nothing in the queue."""
    from speechllm.jobs import on_node

    monkeypatch.setattr(on_node, "CACHE_SECONDS", 0.1)
    monkeypatch.setattr(on_node, "CACHE_POLL_SECONDS", 0.05)
    monkeypatch.setattr(sys, "argv", ["on_node", str(tmp_path / "none.json")])
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    with pytest.raises(SystemExit, match="not wanted any more"):
        on_node.main()


def test_an_array_that_never_came_into_the_queue_is_forgotten(tmp_path: Path) -> None:
    """A runner was killed just before it called sbatch."""
    jobs = array(tmp_path, "true")
    folder = tmp_path / "log/.x.slurm"
    folder.mkdir(parents=True)
    rows = [{"number": j.number, "command": j.command, "log": str(j.log)} for j in jobs]
    told = {"folder": str(tmp_path), "requeues": 1, "jobs": rows}
    (folder / "x.0123456789ab.json").write_text(json.dumps(told))
    run(jobs)
    assert [job.code() for job in jobs] == [0, 0] and left(tmp_path) == []


def test_a_done_file_that_a_file_server_shows_late_is_waited_for(tmp_path, monkeypatch) -> None:
    """Slurm has ended the job; what its node wrote shows up a while later."""
    monkeypatch.setattr(slurm, "CACHE_SECONDS", 60.0)
    seen = Job.code
    asked: dict[int, float] = {}

    def late(job: Job) -> int | None:
        code = seen(job)
        first = asked.setdefault(job.number, time.monotonic()) if code is not None else 0.0
        return code if code is not None and time.monotonic() > first + 3 else None

    monkeypatch.setattr(Job, "code", late)
    run(array(tmp_path, "true"))
    assert sorted(asked) == [1, 2]


def test_a_refusal_of_slurm_is_passed_on(tmp_path: Path) -> None:
    config, jobs = SlurmConfig(default={"partition": "none"}), array(tmp_path, "true")
    with pytest.raises(SpeechLLMError, match=r"sbatch refused the jobs: .*partition") as error:
        run_jobs(jobs, 2, backend=slurm.slurm_backend(config, jobs))
    assert "conf/slurm.yaml" in str(error.value)


def test_a_config_that_is_not_there_is_named_with_what_makes_it(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--slurm", f"{tmp_path}/slurm.yaml", f"{tmp_path}/x.log", "true"])
    assert "-> cp ../TEMPLATE/conf/slurm.yaml " in capsys.readouterr().err


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpeechLLMError, match=r"there is no .* on this machine"):
        run(array(tmp_path, "true"))
