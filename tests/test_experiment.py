"""Names of an experiment, and what `speechllm plan` says of a recipe's stages."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from speechllm import cli, experiment
from speechllm.experiment import Experiment, PlannedDecoding, PlannedModel
from speechllm.files.layout import CONFIG, RUN
from speechllm.recipe.options import MODES, OPTIONS
from speechllm.recipe.stages import STAGES
from speechllm.recipe.words import quoted, shell_words
from tests.helpers.paths import ROOT

DEFAULTS = dict(
    re.findall(r"^(\w+)=\$\{\1-(.*?)\} ", (ROOT / "utils/recipe.sh").read_text(), re.MULTILINE)
)
"""Options of utils/recipe.sh and their defaults."""


def make_experiment(**changes: object) -> Experiment:
    values = {
        "work": ".",
        "source_train": ("general_train", "source_train"),
        "source_dev": ("source_dev",),
        "source_test": ("source_test",),
        "targets": ("farm", "music"),
        "target_train": ("train", "text"),
        "target_test": ("test", "natural"),
        "base_config": "conf/base.yaml",
        "adapt_configs": ("conf/adapt/audio.yaml", "conf/adapt/denoise.yaml"),
        "need_audio": ("audio",),
        "decode_config": "conf/decode.yaml",
        "lm_configs": (),
        "extra_decode_configs": (),
        "extra_decode_models": (),
        "adapt_opts": (),
    }
    return Experiment(**(values | changes))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's folder, with configs."""
    names = ("base", "decode", "adapt/audio", "adapt/denoise", "lm/lstm", "lm/unused")
    for name in names:
        path = tmp_path / f"conf/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "conf/decode").mkdir()
    (tmp_path / "conf/decode/ratio.yaml").write_text("{exp}/lm/lstm_{target} {exp}/lm/lstm_source")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(capsys: pytest.CaptureFixture[str], *options: str, **settings: str) -> list[str]:
    """Lines that `speechllm plan` prints for a recipe of two targets."""
    values = {**DEFAULTS, "targets": "farm music", **settings}
    cli.main(["plan", *options, *(f"{name}={value}" for name, value in values.items())])
    return capsys.readouterr().out.splitlines()


# ---- names


@pytest.mark.parametrize("target", ["farm", "fr-FR", "musical_instruments"])
def test_a_name_says_what_it_was_made_of(target: str) -> None:
    assert experiment.target_of(experiment.target_set(target)) == target
    assert experiment.target_of(experiment.target_set(target, "natural")) is None
    assert experiment.is_set_of(target, experiment.target_set(target, "natural"))
    name = experiment.adapted_name("mixed_batching", target)
    assert experiment.method_of(name, target) == "mixed_batching"
    assert experiment.method_of("base", None) == "base"
    assert experiment.cell_name("mixed_p10", 42, target) == f"mixed_p10_s42_{target}"
    tag = experiment.arm_tag("decode", "flat")
    assert tag == "decode_flat" and experiment.arm_tag("b4", None) == "b4"
    assert experiment.tag_of(experiment.decode_folder(tag)) == tag


def test_a_cell_is_known_by_the_folder_between_it_and_the_base(tmp_path: Path) -> None:
    base = tmp_path / "exp/base"
    adapted = base / "denoise_farm"
    cell = experiment.grid_folder(base, Path("conf/compare.yaml")) / "denoise_s1_farm"
    for model in (base, adapted, cell):
        model.mkdir(parents=True)
        (model / CONFIG).touch()
        (model / RUN).touch()
    assert [experiment.is_cell(model) for model in (base, adapted, cell)] == [False, False, True]
    assert experiment.runs_below(base) == [adapted / RUN]
    assert experiment.runs_below(base, "*/*") == [cell / RUN]
    assert experiment.runs_below(base, "compare/*") == [cell / RUN]


