"""The integration tests: a copy of egs/mini runs all stages, once; then what others make of it.

They share the run, so they are in one file: the same recipe by jobs of Slurm, and docs/tutorial.md,
whose commands run one after another with the tiny models of that copy instead of real ones.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import slurm
from tests.helpers.paths import ROOT

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'speechllm[mini]'")

MADE_BY_RUNS = ("data", "dump", "exp", "pretrained", "quick")
HERE = ("--quick", "true", "--work", ".")
PAGE = ROOT / "docs/tutorial.md"


@pytest.fixture(scope="module")
def place() -> Iterator[Callable[[], Path]]:
    """Gives folders beside the original: nothing in a recipe may know its folder's name."""
    places: list[Path] = []

    def make() -> Path:
        places.append(ROOT / "egs" / f"copy_{uuid.uuid4().hex[:8]}")
        return places[-1]

    yield make
    for folder in places:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def mini(place: Callable[[], Path]) -> Path:
    """A copy that has run all stages."""
    copy = place()
    shutil.copytree(ROOT / "egs/mini", copy, ignore=shutil.ignore_patterns(*MADE_BY_RUNS))
    done = call(copy / "run.sh", *HERE, "--stop_stage", "pack")
    assert done.returncode == 0, done.stdout[-5000:]
    return copy


def call(*words: str | Path, cwd: str | Path = "/") -> subprocess.CompletedProcess[str]:
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **own, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.slow
def test_a_copy_of_the_recipe_runs_every_stage(mini: Path) -> None:
    table = (mini / "RESULTS.md").read_text()
    for method in ("base", "text_only", "denoise", "mixed_batching", "audio"):
        assert any("agriculture" in row and method in row for row in table.splitlines()), table
    listed = call(mini / "run.sh", *HERE, "--list")
    assert listed.stdout.count(" done") == 10 and "not done" not in listed.stdout
    again = call(mini / "run.sh", *HERE, "--stage", "3", "--stop_stage", "5")
    assert again.returncode == 0 and "made already" in again.stdout, again.stdout[-5000:]
    refused = call(mini / "run.sh", *HERE, "--stage", "4", "--base_opts", "train.lr=0.5")
    assert refused.returncode != 0 and "config.train.lr" in refused.stdout


@pytest.mark.slow
def test_it_makes_the_same_on_slurm(mini: Path, place: Callable[[], Path]) -> None:
    if reason := slurm.absent():
        pytest.skip(reason)
    remote = place()
    shutil.copytree(mini, remote, ignore=shutil.ignore_patterns("dump", "exp"))
    (remote / "cmd.sh").write_text('export jobs_cmd="speechllm run --slurm conf/slurm.yaml"\n')
    (remote / "conf/slurm.yaml").write_text("default: {mem: 900M}\n")
    with slurm.cluster():
        done = call(remote / "run.sh", *HERE, "--stage", "features", "--stop_stage", "pack")
    assert done.returncode == 0, done.stdout[-5000:]
    assert (remote / "exp/log/base.log").read_text().count("# Ended (code 0)") == 1
    made = made_of(mini / "exp")
    assert len(made) > 20 and made_of(remote / "exp") == made


def made_of(exp: Path) -> dict[str, bytes]:
    """Weights, hypotheses and their errors below a folder."""
    names = ("trained.safetensors", "text", "alignments.txt", "errors.txt")
    found = (path for name in names for path in exp.rglob(name))
    return {str(path.relative_to(exp)): path.read_bytes() for path in found}


def on_tiny_models(script: str, recipe: Path, made: Path, port: int) -> str:
    """Change no command, but the sizes, Piper's voice (espeak reads instead), folder and port.

    The base is in the folder `made` already.
    """
    for ours, theirs in (
        ("cd egs/bees\n", f"cd egs/bees\ncp -rp {made}/. .\n"),
        ("egs/bees", f"egs/{recipe.name}"),
        ("./run.sh ", f"./run.sh {' '.join(HERE)} "),
        ("corpus/\nhead", "corpus/\nsed -i 's/joe$/spk040/' corpus/*.tsv\nhead"),
        ("8000", str(port)),
    ):
        assert ours in script
        script = script.replace(ours, theirs)
    return script


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run(
    mini: Path, place: Callable[[], Path], tmp_path: Path
) -> None:
    pytest.importorskip("fastapi", reason="needs the extra: pip install 'speechllm[serve]'")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 5
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("data", "dump", "pretrained"):
        shutil.copytree(mini / name, tmp_path / name)
    adapted = shutil.ignore_patterns("*_agriculture", "decode*", "packed", "report")
    shutil.copytree(mini / "exp", tmp_path / "exp", ignore=adapted)
    recipe = place()
    script = on_tiny_models("".join(blocks), recipe, tmp_path, port)
    done = call("bash", "-euo", "pipefail", "-c", script, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-5000:]
    table = (recipe / "RESULTS.md").read_text()
    assert re.search(r"\| bees +\| base ", table) and re.search(r"\| bees +\| synthetic_a", table)
    answers = re.findall(r'^\{"text":.*\}$', done.stdout, re.M)
    assert [sorted(json.loads(one)) for one in answers] == 2 * [["text", "usage"]]
