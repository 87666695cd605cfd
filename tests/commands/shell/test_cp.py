"""`speechllm cp` begins a recipe from another one."""

from pathlib import Path

import pytest

from speechllm import cli
from tests.helpers.paths import ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders as a checkout has them, with a recipe that has run."""
    recipe = tmp_path / "egs/first"
    for name, text in {
        "run.sh": "#!/usr/bin/env bash\n",
        "run_slu.sh": "",
        "README.md": "# first",
        "conf/adapt/denoise.yaml": "method: denoise\n",
        "local/prepare.py": "print()\n",
        "local/__pycache__/x.pyc": "",
        "exp/base/run.json": "{}",
        "RESULTS.md": "# old",
    }.items():
        (recipe / name).parent.mkdir(parents=True, exist_ok=True)
        (recipe / name).write_text(text)
    (recipe / "run.sh").chmod(0o755)
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils/recipe.sh").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_recipe_is_copied_without_what_it_made(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["cp", "egs/first", "egs/mine"])
    copy = checkout / "egs/mine"
    assert "egs/mine is made" in capsys.readouterr().out
    assert sorted(str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()) == [
        *("README.md", "conf/adapt/denoise.yaml", "local/prepare.py", "run.sh", "run_slu.sh")
    ]
    assert (copy / "run.sh").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["egs", "egs/mine"], "is no recipe: it has no run.sh"),
        (["egs/first", "egs/first"], "is there already"),
        (["egs/first", "egs/a b"], "'a b' cannot name a recipe"),
        (["egs/first", "mine"], "no ../../utils/recipe.sh"),
    ],
)
def test_what_cannot_be_is_refused(
    checkout: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["cp", *words])
    error = capsys.readouterr().err
    assert said in error and "\n  -> " in error


def test_the_template_has_what_is_copied() -> None:
    assert (ROOT / "egs/TEMPLATE/run.sh").is_file() and (ROOT / "egs/TEMPLATE/conf").is_dir()