def test_the_sets_of_an_experiment(folder: Path) -> None:
    it = make_experiment(work="some where/", targets=("farm",))
    assert it.sets == [
        *("general_train", "source_train", "source_dev", "source_test"),
        *("farm_train", "farm_text", "farm_dev", "farm_test", "farm_natural"),
    ]
    assert it.data("farm_dev") == ["some where/data/farm_dev"] and it.base == "some where/exp/base"
    assert it.test_sets("farm") == ("source_test", "farm_test", "farm_natural")
    assert it.audio_sets == it.sets  # nothing is made yet
    for name in ("farm_text", "farm_dev"):
        (folder / "some where/data" / name).mkdir(parents=True)
        (folder / "some where/data" / name / "text").touch()
    (folder / "some where/data/farm_dev/wav.scp").touch()
    assert set(it.sets) - set(it.audio_sets) == {"farm_text"}


def test_adapted_models_of_configs_or_of_a_grid(folder: Path) -> None:
    (folder / "data/farm_train").mkdir(parents=True)
    (folder / "data/farm_train/text").touch()  # text alone
    it = make_experiment(adapt_opts=("lora.rank=4",))
    assert [model.folder for model in it.adapted] == [
        *("exp/base/denoise_farm", "exp/base/audio_music", "exp/base/denoise_music")
    ]
    assert it.adapted[0].changes == ("lora.rank=4",)
    assert it.left_out == {("farm", "conf/adapt/audio.yaml")}
    cell = PlannedModel("exp/base/grid/denoise_s1_farm", "denoise.yaml", "farm", ("seed=1",))
    assert make_experiment(cells=(cell,)).adapted == (cell,)


def test_decodings_and_their_folders(folder: Path) -> None:
    changed = PlannedDecoding("exp/base", ("farm_test",), "conf/decode.yaml", arm="flat")
    it = make_experiment(
        targets=("farm",),
        target_test=("test",),
        adapt_configs=("conf/adapt/denoise.yaml",),
        extra_decode_configs=("conf/decode/ratio.yaml",),
        extra_decode_models=("denoise",),
        redecoded=(changed,),
    )
    assert [decoding.folders for decoding in it.decodings] == [
        ["exp/base/decode_decode/source_test", "exp/base/decode_decode/farm_test"],
        [f"exp/base/denoise_farm/decode_decode/{name}_test" for name in ("source", "farm")],
        ["exp/base/decode_decode_flat/farm_test"],
        ["exp/base/decode_ratio/farm_test"],
        ["exp/base/denoise_farm/decode_ratio/farm_test"],
    ]
    assert [decoding.target for decoding in it.decodings] == [None, None, None, "farm", "farm"]


def test_language_models_are_those_that_a_search_names(folder: Path) -> None:
    configs = ("conf/lm/lstm.yaml", "conf/lm/unused.yaml")
    it = make_experiment(lm_configs=configs, extra_decode_configs=("conf/decode/ratio.yaml",))
    found = [(model.folder, model.domain) for model in it.language_models]
    assert found == [(f"exp/lm/lstm_{name}", name) for name in ("source", "farm", "music")]
    assert list(make_experiment(lm_configs=configs).language_models) == []


# ---- speechllm plan


def test_the_plan_knows_the_options_of_every_recipe() -> None:
    assert DEFAULTS.keys() == OPTIONS.keys() | MODES


def test_the_files_of_each_stage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def files(stage: str, **settings: str) -> list[str]:
        return plan(capsys, "--outputs", "--stage", stage, targets="farm", **settings)

    sets = ["source_train", "source_dev", "source_test", "farm_train", "farm_dev", "farm_test"]
    assert files("data") == [f"data/{name}/text" for name in sets]
    made = files("data", encoder_package="whisper-base", work="w")
    assert made[-1] == "w/pretrained/whisper-base/config.json"
    assert files("check") == [f"data/{name}/.checked" for name in sets]
    assert files("features") == [f"dump/*/{name}/feats.scp" for name in sets]
    assert files("base") == ["exp/base/run.json"]
    assert files("5") == [f"exp/base/{method}_farm/run.json" for method in ("audio", "denoise")]
    assert files("5b") == ["exp/lm/lstm_source/run.json", "exp/lm/lstm_farm/run.json"]
    decoded = files("decode", encoder="openai/whisper-tiny", whisper_alone="true")
    models = ("base", "base/audio_farm", "base/denoise_farm")
    both = ("source_test", "farm_test")
    assert decoded == [
        *(f"exp/{model}/decode_decode/{name}/decode.json" for model in models for name in both),
        "exp/base/decode_ratio/farm_test/decode.json",
        *(f"exp/whisper-tiny/decode_decode/{name}/decode.json" for name in both),
    ]
    assert files("score")[0] == "exp/base/decode_decode/source_test/score/*.json"
    assert files("report") == ["RESULTS.md"] and files("pack") == ["exp/packed/pack.json"]


