"""The integration test: a copy of egs/mini runs all stages, then finds all of them done."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'speechllm[mini]'")


@pytest.fixture
def recipe() -> Iterator[Path]:
    """A copy beside the original: nothing in a recipe may know its folder's name."""
    copy = ROOT / "egs" / f"copy_{uuid.uuid4().hex[:8]}"
    made_by_runs = shutil.ignore_patterns("data", "dump", "exp", "pretrained", "quick")
    shutil.copytree(ROOT / "egs/mini", copy, ignore=made_by_runs)
    yield copy
    shutil.rmtree(copy)


def run(recipe: Path, *options: str) -> subprocess.CompletedProcess[str]:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [recipe / "run.sh", *options],
        cwd="/",
        env={**os.environ, "PATH": tools, "HF_HUB_OFFLINE": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.slow
def test_a_copy_of_the_recipe_runs_every_stage(recipe: Path) -> None:
    first = run(recipe, "--quick", "--stop_stage", "pack")
    assert first.returncode == 0, first.stdout[-5000:]
    table = (recipe / "quick/RESULTS.md").read_text()
    for method in ("base", "text_only", "denoise", "mixed_batching", "audio"):
        assert any("agriculture" in row and method in row for row in table.splitlines()), table
    listed = run(recipe, "--quick", "--list")
    assert listed.stdout.count(" done") == 10 and "not done" not in listed.stdout
    again = run(recipe, "--quick", "--stage", "3", "--stop_stage", "5")
    assert again.returncode == 0 and "made already" in again.stdout, again.stdout[-5000:]
    refused = run(recipe, "--quick", "--stage", "4", "--base_opts", "train.lr=0.5")
    assert refused.returncode != 0 and "config.train.lr" in refused.stdout
