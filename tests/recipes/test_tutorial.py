"""docs/tutorial.md: its commands run one after another, on tiny models instead of real ones."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

for package in ("espeakng_loader", "fastapi"):
    pytest.importorskip(package, reason="needs the extras: pip install 'speechllm[mini,serve]'")

PAGE = ROOT / "docs/tutorial.md"


@pytest.fixture
def recipe() -> Iterator[Path]:
    folder = ROOT / "egs" / f"copy_{uuid.uuid4().hex[:8]}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def on_tiny_models(script: str, recipe: Path, port: int) -> str:
    """Change no command, but the sizes, Piper's voice (espeak reads instead), folder and port."""
    for ours, theirs in (
        ("egs/bees", f"egs/{recipe.name}"),
        ("./run.sh ", "./run.sh --quick true --work . "),
        ("corpus/\nhead", "corpus/\nsed -i 's/joe$/spk040/' corpus/*.tsv\nhead"),
        ("8000", str(port)),
    ):
        assert ours in script
        script = script.replace(ours, theirs)
    return script


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run(recipe: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 5
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = on_tiny_models("".join(blocks), recipe, port)
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    table = (recipe / "RESULTS.md").read_text()
    assert re.search(r"\| bees +\| base ", table) and re.search(r"\| bees +\| synthetic_a", table)
    answers = re.findall(r'^\{"text":.*\}$', done.stdout, re.M)
    assert [sorted(json.loads(one)) for one in answers] == 2 * [["text", "usage"]]
