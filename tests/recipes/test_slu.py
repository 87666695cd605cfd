"""The recipes of spoken language understanding, from corpus to table."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import DataDir, read_table
from tests.helpers import corpora
from tests.helpers.paths import ROOT
from tests.recipes.test_corpora import copy_of, models, run, run_all

__all__ = ["copy_of", "models"]  # fixtures

LIBRISPEECH = ["train-clean-100", "dev-clean", "test-clean"]


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_slurp(copy_of: Callable, models: tuple[str, ...], tmp_path: Path) -> None:
    root = corpora.make_librispeech(tmp_path / "LibriSpeech", LIBRISPEECH)
    slurp = corpora.make_slurp(tmp_path / "slurp")
    found = run_all(
        *(copy_of("slurp") / "run.sh", tmp_path / "work", *models[:4]),
        *("--librispeech_root", root, "--slurp_root", slurp, "--microphones", "headset"),
    )
    assert found == [
        f"{name}_slurp" for name in ("audio", "curriculum", "direct_mixing", "text_only")
    ]
    sizes = {p.name: len(DataDir.load(p).ids) for p in (tmp_path / "work/data").glob("*_*")}
    assert (sizes["slurp_train"], sizes["slurp_test"], sizes["train_clean_100"]) == (3, 6, 4)
    base = tmp_path / "work/exp/base"
    for answer in read_table(base / "text_only_slurp/decode_decode/slurp_test/text").values():
        meaning = json.loads(answer)  # random weights, and yet always an answer of known labels
        assert meaning["scenario"] in ("farm", "dictation")
        assert meaning["action"] in ("say", "ask", "write")
    assert "SLU-F1" in (tmp_path / "work/RESULTS.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_other_languages(copy_of: Callable, models: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra: pip install 'speechllm[datasets]'")
    massive = corpora.make_massive(tmp_path / "massive", ["fr-FR", "de-DE"])
    corpora.make_massive_text(tmp_path / "text", ["fr-FR", "de-DE"])
    found = run_all(
        *(copy_of("slurp") / "run_massive.sh", tmp_path / "work", *models[:4]),
        *("--slurp_root", corpora.make_slurp(tmp_path / "slurp"), "--massive_root", massive),
        *("--massive_text", tmp_path / "text", "--targets", "fr-FR de-DE"),
        *("--adapt_configs", "conf/massive/adapt/curriculum.yaml"),
    )
    assert found == ["curriculum_de-DE", "curriculum_fr-FR"]
    run_json = tmp_path / "work/exp/base/curriculum_fr-FR/run.json"
    seen = json.loads(run_json.read_text())["phases"]
    assert [phase["mixture"][0]["utterances"] for phase in seen] == [3 + 4, 3]
    assert json.loads(run_json.read_text())["target"] == "fr-FR"


@pytest.mark.slow
@pytest.mark.usefixtures("command")
@pytest.mark.parametrize(("recipe", "script"), [("barista", "run.sh"), ("mini", "run_slu.sh")])
def test_quick(
    recipe: str, script: str, copy_of: Callable, tmp_path: Path, shared_data: Path
) -> None:
    pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'speechllm[mini]'")
    barista = ("--barista_root", shared_data.resolve() / "barista_slu")
    found = run_all(
        *(copy_of(recipe) / script, tmp_path / "work", "--quick"),
        *(barista if recipe == "barista" else ()),
    )
    assert {"text_only", "direct_mixing"} <= {
        name.rpartition("_")[0].rstrip("_0125") for name in found
    }


def make_sets(*options: object, code: int = 0) -> str:
    """Run stage 1 of egs/slurp alone; what it printed."""
    return run(ROOT / "egs/slurp/local/data.sh", *options, code=code)


@pytest.mark.parametrize(
    ("script", "option", "sets", "messages"),
    [
        ("run.sh", "slurp_root", "slurp_train", ("pswietojanski/slurp", "download_audio.sh")),
        ("run_massive.sh", "massive_root", "fr-FR_dev", ("FBK-MT/Speech-MASSIVE",)),
        ("run_massive.sh", "massive_text", "fr-FR_text", ("alexa/massive",)),
        ("run.sh", "librispeech_root", "dev_clean", ("https://www.openslr.org/12",)),
    ],
)
def test_without_the_corpus_it_says_where_to_get_it(
    script: str, option: str, sets: str, messages: tuple[str, ...], tmp_path: Path
) -> None:
    options = (f"--{option}", tmp_path / "none", "--work", tmp_path / "work", "--sets", sets)
    said = make_sets(*options, code=1)
    for message in (f"'{tmp_path}/none'", f"./{script} --{option} /where/it/is", *messages):
        assert message in said
    assert not (tmp_path / "work").exists()


def test_a_set_that_is_none(tmp_path: Path) -> None:
    options = ("--librispeech_root", tmp_path, "--work", tmp_path / "work")
    assert "there is no set slurp-train" in make_sets(*options, "--sets", "slurp-train", code=1)


def test_slurp_with_its_real_lines(tmp_path: Path, shared_data: Path) -> None:
    root = tmp_path / "slurp"
    (root / "dataset").mkdir(parents=True)
    shutil.copytree(shared_data / "slurp", root / "dataset/slurp")
    named = []
    for line in (root / "dataset/slurp/devel.jsonl").read_text().splitlines()[:5]:
        named += [recording["file"] for recording in json.loads(line)["recordings"]]
    for file in [*named, "audio-1.flac"]:
        corpora.make_wave(root / "audio/slurp_real" / file, 0.2)
    said = make_sets("--slurp_root", root, "--work", tmp_path, "--sets", "slurp_dev")
    assert "without any recording: 402 (" in said and "no line names: 1 (audio-1.flac)" in said
    data = DataDir.load(tmp_path / "data/slurp_dev")
    assert len(data.ids) == len(named)
    assert list(read_table(data.path / "semantics")) == data.ids


def test_barista_without_its_recordings(tmp_path: Path) -> None:
    script = ROOT / "egs/barista/local/data.sh"
    said = run(script, "--barista_root", tmp_path, "--work", tmp_path / "work", code=1)
    assert "speech-to-intent-benchmark" in said and "--barista_root /where/it/is" in said
