"""The recipes of real corpora, from corpus to table: tiny corpora in the same layout, tiny random
models, and the recipes' own configs."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from speechllm.data.dirs.kaldi import DataDir
from tests.helpers import corpora
from tests.helpers.paths import ROOT
from tests.helpers.tiny import make_encoder, make_llm

LIBRISPEECH = ("--source_train", "train_clean_100", "--source_dev", "dev_clean")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options that put tiny models, and a short search, in the place of the real ones."""
    folder = tmp_path_factory.mktemp("models")
    make_encoder(folder / "encoder")
    llm = make_llm(folder / "llm")
    # Real transcripts are longer than the tiny LLM's context; its positions have no weights.
    config = json.loads((llm / "config.json").read_text())
    (llm / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    (folder / "short.yaml").write_text("beam: 2\nmin_tokens: 2\nmax_tokens_per_second: 4\n")
    return (
        *("--encoder", f"{folder}/encoder", "--llm", f"{llm}"),
        *("--decode_config", f"{folder}/short.yaml"),
    )


def made_by_runs_in(recipe: Path) -> Callable[[str, list[str]], set[str]]:
    """What a copy of the recipe leaves out: folders that stages make, at its top alone."""
    made = {"data", "dump", "exp", "pretrained", "quick", "sample", "l95", "downloads", "corpus"}
    made |= {"slu", "massive", "quick_slu", "quick_massive"}
    return lambda folder, names: made & set(names) if Path(folder) == recipe else set()


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[str], Path]:
    """Copy a recipe as `cp -r egs/medical egs/legal` does: nothing may know its folder's name."""

    def copy(recipe: str) -> Path:
        checkout = tmp_path / "a check out"
        (checkout / "tools").mkdir(parents=True)
        shutil.copytree(ROOT / "utils", checkout / "utils")
        source = ROOT / "egs" / recipe
        shutil.copytree(source, checkout / "egs/legal", ignore=made_by_runs_in(source))
        return checkout / "egs/legal"

    return copy


