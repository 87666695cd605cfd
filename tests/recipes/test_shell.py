"""The stages of a recipe and what they run, with a command that only pretends."""

import importlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from speechllm import cli
from speechllm.commands.options import register
from tests.helpers.paths import ROOT

STAGE_COMMANDS = (
    *("data check", "run", "features", "base", "adapt"),
    *("lm", "decode", "perplexity", "score", "report"),
)

GRID = """
methods:
  text_only: {config: conf/adapt/text_only.yaml}
  mixed:
    config: conf/adapt/mixed.yaml
    fractions: [0.1, 0.5]
    set: {lora.targets: [q_proj, v_proj]}
seeds: [1, 2]
budget: 7
"""

RUN = """#!/usr/bin/env bash
# A toy recipe.
#
# It has a second paragraph.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

source_train="general_train source_train"
standins=true
targets="farm music"
greeting="hello there"  # what the speakers say;
                        # said to local/data.sh

quick_settings() {
    work=quick
    base_opts="train.steps=2"
}

. ../../utils/recipe.sh "$@"
"""

DATA = """#!/usr/bin/env bash
set -euo pipefail
work=.
greeting=none
standins=false
. ../../utils/parse_options.sh
echo "greeting: $greeting" >>calls.txt
for set in general_train source_{train,dev,test} {farm,music}_{train,dev,test}; do
    mkdir -p "$work/data/$set"
    touch "$work/data/$set/text"
    [ "$set" = farm_train ] || touch "$work/data/$set/wav.scp"
done
for model in encoder llm; do
    mkdir -p "$work/pretrained/$model"
    touch "$work/pretrained/$model/config.json"
done
"""

# Notes how it is called, fails where a file `fail` names its command, and makes empty outputs.
PRETENDER = """#!{python}
import os, sys
from pathlib import Path

command, *args = sys.argv[1:]
if command == "data":
    command, *args = args
if command in ("plan", "run"):
    os.environ["PYTHONPATH"] = "{root}"
    os.execv("{python}", ["{python}", "-m", "speechllm", command, *args])
with open("calls.txt", "a") as stream:
    print(command, *args, file=stream)
if Path("fail").exists() and Path("fail").read_text().strip() == command:
    sys.exit("the reason")
if Path("stopped").exists() and command == "base":
    sys.exit(128 + 15)
after = lambda option: args[args.index(option) + 1]
made = []
if command == "check":
    made = [Path(arg) / ".checked" for arg in args if "data/" in arg]
elif command == "features" and "--merge" in args:
    sets = [Path(arg).name for arg in args[args.index("--merge") + 1 :]]
    made = [Path(after("--dump")) / "encoder" / name / "feats.scp" for name in sets]
elif command in ("base", "adapt", "lm"):
    made = [Path(after("--exp")) / "run.json"]
elif command == "decode":
    sets = [Path(arg).name for arg in args[args.index("--data") + 1 :]]
    tag = "decode_" + (after("--tag") if "--tag" in args else Path(after("--config")).stem)
    made = [Path(after("--model")) / tag / name / "decode.json" for name in sets]
elif command == "score":
    exp = Path(after("--exp"))
    made = [file.parent / "score/wer.json" for file in exp.rglob("decode.json")]
elif command in ("report", "compare"):
    made = [Path(after("--out"))]
elif command == "pack":
    made = [Path(after("--out")) / "pack.json"]
for file in made:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
"""

DECODINGS = """
decodings:
  flat: {of: base, set: {speech_temperature: 2.0}}
  half: {of: mixed_p10, set: {adapted: 0.5, biasing.prompt.template: "It's {}."}}
"""


