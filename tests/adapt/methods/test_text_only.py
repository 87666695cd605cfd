"""Text-only tuning with its switches: as configs, and from base to bundle on tiny models."""

import json
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open
from safetensors.torch import load_file
from torch.testing import assert_close

from speechllm.adapt.method import load_method
from speechllm.adapt.methods.text_only import TextOnly
from speechllm.errors import ConfigError, SpeechLLMError
from speechllm.train.loop import CHECKPOINT, Trainer
from tests.helpers.forkserver import run_ranks
from tests.helpers.paths import ROOT
from tests.pipeline.test_stages import TRAIN, adapt_command, refused, run, work  # noqa: F401

CONFIGS = sorted(ROOT.glob("egs/mini/conf/standins/methods/text_only_*.yaml"))
SIZES = {"source": 300, "target": 100}
WER = {"every": 2, "decode": True}
SWITCHES = {
    "contrastive": {"learn_temperature": True},
    "alignment": {"kind": "mmd"},
    "curriculum": {"start": 0.25, "margin": 1.0},
    "pairs": {"share": 0.5},
}


def text_only(**knobs: object) -> TextOnly:
    return TextOnly(method="text_only", train={"steps": 1}, **knobs)


def test_the_switches_are_off_by_default() -> None:
    (phase,) = text_only().phases(SIZES)
    assert [(c.view, c.domain, c.share) for c in phase.components] == [("empty", "target", 1.0)]
    assert phase.trainable == ("llm.*.lora_*",)
    assert text_only().objective("the model") == "the model"
    assert text_only().controller("the mixture") is None


@pytest.mark.parametrize("switch", ["contrastive", "alignment"])
def test_source_pairs_come_with_what_compares_them(switch: str) -> None:
    method = text_only(**{switch: {}}, slot="clean_text", pairs={"share": 0.4})
    components = [(c.view, c.domain, c.share) for c in method.components(SIZES)]
    assert components == [("clean_text", "target", 0.6), ("audio", "source", 0.4)]


def test_only_a_learnt_temperature_is_trained() -> None:
    (fixed,) = text_only(contrastive={}).phases(SIZES)
    (learnt,) = text_only(contrastive={"learn_temperature": True}).phases(SIZES)
    assert set(learnt.trainable) - set(fixed.trainable) == {"scaffold.temperature.*"}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"pairs": {"share": 0.5}}, "nothing compares them"),
        ({"alignment": {"bandwidth": 2.0}}, "kind mmd alone"),
        ({"curriculum": {}}, "set monitor.decode: true"),
        ({"alignment": {}, "train": {"steps": 1, "layout": "alternating"}}, "keeps apart"),
        ({"alignment": {}, "pairs": {"share": 1.0}}, r"pairs\.share"),
        ({"contrastive": {"temperature": 0.0}}, r"contrastive\.temperature"),
        ({"contrastive": {"temprature": 0.1}}, "did you mean 'temperature'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, knobs: dict, message: str) -> None:
    path = tmp_path / "method.yaml"
    path.write_text(yaml.safe_dump({"method": "text_only", "train": {"steps": 1}, **knobs}))
    with pytest.raises(ConfigError, match=message):
        load_method(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_the_ablations_train_two_steps(work: Path, path: Path) -> None:  # noqa: F811
    values = yaml.safe_load(path.read_text())
    train = {**values.pop("train"), "steps": 2, "warmup_steps": 1, "log_every": 1}
    monitor = {**values.pop("monitor"), "every": 1, "utterances": 4}
    name = values.pop("method")
    knobs = {**values, "train": train, "monitor": monitor}
    command = adapt_command(work, name, **knobs)
    folder = work / "exp/base" / path.stem
    run(*command[:-1], str(folder))
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    logged = [line["train"] for line in lines if "train" in line][-1]
    switched = {"contrastive", "alignment"} & values.keys()
    added = logged.keys() - {"loss", "token_accuracy"}
    assert added == switched | ({"lm"} if switched else set())
    assert all(logged[name] > 0 for name in added)
    with safe_open(folder / "model/trained.safetensors", "pt") as file:
        assert all(".lora_" in name for name in file.keys())  # noqa: SIM118


def test_a_killed_run_with_all_switches_resumes_bit_equal(
    work: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed after the curriculum has grown, between two evaluations."""
    train = {**TRAIN, "steps": 9, "checkpoint_every": 5, "batch_positions": 700, "log_every": 1}
    command = adapt_command(work, "text_only", **SWITCHES, train=train, monitor=WER)[:-1]
    whole, killed = work / "exp/base/whole", work / "exp/base/killed"
    run(*command, str(whole))
    save = Trainer._save

    def save_and_die(self: Trainer) -> None:
        save(self)
        raise SpeechLLMError("killed")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Trainer, "_save", save_and_die)
        run(*command, str(killed))
    with safe_open(killed / CHECKPOINT, "pt") as file:
        assert json.loads(file.metadata()["state"])["controller"]["growths"] == 2
        assert "model.scaffold.temperature.theta" in file.keys()  # noqa: SIM118
    run(*command, str(killed))
    name = "model/trained.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()
    logs = [(f / "train.jsonl").read_text().splitlines() for f in (whole, killed)]
    dev = [[x for x in map(json.loads, log) if "dev" in x] for log in logs]
    train = [[x["train"] for x in map(json.loads, log) if "train" in x] for log in logs]
    assert train[0] == train[1] and all(x["contrastive"] * x["alignment"] for x in train[0])
    assert dev[0] == dev[1]
    pace = [action for x in dev[0] for action in x["actions"] if "easiest" in action]
    assert pace == [*("easiest=0.45", "easiest=0.65", "easiest=0.85", "easiest=1.00")]


def test_two_processes_train_as_one_that_accumulates(
    work: Path,  # noqa: F811
    warm_folder: Path,
) -> None:
    train = {**TRAIN, "batch_positions": 350}
    knobs = {**SWITCHES, "lora": {"dropout": 0.0}, "monitor": WER}
    command = adapt_command(work, "text_only", **knobs, train=train)[:-1]
    run_ranks(warm_folder, [*command, f"{work}/exp/base/two"])
    run(*command, f"{work}/exp/base/one", "train.accumulate=2")
    one, two = (load_file(work / f"exp/base/{n}/model/trained.safetensors") for n in ("one", "two"))
    for name in one:
        assert_close(one[name], two[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("layer", "message"), [(0, "frozen projector"), (7, "no layer 7")])
def test_a_layer_that_nothing_reaches_is_refused(
    work: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    layer: int,
    message: str,
) -> None:
    command = adapt_command(work, "text_only", alignment={"layer": layer})[:-1]
    assert message in refused([*command, f"{work}/exp/base/refused"], capsys)
    assert not (work / "exp/base/refused/train.jsonl").exists()


def test_the_llms_input_can_be_aligned_by_a_trained_projector(work: Path) -> None:  # noqa: F811
    larger = {**TRAIN, "batch_positions": 1000}  # two of each side in a batch
    knobs = {"alignment": {"layer": 0}, "trainable": ["projector.*"], "train": larger}
    run(*adapt_command(work, "text_only", **knobs)[:-1], f"{work}/exp/base/projector")
    record = json.loads((work / "exp/base/projector/run.json").read_text())
    assert record["seen"].keys() == {"target/empty", "source/audio"}


def test_pairs_need_source_speech(work: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    command = adapt_command(work, "text_only", contrastive={})[:-1]
    place = command.index("--source") + 1
    command[place] = f"{work}/data/text_train"
    assert "needs source speech" in refused([*command, f"{work}/exp/base/mute"], capsys)
