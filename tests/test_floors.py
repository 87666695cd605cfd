"""The floors of pyproject.toml: what a file imports lies below it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

LINT = Path(sys.executable).with_name("lint-imports")

needs_linter = pytest.mark.skipif(
    not LINT.exists(), reason="import-linter is not installed: pip install 'speechllm[dev]'"
)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the floors of the package in `folder`."""
    command = [LINT, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@needs_linter
@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("data/dirs/ids.py", "import speechllm.decode.search", "data is not allowed to import"),
        ("task.py", "def late():\n    import speechllm.tasks.asr", "task is not allowed to import"),
        (
            "data/dirs/ids.py",
            "def late():\n    import speechllm.data.check.validate",
            "folders BROKEN",
        ),
    ],
)
def test_an_import_that_goes_up_is_refused(tmp_path: Path, file: str, line: str, said: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "speechllm", tmp_path / "speechllm")
    with (tmp_path / "speechllm" / file).open("a") as stream:
        stream.write(f"\n\n{line}\n")
    found = lint(tmp_path)
    assert found.returncode == 1 and said in " ".join(found.stdout.split())