class Recipe:
    """A copy of utils/, a link to the package, and a recipe, in a folder whose name has spaces."""

    def __init__(self, checkout: Path, name: str = "toy"):
        self.checkout, self.folder = checkout, checkout / "egs" / name
        shutil.copytree(ROOT / "utils", checkout / "utils")
        (checkout / "speechllm").symlink_to(ROOT / "speechllm")
        self.write("run.sh", RUN, executable=True)
        self.write("local/data.sh", DATA, executable=True)
        self.write("cmd.sh", 'export jobs_cmd="speechllm run"\n')
        self.write("path.sh", 'export PATH="$PWD/bin:$PATH"\n')
        pretender = PRETENDER.replace("{python}", sys.executable).replace("{root}", str(ROOT))
        self.write("bin/speechllm", pretender, executable=True)
        for config in ("base", "decode", "adapt/denoise", "adapt/text_only"):
            self.write(f"conf/{config}.yaml", "")

    def write(self, name: str, text: str, executable: bool = False) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if executable:
            path.chmod(0o755)

    def run(self, *options: str, code: int = 0, cwd: Path | None = None) -> str:
        """Run run.sh; returns what it printed."""
        done = subprocess.run(
            [self.folder / "run.sh", *options],
            cwd=cwd or self.checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def calls(self) -> list[str]:
        path = self.folder / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def recipe(tmp_path):
    return Recipe(tmp_path / "a check out")


def test_scoring_knows_the_training_text_and_the_report_the_main_decoding(recipe):
    recipe.run()
    recipe.calls()
    options = ("--source_train", "one two", "--score_opts", "--normalizer whisper-english --trn")
    recipe.run("--stage", "score", "--stop_stage", "report", *options)
    score, report = recipe.calls()
    assert score.endswith(
        "--train_text data/one/text data/two/text --normalizer whisper-english --trn"
    )
    assert "--tag decode --title" in report
    assert "--source_sets source_test --html" in report


def test_all_stages_run_in_order_from_any_folder(recipe, tmp_path):
    output = recipe.run(cwd=tmp_path)
    calls = recipe.calls()
    assert calls[0] == "greeting: hello there"
    order = list(dict.fromkeys(call.split()[0] for call in calls[1:]))
    assert order[:4] == ["check", "features", "base", "adapt"]
    assert set(order[4:6]) == {"decode", "perplexity"} and order[6:] == ["score", "report"]
    assert (recipe.folder / "RESULTS.md").exists()
    assert "== stage 4 base: " in output and "== stage 8 report: done in " in output

    features = [call for call in calls if call.startswith("features")]
    assert sorted(call.split("--job ")[1].split()[0] for call in features[:2]) == ["1/2", "2/2"]
    model = "--config conf/base.yaml --encoder pretrained/encoder --llm pretrained/llm"
    assert all(call.startswith(f"features {model} --dump dump ") for call in features)
    assert all("farm_train" not in call and "music_train" in call for call in features)
    base = next(call for call in calls if call.startswith("base"))
    assert base == (
        "base --config conf/base.yaml --encoder pretrained/encoder --llm pretrained/llm "
        "--dump dump --train data/general_train data/source_train --dev data/source_dev "
        "--exp exp/base"
    )
    adapt = [call for call in calls if call.startswith("adapt")]
    assert len(adapt) == 4
    assert (
        "adapt --config conf/adapt/denoise.yaml --base exp/base --dump dump "
        "--source data/general_train data/source_train --source_dev data/source_dev "
        "--target data/farm_train --target_dev data/farm_dev --exp exp/base/denoise_farm" in adapt
    )
    decode = [call.partition("--data ")[2] for call in calls if call.startswith("decode")]
    assert "data/source_test data/farm_test data/music_test" in decode
    assert decode.count("data/source_test data/farm_test") == 2
    assert len(decode) == 5


def test_stages_by_number_or_name(recipe):
    recipe.run("--stop_stage", "2")
    recipe.calls()
    recipe.run("--stage", "3", "--stop_stage", "base")
    assert {call.split()[0] for call in recipe.calls()} == {"features", "base"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "10"], "there is no stage 10, they go from 1 to 9"),
        (["--stage", "0"], "there is no stage 0"),
        (["--stage", "5c"], "there is no stage 5c"),
        (["--stage", "6", "--stop_stage", "lm"], "stage 6 comes after stop_stage lm"),
        (["--stop-stage=12"], "there is no stage 12"),
        (["--stage", "adpat"], "unknown stage 'adpat', did you mean 'adapt'?"),
        (["--stage", "wrap"], "known: data, check, features, base"),
        (["--stage", "5", "--stop_stage", "features"], "stage 5 comes after stop_stage features"),
        (["--nj", "0"], "--nj is a whole number"),
        (["--adapt_configs", "conf/none.yaml"], "there is no config 'conf/none.yaml'"),
        (["--target", "farm"], "unknown option --target, did you mean 'targets'?"),
    ],
)
def test_a_wrong_stage_or_setting_is_an_error(recipe, options, message):
    assert message in recipe.run(*options, code=1)
    assert recipe.calls() == []


