"""tools/setup.sh, with interpreters that only pretend to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture
def tools(tmp_path):
    """tools/ and utils/ of a checkout in which nothing is installed."""
    for name in ("tools", "utils"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("venv", "environment*")
        )
    shutil.copy(ROOT / "setup.py", tmp_path)
    return tmp_path / "tools"


def setup(tools: Path, *options: str, **environment: str) -> tuple[int, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    done = subprocess.run(
        [tools / "setup.sh", *options],
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def fake_python(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_is_too_old_is_named(tools, tmp_path):
    old = fake_python(
        tmp_path / "old/bin/python3",
        f'case "$*" in *executable*) echo "{tmp_path}/old/bin/python3";; '
        "--version) echo Python 3.8.1;; *) exit 1;; esac",
    )
    code, output = setup(tools, "--python", str(old))
    assert code == 1
    assert "python 3.11 or newer is needed" in output and "Python 3.8.1" in output
    code, output = setup(tools, "--python", str(tmp_path / "none"))
    assert code == 1 and "is not a python" in output


def test_an_environment_is_made_once_and_found_again(tools, tmp_path):
    python = fake_python(
        tmp_path / "env/bin/python",
        f'case "$*" in *executable*) echo "$0";; *pip*) echo "$*" >>{tmp_path}/pip.txt;; esac',
    )
    code, output = setup(tools, "--python", str(python))
    assert code == 0, output
    assert f"environment: {tmp_path}/env is ready" in output
    code, output = setup(tools)
    assert code == 0 and f"{tmp_path}/env is ready" in output
    installs = (tmp_path / "pip.txt").read_text().splitlines()
    assert len(installs) == 1
    assert (
        "--editable" in installs[0]
        and "[mini,dev,import,vad,completion,report,score,tensorboard,datasets,constrained,serve]"
        in installs[0]
    )
    with open(tools / "constraints.txt", "a") as stream:
        print("one-more==1", file=stream)
    assert setup(tools)[0] == 0
    assert len((tmp_path / "pip.txt").read_text().splitlines()) == 2


def test_an_index_out_of_reach_is_said(tools, tmp_path):
    python = fake_python(
        tmp_path / "env/bin/python",
        'case "$*" in *executable*) echo "$0";; '
        "*pip*) echo 'connection broken by NewConnectionError(...)'; exit 1;; esac",
    )
    code, output = setup(tools, "--python", str(python))
    assert code == 1 and "the package index cannot be reached" in output
    assert "is ready" not in output
    assert setup(tools, "--python", str(python))[0] == 1


def test_two_setups_at_once_install_once(tools, tmp_path):
    python = fake_python(
        tmp_path / "env/bin/python",
        f'case "$*" in *executable*) echo "$0";; *pip*) sleep 0.5; echo x >>{tmp_path}/pip.txt;; '
        "esac",
    )
    both = [
        subprocess.Popen([tools / "setup.sh", "--python", python], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=30)[0] for process in both]
    assert all(b"is ready" in output for output in outputs)
    assert (tmp_path / "pip.txt").read_text() == "x\n"
