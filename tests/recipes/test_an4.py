"""Stage 1 of egs/an4: the lists, transcripts and audio of AN4 become data dirs."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import speechllm
from speechllm.data.dirs.kaldi import DataDir, read_table
from speechllm.pack.manifest import read_manifest
from tests.helpers.paths import ROOT

RECIPE = ROOT / "egs/an4"
AN4 = ROOT.parent / "shared/data/an4"
COUNTS = {
    "source_train": 439,
    "source_dev": 60,
    "source_test": 40,
    "alphanumeric_train": 279,
    "alphanumeric_dev": 40,
    "alphanumeric_test": 25,
}

needs_an4 = pytest.mark.skipif(not AN4.is_dir(), reason="AN4 is not at ../shared/data/an4")


def python(script: str, *options: object, code: int = 0) -> str:
    """Run one of the recipe's Python files in the recipe's folder; what it printed."""
    done = subprocess.run(
        [sys.executable, f"local/{script}.py", *map(str, options)],
        cwd=RECIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data dirs of all of AN4."""
    data = tmp_path_factory.mktemp("an4") / "data"
    python("prepare", "--an4_root", AN4, "--data", data)
    return data


def fileids(part: str) -> list[str]:
    return (AN4 / f"etc/an4_{part}.fileids").read_text().split()


@needs_an4
def test_all_utterances_are_in_one_set(data: Path) -> None:
    sets = {path.name: DataDir.load(path) for path in data.iterdir()}
    assert {name: len(found.ids) for name, found in sets.items()} == COUNTS
    names = sorted(utt.partition("-")[2] for found in sets.values() for utt in found.ids)
    assert names == sorted(Path(f).name for part in ("train", "test") for f in fileids(part))


@needs_an4
def test_dev_is_the_first_hundred_of_training(data: Path) -> None:
    dev = {
        utt.partition("-")[2]
        for domain in ("source", "alphanumeric")
        for utt in DataDir.load(data / f"{domain}_dev").ids
    }
    assert dev == {Path(file).name for file in fileids("train")[:100]}


@needs_an4
def test_tables_are_sorted_by_speaker_and_complete(data: Path) -> None:
    found = DataDir.load(data / "source_train")  # which refuses tables that are not sorted
    assert found.ids[0] == "flrp-cen1-flrp-b" and found.utt2spk[found.ids[0]] == "flrp"
    assert found.text[found.ids[0]] == "P O M E R A N T Z"
    speakers = [found.utt2spk[utt] for utt in found.ids]
    assert speakers == sorted(speakers)
    assert 20 < sum(found.utt2dur.values()) / 60 < 22


@needs_an4
def test_phones_are_the_dictionary(data: Path) -> None:
    phones = read_table(data / "alphanumeric_dev/phones")
    text = DataDir.load(data / "alphanumeric_dev").text
    assert phones.keys() == text.keys()
    assert phones["fash-an251-fash-b"] == "Y EH S"
    inventory = set((AN4 / "etc/an4.phone").read_text().split())
    assert {phone for line in phones.values() for phone in line.split()} <= inventory
    spelt = read_table(data / "source_train/phones")["flrp-cen2-flrp-b"]
    assert spelt == "EH L AY EH N D IY EY"  # L I N D A, the last as a letter's name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small AN4 with NIST SPHERE audio: 102 lines of training, two of test."""
    if not AN4.is_dir():
        pytest.skip("AN4 is not at ../shared/data/an4")
    root = tmp_path / "an4"
    (root / "etc").mkdir(parents=True)
    shutil.copy(AN4 / "etc/an4.dic", root / "etc")
    spoken = {"an251-fash-b": "YES", "cen7-fash-b": "ONE TWO"}
    for part, folder, count in (("train", "an4_clstk", 51), ("test", "an4test_clstk", 1)):
        files, lines = [], []
        for speaker in (f"s{i:02d}" for i in range(count)):
            (root / "wav" / folder / speaker).mkdir(parents=True)
            for sphere, words in spoken.items():
                name = sphere.replace("fash", speaker)
                files.append(f"{folder}/{speaker}/{name}")
                lines.append(
                    f"<s> {words} </s> ({name})" if part == "train" else f"{words} ({name})"
                )
                shutil.copy(AN4 / f"sphere_sample/{sphere}.sph", root / "wav" / f"{files[-1]}.sph")
        (root / f"etc/an4_{part}.fileids").write_text("\n".join(files) + "\n")
        (root / f"etc/an4_{part}.transcription").write_text("\n".join(lines) + "\n")
    return root