def test_a_stage_names_the_stage_that_makes_its_input(recipe):
    assert "stage check needs data/general_train/text, made by stage data" in recipe.run(
        "--stage", "check", code=1
    )
    recipe.run("--stop_stage", "5")
    shutil.rmtree(recipe.folder / "exp/base/denoise_music")
    output = recipe.run("--stage", "decode", code=1)
    assert "stage decode needs exp/base/denoise_music/run.json, made by stage adapt" in output


def test_a_failing_job_stops_the_recipe_and_is_shown(recipe):
    recipe.write("fail", "adapt")
    output = recipe.run(code=1)
    assert "4 of 4 jobs failed" in output and "| the reason" in output
    assert "stage adapt failed" in output
    assert not (recipe.folder / "RESULTS.md").exists()
    recipe.write("fail", "base")
    output = recipe.run("--stage", "base", code=1)
    assert "the reason" in output and "stage base failed" in output and "stage 5" not in output


def test_a_stage_that_was_stopped_is_no_failure(recipe):
    recipe.write("stopped", "")
    output = recipe.run(code=128 + 15)
    assert "== stage base was stopped; to go on, add --stage base" in output
    assert "failed" not in output


def test_dry_run_prints_the_commands_and_makes_nothing(recipe):
    before = sorted(recipe.folder.rglob("*"))
    output = recipe.run("--dry_run", "--work", "some where", "--adapt-opts", "train.steps=3")
    assert sorted(recipe.folder.rglob("*")) == before
    commands = [line[2:] for line in output.splitlines() if line.startswith("$ ")]
    assert (
        commands[0] == "local/data.sh --work 'some where' --greeting 'hello there' --standins true"
    )
    assert sum(command.startswith("speechllm adapt ") for command in commands) == 4
    assert all(c.endswith(" train.steps=3") for c in commands if c.startswith("speechllm adapt"))
    assert sum(command.startswith("speechllm decode ") for command in commands) == 5


def test_a_speech_llm_takes_the_place_of_encoder_and_llm(recipe):
    output = recipe.run("--dry_run", "--speech_llm", "owner/name")
    commands = [line for line in output.splitlines() if line.startswith("$ ")]
    for stage in ("data check", "features", "base"):
        found = [line for line in commands if f"speechllm {stage} " in line]
        assert found and all("--speech_llm owner/name" in line for line in found)
    assert "--encoder" not in output and "--llm" not in output


def test_list_shows_what_is_done(recipe):
    listed = recipe.run("--list")
    assert listed.count("not done") == 9
    assert [line.split()[:2] for line in listed.splitlines()][4:7] == [
        ["5", "adapt"],
        ["5b", "lm"],
        ["6", "decode"],
    ]
    recipe.run("--stop_stage", "5")
    shutil.rmtree(recipe.folder / "exp/base/denoise_music")
    lines = recipe.run("--list").splitlines()
    assert [line.split()[:2] for line in lines][4] == ["5", "adapt"]
    assert [line.endswith(" done") for line in lines[:4]] == [True] * 4
    assert "not done" not in "".join(lines[:4])
    assert lines[4].endswith("3 of 4 done")
    assert lines[5].endswith(" done") and "not" not in lines[5]  # there are none to be made
    assert all(line.endswith("not done") for line in lines[6:])