def test_a_plan_is_shell_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = plan(capsys, "--jobs_cmd", "queue.pl -q all", work="a b", greeting="it's")
    assert [line.split(":")[0] for line in lines if line.startswith("# == ")] == [
        f"# == stage {stage.label} {stage.name}" for stage in STAGES if stage.name != "pack"
    ]
    commands = [shlex.split(line) for line in lines if not line.startswith("# ")]
    assert commands[0] == ["local/data.sh", "--work", "a b", "--greeting", "it's"]
    assert commands[2][:6] == ["queue.pl", "-q", "all", "--max_jobs_run", "2", "JOB=1:2"]
    assert "'a b/exp/log/features.JOB.log'" in lines[5]


def test_before_a_run_input_is_checked_and_jobs_are_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--prepare", "--stage", "5b")
    with pytest.raises(SystemExit) as stopped:
        plan(capsys, *options)
    said = "run.sh: error: stage lm needs exp/base/run.json, made by stage base"
    assert stopped.value.code == f"{said}\n  -> ./run.sh --stage base"
    (folder / "exp/base").mkdir(parents=True)
    (folder / "exp/base/run.json").touch()
    header, command = plan(capsys, *options)
    assert header == "# == stage 5b lm: text -> exp/lm/<lm>_<target>/"
    tasks, logs = "exp/log/lm.tasks", "exp/log/lm.JOB.log"
    assert command == f"speechllm run --max_jobs_run 2 --tasks {tasks} {logs}"
    assert (folder / tasks).read_text().splitlines() == plan(capsys, "--stage", "lm")[1:]


def test_on_a_cluster_the_base_and_the_scores_are_jobs_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sign in (" ", "="):
        runner = f"speechllm run --slurm{sign}conf/slurm.yaml"
        for stage in ("base", "score"):
            _, local = plan(capsys, "--stage", stage)
            _, job = plan(capsys, "--stage", stage, "--jobs_cmd", runner)
            assert job == f"{runner} --max_jobs_run 2 exp/log/{stage}.log {local}"


def test_an_option_that_is_not_given_is_named(folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"run.sh: error: no work=\.\.\. is given"):
        cli.main(["plan", "--list", "nj=2"])


def test_a_plan_needs_the_standard_library_alone(folder: Path) -> None:
    command = [sys.executable, "-S", "-P", "-m", "speechllm", "plan"]
    settings = [f"{name}={value}" for name, value in DEFAULTS.items()]
    for options in (["--list", *settings], settings, ["--nearest", "adpat", "data", "adapt"]):
        done = subprocess.run(
            [*command, *options],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == ", did you mean 'adapt'?\n"


# ---- words


def test_words_are_written_as_a_shell_reads_them(folder: Path) -> None:
    words = ["a", "", "a b", "it's", '"$x" `y` *', "a/b=c,d"]
    assert shlex.split(quoted(words)) == words
    assert quoted(["speechllm", "base", "p=0.1"]) == "speechllm base p=0.1"
    line = quoted(["printf", "%s|", *words, "two\nlines 'x' \\n"])
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert "\n" not in line and done.stdout == "|".join([*words, "two\nlines 'x' \\n", ""])
    assert shell_words("x  conf/adapt/*.yaml none*") == (
        *("x", "conf/adapt/audio.yaml", "conf/adapt/denoise.yaml", "none*"),
    )
