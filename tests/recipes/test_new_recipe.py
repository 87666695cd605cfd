"""utils/new_recipe.sh starts a domain from egs/TEMPLATE."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import DataDir
from tests.helpers import corpora
from tests.helpers.paths import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of utils/, the package and egs/TEMPLATE, where the template was run."""
    checkout = tmp_path / "a check out"
    shutil.copytree(ROOT / "utils", checkout / "utils")
    (checkout / "speechllm").symlink_to(ROOT / "speechllm")
    shutil.copytree(ROOT / "egs/TEMPLATE", checkout / "egs/TEMPLATE")
    (checkout / "egs/TEMPLATE/exp").mkdir(exist_ok=True)
    return checkout


def new_recipe(checkout: Path, *names: str, code: int = 0) -> str:
    done = subprocess.run(
        [checkout / "utils/new_recipe.sh", *names],
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_a_new_recipe_is_the_template_without_what_it_made(checkout: Path) -> None:
    assert "egs/legal is made" in new_recipe(checkout, "legal")
    egs = checkout / "egs"
    assert sorted(path.name for path in egs.iterdir()) == ["TEMPLATE", "legal"]
    made = {p.relative_to(egs / "legal"): p for p in (egs / "legal").rglob("*") if p.is_file()}
    assert Path("conf/adapt/denoise.yaml") in made and not (egs / "legal/exp").exists()
    for name, path in made.items():
        assert path.read_bytes() == (egs / "TEMPLATE" / name).read_bytes()
    listed = subprocess.run([egs / "legal/run.sh", "--list"], capture_output=True, text=True)
    assert listed.returncode == 0 and listed.stdout.count("not done") == 10


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "give one name"),
        (("legal", "medical"), "give one name"),
        (("TEMPLATE",), "egs/TEMPLATE is there already"),
        (("a/b",), "'a/b' cannot name a recipe"),
        (("..",), "'..' cannot name a recipe"),
        (("",), "'' cannot name a recipe"),
        (("-x",), "'-x' cannot name a recipe"),
        (("two words",), "'two words' cannot name a recipe"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    checkout: Path, names: tuple[str, ...], message: str
) -> None:
    before = sorted(checkout.rglob("*"))
    assert message in new_recipe(checkout, *names, code=1)
    assert sorted(checkout.rglob("*")) == before


@pytest.fixture
def legal(checkout: Path) -> Path:
    """A new recipe with a set in each kind of table."""
    new_recipe(checkout, "legal")
    corpus = checkout / "egs/legal/corpus"
    corpora.make_wave(corpus / "a.wav", 0.5)
    (corpus / "source_train.tsv").write_text('id\ttext\taudio\nu1\tshe "knows"\ta.wav\n')
    (corpus / "source_dev.csv").write_text('speaker,id,text,audio\nann,u1,"well, yes",a.wav\n')
    (corpus / "legal_train.jsonl").write_text('{"id": "u1", "text": "the court"}\n')
    return checkout / "egs/legal"


def make_sets(recipe: Path, *sets: str, code: int = 0) -> str:
    done = subprocess.run(
        [recipe / "local/data.sh", "--sets", " ".join(sets)],
        cwd=recipe,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_tables_become_data_dirs(legal: Path) -> None:
    make_sets(legal, "source_train", "source_dev", "legal_train")
    train, dev, target = (
        DataDir.load(legal / "data" / name)
        for name in ("source_train", "source_dev", "legal_train")
    )
    assert train.text == {"u1": 'she "knows"'} and train.utt2dur == {"u1": 0.5}
    assert train.audio["u1"].source == "corpus/a.wav" and train.utt2spk == {"u1": "u1"}
    assert dev.text == {"u1": "well, yes"} and dev.utt2spk == {"u1": "ann"}
    assert target.text == {"u1": "the court"} and not target.has_audio


def test_tables_with_faults(legal: Path) -> None:
    said = make_sets(legal, "legal_test", code=1)
    assert "0 of legal_test.csv, legal_test.tsv, legal_test.jsonl are there" in said
    assert "-> put the set's utterances into corpus/legal_test.tsv" in said
    corpora.edit(legal / "corpus/source_dev.csv", "speaker", "speeker")
    said = make_sets(legal, "source_dev", code=1)
    assert "source_dev.csv:1: unknown column 'speeker', did you mean 'speaker'?" in said
    corpora.edit(legal / "corpus/source_train.tsv", "a.wav", "b.wav")
    assert "source_train.tsv:2: there is no" in make_sets(legal, "source_train", code=1)