def test_the_model_is_packed_when_asked_for(recipe):
    recipe.run("--stop_stage", "score")
    recipe.calls()
    recipe.run("--stage", "pack", "--pack_opts=--models denoise_*")
    call = "pack --base exp/base --decode conf/decode.yaml --out exp/packed --models denoise_*"
    assert recipe.calls() == [call]
    module = importlib.import_module("speechllm.commands.model.pack")
    assert cli.parse("pack", module, shlex.split(call)[1:]).models == ["denoise_*"]
    assert recipe.run("--list").splitlines()[9].split()[-2:] == ["exp/packed/", "done"]
    recipe.run("--stage", "report", "--stop_stage", "9")
    assert [name.split()[0] for name in recipe.calls()] == ["report", "pack"]


def test_quick_uses_the_recipes_sizes_but_the_command_line_goes_first(recipe):
    recipe.run("--quick")
    base = next(call for call in recipe.calls() if call.startswith("base"))
    assert base.endswith("--exp quick/exp/base train.steps=2")
    assert (recipe.folder / "quick/RESULTS.md").exists()
    output = recipe.run("--quick", "--work", "other", "--base_opts=train.steps=5", "--dry_run")
    assert "--exp other/exp/base train.steps=5" in output


def with_fusion(recipe: Recipe) -> None:
    recipe.write("conf/lm/lstm.yaml", "")
    recipe.write("conf/lm/ngram.yaml", "")
    recipe.write("conf/lm/unused.yaml", "")
    recipe.write("conf/decode/ratio.yaml", "{exp}/lm/lstm_{target} {exp}/lm/lstm_source")
    recipe.write("conf/decode/words.yaml", "{exp}/lm/ngram_{target}")


def test_language_models_are_made_where_a_further_decoding_names_them(recipe):
    with_fusion(recipe)
    recipe.run("--stop_stage", "5")
    assert not any(call.startswith("lm") for call in recipe.calls())
    output = recipe.run("--stage", "5b", "--stop_stage", "lm")
    assert "== stage 5b lm: text -> exp/lm/<lm>_<target>/" in output
    calls = recipe.calls()
    made = sorted(call.rsplit(" ", 1)[1] for call in calls)
    names = "lstm_farm", "lstm_music", "lstm_source", "ngram_farm", "ngram_music"
    assert made == [f"exp/lm/{name}" for name in names]
    assert (
        "lm --config conf/lm/lstm.yaml --base exp/base --text data/farm_train "
        "--dev data/farm_dev --exp exp/lm/lstm_farm" in calls
    )
    assert (
        "lm --config conf/lm/lstm.yaml --base exp/base --text data/general_train "
        "data/source_train --dev data/source_dev --exp exp/lm/lstm_source" in calls
    )
    shutil.rmtree(recipe.folder / "exp/lm/lstm_farm")
    output = recipe.run("--stage", "6", code=1)
    assert "stage decode needs exp/lm/lstm_farm/run.json, made by stage lm" in output


def test_the_base_is_decoded_in_further_ways_on_targets(recipe):
    with_fusion(recipe)
    recipe.run("--stop_stage", "decode")
    calls = [call for call in recipe.calls() if call.startswith("decode")]
    assert len(calls) == 5 + 4
    assert (
        "decode --config conf/decode/ratio.yaml --model exp/base --dump dump --target farm "
        "--dev data/farm_dev --exp exp --data data/farm_test" in calls
    )
    assert recipe.run("--list").splitlines()[6].endswith(" done")
    recipe.run("--stage", "decode", "--extra_decode_models", "denoise", "--work", ".")
    adapted = [call for call in recipe.calls() if "--model exp/base/denoise_music" in call]
    assert len(adapted) == 4  # conf/decode.yaml, ratio, words, and the perplexity
    recipe.run("--stage", "decode", "--extra_decode_configs", "")
    assert len(recipe.calls()) == 2 * 5 + 2  # with perplexities, score and report
    output = recipe.run("--extra_decode_configs", "conf/decode/none.yaml", code=1)
    assert "there is no config 'conf/decode/none.yaml'" in output