def test_original_sphere_files(root: Path, tmp_path: Path) -> None:
    python("prepare", "--an4_root", root, "--data", tmp_path / "data")
    train = DataDir.load(tmp_path / "data/source_train")
    assert train.text == {"s50-cen7-s50-b": "ONE TWO"}
    assert train.audio["s50-cen7-s50-b"].source.endswith(".sph")
    assert 0.5 < DataDir.load(tmp_path / "data/alphanumeric_test").utt2dur["s00-an251-s00-b"] < 5


def test_a_word_without_pronunciation_is_named(root: Path, tmp_path: Path) -> None:
    dictionary = root / "etc/an4.dic"
    lines = dictionary.read_text().splitlines()
    dictionary.write_text("\n".join(line for line in lines if not line.startswith("YES ")) + "\n")
    said = python("prepare", "--an4_root", root, "--data", tmp_path / "data", code=1)
    assert "etc/an4.dic: words of alphanumeric_train without pronunciation: YES" in said


def test_missing_audio_is_named_by_line(root: Path, tmp_path: Path) -> None:
    (root / "wav/an4_clstk/s01/cen7-s01-b.sph").unlink()
    said = python("prepare", "--an4_root", root, "--data", tmp_path / "data", code=1)
    assert "etc/an4_train.fileids:4: there is no" in said


def test_a_transcript_of_another_file_is_refused(root: Path, tmp_path: Path) -> None:
    path = root / "etc/an4_test.transcription"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    said = python("prepare", "--an4_root", root, "--data", tmp_path / "data", code=1)
    assert "an4_test.transcription:1: not the transcript of an4test_clstk/s00/an251-s00-b" in said


def test_without_the_corpus_it_says_where_to_get_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "local/data.sh", "--an4_root", tmp_path, "--work", tmp_path / "work"],
        cwd=RECIPE,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "an4_sphere.tar.gz" in done.stderr and "--an4_root" in done.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("kind", ["strings", "words"])
def test_general_text_is_seeded_and_has_no_commands(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(RECIPE / "local"))
    from general_text import utterance

    said = [utterance(kind, random.Random(i)) for i in range(200)]
    assert said == [utterance(kind, random.Random(i)) for i in range(200)]
    words = {word for line in said for word in line.upper().split()}
    assert words >= {"A", "Q", "SEVEN", "NINETY"}
    assert not words & {"ENTER", "ERASE", "RUBOUT", "REPEAT", "HELP", "START", "STOP", "YES"}


def test_general_speech_is_labelled_with_the_phones_of_the_dictionary(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    python("make_general", "--kind", "words", "--utterances", 12, "--out", tmp_path / "words")
    data = DataDir.load(tmp_path / "words")
    phones = read_table(tmp_path / "words/phones")
    assert len(data.ids) == 12 and phones.keys() == data.text.keys()
    spelt = {"L": "EH L", "SIX": "S IH K S", "A": "EY"}
    for utt, line in data.text.items():
        for word in set(line.split()) & spelt.keys():
            assert spelt[word] in phones[utt], line


@needs_an4
@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_the_packed_model_hears_what_stage_6_heard(tmp_path: Path) -> None:
    """Real recordings: the recipe at its --quick sizes, packed, moved away, and asked again."""
    pytest.importorskip("espeakng_loader")
    work = tmp_path / "work"
    options = ["--quick", "--work", work, "--an4_root", AN4, "--stop_stage", "pack"]
    done = subprocess.run(
        [RECIPE / "run.sh", *options],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    packed = shutil.move(work / "exp/packed", tmp_path / "carried away")
    shutil.move(work / "pretrained", tmp_path / "not there any more")

    model = speechllm.load(packed)
    assert model.domains == ["base", "alphanumeric"]
    run = read_manifest(Path(packed)).domains["alphanumeric"].run
    for domain, folder, sets in (
        ("base", "base", ("source_test", "alphanumeric_test")),
        ("alphanumeric", run, ("alphanumeric_test", "source_test")),
        ("base", "base", ("source_test",)),
    ):
        for name in sets:
            heard = {t.id: t.text for t in model.transcribe(work / "data" / name, domain)}
            assert heard == read_table(work / f"exp/{folder}/decode_decode/{name}/text")
            assert len(heard) == COUNTS[name]