def run(script: Path, *options: object, code: int = 0) -> str:
    """Run a recipe's script; what it printed."""
    done = subprocess.run(
        [script, *map(str, options)],
        cwd=script.parents[1] if script.name == "data.sh" else "/",
        env={
            **os.environ,
            "PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}",
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert done.returncode == code, done.stdout[-5000:]
    return done.stdout


def run_all(script: Path, work: Path, *options: object) -> list[str]:
    """Run all stages, which then are all done; the names of the adapted models."""
    run(script, "--work", work, *options)
    listed = run(script, "--work", work, "--list", *options)
    assert listed.count("not done") == 1, listed  # pack
    (base,) = {path.parent for path in (work / "exp").glob("*/run.json")}
    models = sorted(path.parent.name for path in base.glob("*/run.json"))
    table = (work / "RESULTS.md").read_text()
    for model in models:
        target = json.loads((base / model / "run.json").read_text())["target"]
        name = model.removesuffix(f"_{target}")
        assert f" {name} " in table, table
    return models


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_librispeech(copy_of: Callable, models: tuple[str, ...], tmp_path: Path) -> None:
    root = corpora.make_librispeech(
        tmp_path / "LibriSpeech", ["train-clean-100", "dev-clean", "test-clean"]
    )
    options = (*LIBRISPEECH, "--source_test", "test_clean", "--librispeech_root", root)
    recipe = copy_of("librispeech")
    assert run_all(recipe / "run.sh", tmp_path / "work", *models, *options) == []
    second = (*models, "--base_config", "conf/base_wavlm_vicuna.yaml", "--stop_stage", "base")
    run(recipe / "run.sh", "--work", tmp_path / "work", "--stage", "base", *second, *options)
    config = json.loads((tmp_path / "work/exp/base_wavlm_vicuna/run.json").read_text())["config"]
    assert config["model"]["chat_template"].endswith("\n ASSISTANT:")


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_librispeech_with_real_utterances(
    copy_of: Callable, models: tuple[str, ...], tmp_path: Path, shared_data: Path
) -> None:
    root = tmp_path / "LibriSpeech"
    root.mkdir()
    for split in ("dev-clean", "test-clean"):
        (root / split).symlink_to((shared_data / "librispeech_sample" / split).resolve())
    sample = (shared_data / "librispeech_sample/train-clean-5").resolve()
    (root / "train-clean-100").symlink_to(sample)
    biasing = (shared_data / "librispeech_sample/biasing").resolve()
    options = (*LIBRISPEECH, "--source_test", "test_clean", "--limit", 8, "--biasing", biasing)
    run_all(
        *(copy_of("librispeech") / "run.sh", tmp_path / "work"),
        *(*models, *options, "--librispeech_root", root),
    )
    data = DataDir.load(tmp_path / "work/data/train_clean_100")
    assert len(data.ids) == 8 and 1 < min(data.utt2dur.values()) < 20 and not data.bias_lists
    test = DataDir.load(tmp_path / "work/data/test_clean")
    assert list(test.bias_lists.own) == test.ids


def test_librispeech_sample_makes_its_own_sets(tmp_path: Path, shared_data: Path) -> None:
    sample = (shared_data / "librispeech_sample").resolve()
    options = ("--sample", "--librispeech_root", sample, "--work", tmp_path)
    shown = run(ROOT / "egs/librispeech/run.sh", *options, "--dry_run")
    assert f"utils/pretrained.sh whisper-base {tmp_path}/pretrained/whisper-base" in shown
    assert "speechllm base --config conf/sample/base.yaml" in shown
    assert "speechllm whisper" in shown
    (made,) = [line for line in shown.splitlines() if line.startswith("$ local/data.sh")]
    sets = shlex.split(made)[-1]
    make_sets("librispeech", *shlex.split(made)[2:])
    data = {name: DataDir.load(tmp_path / "data" / name) for name in sets.split()}
    seconds = {name: sum(found.utt2dur.values()) for name, found in data.items()}
    slow, usual = seconds["train_clean_5_sp0.9"], seconds["train_clean_5"]
    assert slow == pytest.approx(usual / 0.9, rel=0.001)
    assert all(text.islower() for found in data.values() for text in found.text.values())
    heard = {data["train_clean_5"].utt2spk[utt] for utt in data["train_clean_5"].ids}
    for name in ("train_clean_5_dev", "dev_clean", "test_clean", "test_other"):
        assert not heard & set(data[name].utt2spk.values())


def test_books_are_read_and_said_in_other_sentences(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    lines = [f"Once he had {word} ten of the green boxes there." for word in "abcdefghijklmnopqrst"]
    (tmp_path / "books").mkdir()
    (tmp_path / "books/one.txt").write_text(" ".join(lines))
    script = ROOT / "egs/librispeech/local/prepare_books.py"
    options = ("--books", tmp_path / "books", "--sentences", 10, "--limit", 5, "--lower_case")
    sets = ("--data", tmp_path / "data", "--sets", "books_train", "books_said")
    run(Path(sys.executable), script, *options, *sets)
    read, said = (DataDir.load(tmp_path / "data" / name) for name in ("books_train", "books_said"))
    assert len(read.ids) == len(said.ids) == 5 and not read.has_audio
    assert not set(read.text.values()) & set(said.text.values())
    assert all(text.islower() for text in (*read.text.values(), *said.text.values()))
    assert all(1 < said.utt2dur[utt] < 8 for utt in said.ids)


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_librispeech_sample_with_tiny_models(
    copy_of: Callable, models: tuple[str, ...], tmp_path: Path, shared_data: Path
) -> None:
    sample = (shared_data / "librispeech_sample").resolve()
    options = (*models, "--sample", "--limit", 6, "--whisper_alone", "false")
    few = "warm_start.train.epochs=null warm_start.train.steps=2 train.steps=2"
    few += " model.encoder_window=padded"  # the tiny encoder has none of one length
    few += " warm_start.share=0.5"  # of six utterances
    recipe = copy_of("librispeech") / "run.sh"
    run_all(
        *(recipe, tmp_path / "work", *options, "--librispeech_root", sample, "--base_opts", few)
    )
    assert (tmp_path / "work/exp/base/warm_start").is_dir()


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_slidespeech_with_targets_of_text_alone(
    copy_of: Callable, models: tuple[str, ...], tmp_path: Path
) -> None:
    corpora.make_slidespeech(tmp_path / "audio", tmp_path / "splits", ["agriculture"])
    for wav in (tmp_path / "audio/agriculture/audios").glob("agriculture_0003-*"):
        wav.unlink()  # of agriculture_train
    found = run_all(
        *(copy_of("slidespeech") / "run.sh", tmp_path / "work", *models),
        *("--slidespeech_root", tmp_path / "audio", "--splits", tmp_path / "splits"),
        *("--target_audio", "false", "--targets", "agriculture"),
    )
    assert found == ["denoise_agriculture", "soft_prompt_agriculture", "text_only_agriculture"]


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_librispeech_to_slidespeech_l95(
    copy_of: Callable, models: tuple[str, ...], tmp_path: Path
) -> None:
    splits = ["train-clean-100", "dev-clean", "test-clean"]
    root = corpora.make_librispeech(tmp_path / "LibriSpeech", splits)
    corpora.make_slidespeech(tmp_path / "audio", tmp_path / "splits", [])
    names = {
        "train.jsonl": "slidespeech_L95_train_life_talent_english",
        "dev.jsonl": "slidespeech_dev",
        "test.jsonl": "slidespeech_L95_cs_test",
    }
    (tmp_path / "l95").mkdir()
    for name, published in names.items():
        file = tmp_path / f"splits/life_talent_english/{published}.jsonl"
        shutil.copy(file, tmp_path / "l95" / name)
    rows = map(json.loads, (tmp_path / "l95/test.jsonl").read_text().splitlines())
    lines = sorted(f"{row['key']} {row['target']}\n" for row in rows)
    (tmp_path / "l95/test.text").write_text("".join(lines))
    (tmp_path / "l95/test.jsonl").unlink()
    found = run_all(
        *(copy_of("slidespeech") / "run_l95.sh", tmp_path / "work", *models, *LIBRISPEECH),
        *("--source_test", "test_clean", "--librispeech_root", root),
        *("--slidespeech_root", tmp_path / "audio", "--l95", tmp_path / "l95"),
        *("--adapt_configs", "conf/l95/adapt/text_only.yaml"),
    )
    assert found == ["text_only_l95"]


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_medical(copy_of: Callable, models: tuple[str, ...], tmp_path: Path) -> None:
    splits = ["train-clean-100", "dev-clean", "test-clean"]
    root = corpora.make_librispeech(tmp_path / "LibriSpeech", splits)
    corpora.make_primock57(tmp_path / "primock57")
    corpora.make_mts_dialog(tmp_path / "mts")
    options = (
        *("--librispeech_root", root, "--primock57_root", tmp_path / "primock57"),
        *("--mts_dialog_root", tmp_path / "mts", "--source_test", "test_clean", *LIBRISPEECH),
    )
    recipe = copy_of("medical")
    found = run_all(
        *(recipe / "run.sh", tmp_path / "work", *models, *options),
        *("--adapt_configs", "conf/adapt/denoise.yaml conf/adapt/audio.yaml"),
    )
    assert found == ["audio_primock57", "denoise_mts_dialog", "denoise_primock57"]
    sizes = {p.name: DataDir.load(p) for p in (tmp_path / "work/data").iterdir()}
    assert len(sizes["primock57_train"].ids) == 21 and sizes["primock57_train"].has_audio
    assert len(sizes["mts_dialog_train"].ids) == 12 and not sizes["mts_dialog_train"].has_audio
    assert sizes["mts_dialog_test"].text == sizes["primock57_test"].text


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_definedai(copy_of: Callable, models: tuple[str, ...], tmp_path: Path) -> None:
    calls = {
        "source_train": ["banking/1", "insurance/1", "healthcare/1"],
        "source_dev": ["banking/2"],
        "source_test": ["healthcare/2"],
        "banking_train": ["banking/3"],
        "banking_dev": ["banking/4"],
        "banking_test": ["banking/5"],
    }
    root = corpora.make_definedai(tmp_path / "definedai", calls)
    corpora.make_slidespeech(tmp_path / "audio", tmp_path / "splits", ["animation"])
    found = run_all(
        *(copy_of("definedai") / "run.sh", tmp_path / "work", *models),
        *("--definedai_root", root, "--targets", "banking animation"),
        *("--slidespeech_root", tmp_path / "audio", "--splits", tmp_path / "splits"),
        *("--adapt_configs", "conf/adapt/mixed_batching.yaml"),
    )
    assert found == ["mixed_batching_animation", "mixed_batching_banking"]


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_a_new_recipe_with_a_target_of_text_alone(
    copy_of: Callable, models: tuple[str, ...], tmp_path: Path
) -> None:
    recipe = copy_of("TEMPLATE")
    for n, name in enumerate(("source_train", "source_dev", "source_test", "law_dev", "law_test")):
        rows = ["id\ttext\taudio\n"]
        for number in range(4):
            wav = corpora.make_wave(recipe / f"corpus/wav/{name}-{number}.wav")
            rows.append(f"u{number}\t{corpora.sentence(n + number)}\twav/{wav.name}\n")
        (recipe / f"corpus/{name}.tsv").write_text("".join(rows))
    lines = [f"t{number}\t{corpora.sentence(number)}\n" for number in range(4)]
    (recipe / "corpus/law_train.tsv").write_text("id\ttext\n" + "".join(lines))
    few = ("--base_opts", "train.steps=2", "--adapt_opts", "train.steps=2")
    found = run_all(recipe / "run.sh", tmp_path / "work", *models, *few, "--targets", "law")
    assert found == ["denoise_law", "text_only_law"]


@pytest.mark.slow
@pytest.mark.usefixtures("command")
def test_the_command_of_these_tests_fails_as_the_real_one_does() -> None:
    for words, code, message in (
        (["nonsense"], 2, "unknown command 'nonsense'"),
        (["data", "fix", "nowhere"], 1, "nowhere"),
    ):
        done = subprocess.run(["speechllm", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == code and message in done.stderr


def make_sets(recipe: str, *options: object, code: int = 0) -> str:
    """Run stage 1 of a recipe alone; what it printed."""
    return run(ROOT / "egs" / recipe / "local/data.sh", *options, code=code)


@pytest.mark.parametrize(
    ("recipe", "option", "messages"),
    [
        ("librispeech", "librispeech_root", ("https://www.openslr.org/12", "--download")),
        ("slidespeech", "slidespeech_root", ("https://www.openslr.org/144", "--splits")),
        ("medical", "primock57_root", ("https://github.com/babylonhealth/primock57", "Git LFS")),
        ("definedai", "definedai_root", ("https://defined.ai", "README.md")),
    ],
)
def test_without_the_corpus_it_says_where_to_get_it(
    recipe: str, option: str, messages: tuple[str, ...], tmp_path: Path
) -> None:
    said = make_sets(recipe, f"--{option}", tmp_path / "none", "--work", tmp_path / "work", code=1)
    for message in (f"'{tmp_path}/none'", f"./run.sh --{option} /where/it/is", *messages):
        assert message in said
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("recipe", "name", "message"),
    [
        ("librispeech", "train_clean_10", "no set train_clean_10, did you mean 'train_clean_100'?"),
        ("slidespeech", "animatin_dev", "no set animatin_dev, did you mean 'animation_dev'?"),
        ("slidespeech", "l95_train", "neither train.jsonl nor train.text is there"),
        ("medical", "primock57_all", "a set is <target>_{train,dev,test}, not primock57_all"),
    ],
)
def test_a_set_that_the_corpus_does_not_have(
    recipe: str, name: str, message: str, tmp_path: Path
) -> None:
    roots = {
        "librispeech": ("--librispeech_root", tmp_path),
        "slidespeech": ("--slidespeech_root", tmp_path, "--l95", tmp_path),
        "medical": ("--primock57_root", tmp_path),
    }
    options = (*roots[recipe], "--work", tmp_path / "work")
    assert message in make_sets(recipe, *options, "--sets", name, code=1)


def test_medical_takes_your_own_pairs(tmp_path: Path) -> None:
    corpora.make_wave(tmp_path / "pairs/wav/a.wav", 0.5)
    row = 'path,sentence\nwav/a.wav,"Well, no."\n'
    for part in ("train", "dev", "test"):
        (tmp_path / f"pairs/{part}.csv").write_text(row)
    make_sets(
        *("medical", "--pairs_root", tmp_path / "pairs", "--work", tmp_path),
        *("--text_column", "sentence", "--audio_column", "path", "--target_audio", "false"),
        *("--sets", "pairs_train pairs_dev pairs_test"),
    )
    train, dev = (DataDir.load(tmp_path / f"data/pairs_{part}") for part in ("train", "dev"))
    assert list(train.text.values()) == ["WELL NO"] and not train.has_audio
    assert dev.text == {"a": "WELL NO"} and dev.utt2dur == {"a": 0.5}


@pytest.mark.parametrize("days", ["1,2/3", "1,2/2/3", "1/2/6", "a/b/c"])
def test_medical_refuses_days_that_cannot_be(days: str, tmp_path: Path) -> None:
    corpora.make_primock57(tmp_path / "primock57")
    said = make_sets(
        *("medical", "--primock57_root", tmp_path / "primock57", "--work", tmp_path),
        *("--days", days, "--sets", "primock57_train"),
        code=1,
    )
    assert "--days" in said and not (tmp_path / "data").exists()


def test_medical_with_the_real_transcripts(tmp_path: Path, shared_data: Path) -> None:
    medical = (shared_data / "medical").resolve()
    root = tmp_path / "primock57"
    root.mkdir()
    (root / "transcripts").symlink_to(medical / "primock57/transcripts")
    for path in (root / "transcripts").glob("day4_*.TextGrid"):
        corpora.make_wave(root / "audio" / f"{path.stem}.wav", 900)
    said = make_sets(
        *("medical", "--primock57_root", root, "--mts_dialog_root", medical / "mts_dialog"),
        *("--work", tmp_path, "--sets", "mts_dialog_train primock57_dev"),
    )
    assert "mts_dialog_train: 12258 utterances (text alone)" in said
    assert "left out, not understood by the transcriber: " in said
    dev = DataDir.load(tmp_path / "data/primock57_dev")
    assert len(dev.ids) == 1057 and max(dev.utt2dur.values()) < 30


def test_medical_sample_speaks_sentences_that_are_not_in_training(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader")
    mts_dialog = (shared_data / "medical/mts_dialog").resolve()
    options = ("--mts_dialog_root", mts_dialog, "--work", tmp_path)
    shown = run(ROOT / "egs/medical/run.sh", "--sample", *options, "--dry_run")
    assert "speechllm base --config conf/sample/base.yaml" in shown
    assert "mts_spoken_natural" in shown and "mixed_batching" not in shown
    make_sets("medical", *options, "--limit", 12, "--sets", "mts_spoken_dev mts_spoken_test")
    make_sets("medical", *options, "--sets", "mts_spoken_train")
    data = {p: DataDir.load(tmp_path / f"data/mts_spoken_{p}") for p in ("train", "dev", "test")}
    assert len(data["train"].ids) == 1500 and not data["train"].has_audio
    said = set(data["dev"].text.values()) | set(data["test"].text.values())
    assert len(said) == 24 and not said & set(data["train"].text.values())
    voices = [set(data[part].utt2spk.values()) for part in ("dev", "test")]
    assert len(voices[1]) == 8 and not voices[0] & voices[1]
    monkeypatch.syspath_prepend(ROOT / "egs/mini/local")
    from voices import speakers_of

    people = {
        who.name: (who.accent, who.variant) for p in ("dev", "test") for who in speakers_of(p, True)
    }
    heard = {(who.accent, who.variant) for who in speakers_of("train", clear=True)}
    assert not {people[name] for both in voices for name in both} & heard
    assert all(0.5 < seconds < 15 for seconds in data["test"].utt2dur.values())


def test_slidespeech_limits_its_sets(tmp_path: Path) -> None:
    corpora.make_slidespeech(tmp_path / "audio", tmp_path / "splits", ["animation"])
    make_sets(
        *("slidespeech", "--slidespeech_root", tmp_path / "audio", "--work", tmp_path),
        *("--splits", tmp_path / "splits", "--limit", 3, "--sets", "source_dev animation_train"),
    )
    sizes = {p.name: len(DataDir.load(p).ids) for p in (tmp_path / "data").iterdir()}
    assert sizes == {"source_dev": 3, "animation_train": 3}


def test_definedai_refuses_a_call_that_trains_and_tests(tmp_path: Path) -> None:
    calls = {"source_train": ["banking/1"], "banking_test": ["banking/1"]}
    root = corpora.make_definedai(tmp_path / "definedai", calls)
    said = make_sets(
        *("definedai", "--definedai_root", root, "--work", tmp_path / "work"),
        *("--sets", "source_train banking_test"),
        code=1,
    )
    assert "lists/banking_test.txt:1: banking/1 is in source_train too" in said
    assert not (tmp_path / "work").exists()