def test_an_option_of_the_corpus_reaches_local_data(recipe):
    recipe.run("--greeting", "good day", "--stop_stage", "data")
    assert recipe.calls() == ["greeting: good day"]


def test_the_names_of_all_sets_reach_a_local_data_that_asks_for_them(recipe):
    data = DATA.replace("greeting=none", 'greeting=none\nsets=""').replace("$greeting", "$sets")
    recipe.write("local/data.sh", data, executable=True)
    recipe.run("--stop_stage", "data", "--targets", "farm")
    sets = "general_train source_train source_dev source_test farm_train farm_dev farm_test"
    assert recipe.calls() == [f"greeting: {sets}"]


def test_a_target_of_text_alone_goes_without_what_needs_audio(recipe):
    options = ("--need_audio", "denoise others")
    output = recipe.run(*options)
    adapt = [call.partition("--exp ")[2] for call in recipe.calls() if call.startswith("adapt")]
    assert sorted(adapt) == [  # farm_train has no wav.scp
        "exp/base/denoise_music",
        "exp/base/text_only_farm",
        "exp/base/text_only_music",
    ]
    assert output.count("left out") == 1
    assert "left out, as farm_train is text alone: conf/adapt/denoise.yaml" in output
    assert recipe.run("--list", *options).count("not done") == 1  # pack


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), []), (("--llm=x/y",), ["--llm", "x/y"]), (("--encoder", "a/b"), ["--encoder", "a/b"])],
)
def test_without_standins_the_base_config_names_the_models(recipe, options, expected):
    recipe.write("run.sh", RUN.replace("standins=true", ""), executable=True)
    output = recipe.run("--dry_run", *options)
    for stage in ("data check", "features", "base"):
        (words, *_) = [shlex.split(s) for s in output.splitlines() if f"speechllm {stage} " in s]
        after = words[words.index("conf/base.yaml") + 1 :]
        assert after[: len(expected)] == expected
        assert "--encoder" not in after[len(expected) :] and "--llm" not in after[len(expected) :]


PACKAGED = RUN.replace("standins=true", "encoder_package=whisper-tiny.en llm_package=smollm2")


def test_stage_1_makes_the_models_that_come_in_packages(recipe):
    recipe.write("run.sh", PACKAGED, executable=True)
    output = recipe.run("--dry_run", "--work", "w")
    for name in ("whisper-tiny.en", "smollm2"):
        assert f"utils/pretrained.sh {name} w/pretrained/{name}" in output
    assert "--encoder w/pretrained/whisper-tiny.en --llm w/pretrained/smollm2" in output
    output = recipe.run("--dry_run", "--encoder", "mine", "--standins", "false")
    assert "pretrained.sh whisper" not in output and "--encoder mine" in output
    assert "pretrained.sh" not in recipe.run("--dry_run", "--standins", "true")


def test_standins_have_configs_of_their_own_where_there_are_some(recipe):
    for config in ("base", "adapt/denoise"):
        recipe.write(f"conf/standins/{config}.yaml", "")
    recipe.write("run.sh", PACKAGED, executable=True)
    assert "conf/standins" not in recipe.run("--dry_run")
    output = recipe.run("--dry_run", "--standins", "true")
    assert "--config conf/standins/base.yaml --encoder pretrained/encoder" in output
    assert "conf/standins/adapt/denoise.yaml" in output and "text_only" not in output
    both = ("--adapt_configs", "conf/adapt/text_only.yaml conf/adapt/denoise.yaml")
    output = recipe.run("--dry_run", "--standins", "true", *both)
    assert "--config conf/standins/adapt/denoise.yaml" in output
    assert "--config conf/adapt/text_only.yaml" in output
    other = recipe.run(
        "--dry_run", "--standins", "true", "--base_config", "conf/standins/base.yaml"
    )
    assert "--config conf/standins/base.yaml" in other


def test_a_recipe_without_standins_says_so(recipe):
    recipe.write("local/data.sh", DATA.replace("standins=false\n", ""), executable=True)
    assert "has no stand-ins: leave out --standins" in recipe.run("--dry_run", code=1)


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--nproc", "1.5", "--nproc is a whole number from 1 on"),
        ("--nj", "0", "--nj is a whole number from 1 on"),
        ("--max_time", "soon", "--max_time is not a length of time: soon"),
        ("--work", "", "--work names no folder"),
        ("--targets", "farm music farm", "--targets names a domain twice: farm"),
        ("--sample", "true", "this recipe has no --sample"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(recipe, option, value, complaint):
    assert complaint in recipe.run("--dry_run", option, value, code=1)


def test_the_command_of_the_report_can_be_given_again(recipe):
    options = ("--report_opts", "--normalizer plain", "--dry_run", "--stage", "report")
    (line,) = [line for line in recipe.run(*options).splitlines() if "speechllm report" in line]
    words = shlex.split(line)
    assert shlex.split(words[words.index("--command") + 1]) == ["./run.sh", *options]


def test_standins_may_have_settings_of_their_own(recipe):
    settings = 'standin_settings() {\n    targets="farm" source_train="general_train"\n}\n'
    sourced = '. ../../utils/recipe.sh "$@"\n'
    script = RUN.replace("standins=true", 'adapt_configs="conf/adapt/denoise.yaml"')
    recipe.write("run.sh", script.replace(sourced, settings + sourced), executable=True)
    recipe.write("conf/standins/decode.yaml", "")
    real = recipe.run("--dry_run", "--encoder", "some/encoder", "--llm", "some/llm")
    assert "denoise_music" in real and "data/source_train" in real and "conf/standins" not in real
    toy = recipe.run("--dry_run", "--standins", "--targets", "farm music")
    assert "denoise_music" in toy and "data/source_train" not in toy  # the user's word is the last
    assert "--config conf/standins/decode.yaml" in toy


def test_a_folder_with_spaces_and_other_models(recipe):
    recipe.run("--work", "my work", "--encoder", "some/encoder", "--targets", "farm", "--nj=3")
    assert (recipe.folder / "my work/RESULTS.md").exists()
    calls = recipe.calls()
    assert any("--encoder some/encoder --llm my work/pretrained/llm" in call for call in calls)
    assert sum(call.startswith("adapt") for call in calls) == 2


def test_without_targets_there_is_a_base_and_nothing_to_adapt(recipe):
    output = recipe.run("--targets=", "--adapt_configs", "none")
    assert "nothing to do" in output
    decodings = [call for call in recipe.calls() if call.startswith("decode")]
    assert [call.partition("--data ")[2] for call in decodings] == ["data/source_test"]


def test_a_copied_recipe_works(recipe):
    recipe.run("--stop_stage", "base")
    shutil.copytree(recipe.folder, recipe.checkout / "egs/copy")
    recipe.folder = recipe.checkout / "egs/copy"
    recipe.run("--stage", "adapt")
    assert (recipe.folder / "RESULTS.md").exists()


@pytest.fixture
def grid(recipe):
    """The recipe with a grid: 2 seeds x 2 targets x (text_only, and mixed at 10 and at 50 %)."""
    recipe.write("conf/adapt/text_only.yaml", "method: text_only\ntrain: {steps: 100}\n")
    recipe.write("conf/adapt/mixed.yaml", "method: mixed_batching\ntrain: {steps: 100}\n")
    recipe.write("conf/grid.yaml", GRID)
    return recipe


def test_a_comparison_runs_the_cells_of_its_grid(grid):
    grid.run("--compare", "conf/grid.yaml", "--adapt_opts", "lora.rank=4")
    calls = grid.calls()
    adapt = [call for call in calls if call.startswith("adapt")]
    decode = [call for call in calls if call.startswith("decode")]
    assert len(adapt) == 12 and len(decode) == 13
    assert (
        "adapt --config conf/adapt/mixed.yaml --base exp/base --dump dump "
        "--source data/general_train data/source_train --source_dev data/source_dev "
        "--target data/farm_train --target_dev data/farm_dev "
        "--exp exp/base/grid/mixed_p10_s2_farm "
        'lora.rank=4 lora.targets=["q_proj", "v_proj"] p=0.1 train.steps=7 train.seed=2'
    ) in adapt
    assert (
        "decode --config conf/decode.yaml --model exp/base/grid/mixed_p10_s2_farm --dump dump "
        "--data data/source_test data/farm_test"
    ) in decode
    assert calls[-1].startswith("report --exp exp --out RESULTS.md")  # links what is there
    assert calls[-2] == (
        "compare report --data data --out RESULTS.grid.md --tag decode --targets farm music "
        "--adapt_opts lora.rank=4 --base exp/base --config conf/grid.yaml"
    )
    module = importlib.import_module("speechllm.commands.compare")
    assert cli.parse("compare", module, shlex.split(calls[-2])[1:]).tag == "decode"
    assert (grid.folder / "RESULTS.grid.md").exists()


def test_a_comparison_is_listed_and_can_be_tried_dry(grid):
    before = sorted(grid.folder.rglob("*"))
    options = ["--compare", "conf/grid.yaml", "--compare_opts", "seeds=[5] targets=[farm]"]
    output = grid.run("--dry_run", *options)
    assert sorted(grid.folder.rglob("*")) == before
    assert output.count("$ speechllm adapt ") == 3 and output.count("train.seed=5") == 3
    assert output.count(""" 'lora.targets=["q_proj", "v_proj"]' p=""") == 2
    assert "$ speechllm compare report --data data" in output
    grid.run(*options, "--stop_stage", "adapt")
    shutil.rmtree(grid.folder / "exp/base/grid/text_only_s5_farm")
    lines = grid.run("--list", *options).splitlines()
    assert lines[4].endswith("2 of 3 done")
    assert "speechllm" not in grid.run("--list")


def test_a_comparison_decodes_some_models_in_other_ways_too(grid):
    grid.write("conf/grid.yaml", GRID + DECODINGS)
    options = ["--compare", "conf/grid.yaml", "--compare_opts", "targets=[farm]"]
    dry = grid.run("--dry_run", *options)
    grid.run(*options, "--stop_stage", "score")
    calls = grid.calls()
    decode = [call for call in calls if call.startswith("decode")]
    assert len(decode) == 7 + 1 + 2 and dry.count("$ speechllm decode ") == 10
    other = [call for call in decode if "--tag" in call]
    command = "decode --config conf/decode.yaml --model exp/base{} --dump dump --tag decode_{}"
    assert other == [
        command.format("", "flat --data data/source_test data/farm_test speech_temperature=2.0"),
        *(
            command.format(
                f"/grid/mixed_p10_s{seed}_farm",
                "half --data data/source_test data/farm_test adapted=0.5 "
                "biasing.prompt.template=It's {}.",
            )
            for seed in (1, 2)
        ),
    ]
    assert sum(call.startswith("adapt") for call in calls) == 6
    module = importlib.import_module("speechllm.commands.decode")
    assert cli.parse("decode", module, shlex.split(other[0])[1:]).overrides == [
        "speech_temperature=2.0"
    ]
    lines = grid.run("--list", *options).splitlines()
    assert lines[6].split()[:2] == ["6", "decode"] and lines[6].endswith("done")
    shutil.rmtree(grid.folder / "exp/base/grid/mixed_p10_s2_farm/decode_decode_half")
    lines = grid.run("--list", *options).splitlines()
    # The base on two targets' sets; of 9 other decodings two sets each, of which one is gone.
    assert lines[6].endswith("19 of 21 done") and lines[7].endswith("19 of 21 done")
    grid.write("conf/grid.yaml", GRID + DECODINGS.replace("adapted", "adaptd"))
    assert "half: unknown key 'adaptd', did you mean 'adapted'?" in grid.run(*options, code=1)


def test_a_wrong_grid_stops_the_recipe_before_its_first_stage(grid):
    options = ["--compare", "conf/grid.yaml", "--compare_opts", "seed=[1]"]
    assert "unknown key 'seed', did you mean 'seeds'?" in grid.run(*options, code=1)
    assert "there is no config 'conf/gird.yaml'" in grid.run("--compare=conf/gird.yaml", code=1)
    assert grid.calls() == []


def test_help_shows_the_recipes_options_and_the_shared_ones(recipe):
    output = recipe.run("--help")
    assert output.startswith("A toy recipe.\n\nIt has a second paragraph.\n")
    assert "--greeting         what the speakers say; said to local/data.sh [hello there]" in output
    assert "--targets          domains; the sets of each are" in output and "[farm music]" in output
    assert (
        "--stop_stage       last stage to run; pack is only run when asked for [report]" in output
    )


@pytest.mark.parametrize("name", [run.parent.name for run in sorted(ROOT.glob("egs/*/run.sh"))])
def test_the_recipes_list_their_stages_and_commands(name):
    run = ROOT / "egs" / name / "run.sh"
    for option in ("--list", "--dry_run", "--help"):
        subprocess.run([run, option], check=True, capture_output=True, cwd="/", timeout=20)
    output = subprocess.run([run, "--dry_run", "--quick"], capture_output=True, text=True).stdout
    assert "$ speechllm report --exp quick/exp --out quick/RESULTS.md" in output


def test_the_commands_take_the_options_that_the_stages_give():
    done = subprocess.run(
        [ROOT / "egs/mini/run.sh", "--dry_run", "--quick", "--nproc=1", "--allow_pipes"],
        capture_output=True,
        text=True,
        check=True,
    )
    commands = [shlex.split(line)[2:] for line in done.stdout.splitlines() if "$ speechllm" in line]
    called = [register.find_command(words) for words in commands]
    assert {name for name, _ in called} == set(STAGE_COMMANDS)
    for name, argv in called:
        module = register.load_command(name)
        args = cli.parse(name, module, argv)
        if name == "run":
            assert args.words[:3] == ["JOB=1:2", "quick/exp/log/features.JOB.log", "speechllm"]
            cli.parse("features", importlib.import_module("speechllm.commands.features"), argv[6:])


@pytest.mark.parametrize("option", ["--list", "--dry_run"])
def test_a_listing_without_a_python_installs_nothing(recipe, tmp_path: Path, option: str) -> None:
    old = tmp_path / "old python"
    old.mkdir()
    for name in ("python3", "python", *(f"python3.{n}" for n in range(11, 15))):
        (old / name).write_text("#!/bin/sh\nexit 2\n")
        (old / name).chmod(0o755)
    done = subprocess.run(
        [recipe.folder / "run.sh", option],
        env={"PATH": f"{old}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert done.stderr == "run.sh: error: python 3.11 or newer is needed, and PATH has none\n"


def test_further_test_sets_and_a_whisper_alone(recipe):
    options = [
        "--dry_run",
        "--stage",
        "decode",
        "--targets",
        "farm",
        "--target_test",
        "test natural",
    ]
    options += [
        "--whisper_alone",
        "--encoder",
        "some/whisper",
        "--report_opts",
        "--normalizer english",
    ]
    shown = recipe.run(*options, "--standins", "false").splitlines()
    sets = [
        line.rpartition("--data ")[2] for line in shown if line.startswith("$ speechllm decode")
    ]
    assert set(sets) == {"data/source_test data/farm_test data/farm_natural"}
    alone = "$ speechllm whisper --model some/whisper --tag decode --out exp/whisper --data data/"
    assert [line for line in shown if "whisper --model" in line] == [
        f"{alone}{name}" for name in ("source_test", "farm_test", "farm_natural")
    ]
    assert next(line for line in shown if "report --exp" in line).endswith("--normalizer english")
    rule = ("--whisper_command", "python3 local/rule.py")
    shown = recipe.run(*options, "--standins", "false", *rule)
    assert "$ python3 local/rule.py --model some/whisper" in shown
    none = recipe.run(*options, "--standins", "false", "--encoder", "some/wavlm")
    assert "no Whisper is decoded alone, as some/wavlm is none" in none
    assert "speechllm whisper" not in none
    with_standins = recipe.run(*options)
    assert "speechllm whisper" not in with_standins
