"""What methods keep, count and leave out, and egs/mini's configs, on tiny random models."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.helpers.paths import ROOT
from tests.pipeline import test_stages as pipeline
from tests.pipeline.test_stages import TRAIN, adapt_command, refused, run

work = pipeline.work
CONF = ROOT / "egs/mini/conf/standins"
MINI = sorted([*CONF.glob("adapt/*.yaml"), *CONF.glob("methods/*.yaml")])
SIMULATED = ("posterior", "adaptive_simulated")  # the random encoder has no CTC head
MINI = [path for path in MINI if path.stem not in SIMULATED]
LAST = {"every": 2, "keep_best": False}


@pytest.mark.parametrize("config", MINI, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_two_steps_of_every_config_of_mini(work: Path, config: Path) -> None:
    values = yaml.safe_load(config.read_text())
    for key in [key for key in values if key == "train" or key.endswith("_train")]:
        values[key] |= {"steps": 2, "precision": "fp32"}
    values["monitor"]["every"] = 2
    if "keep" in values:  # none of a random model's hypotheses are worth keeping
        values["keep"] = {"truncated": True}
    name = values["method"]
    command = adapt_command(work, name, name=f"{config.stem}_")
    (work / f"{config.stem}_{name}.yaml").write_text(yaml.safe_dump(values))
    run(*command)
    record = json.loads((work / f"exp/base/{config.stem}_{name}_target_train/run.json").read_text())
    assert record["steps"] == 2 * len(record["phases"])


def test_noise_of_every_kind_is_a_matter_of_the_config(work: Path) -> None:
    for kind in ("naive", "random", "echo", "empty", "projector"):
        run(*adapt_command(work, "denoise", name=kind, noise={"kind": kind}, sigma_ta=0.0))
        record = json.loads((work / f"exp/base/{kind}denoise_target_train/run.json").read_text())
        assert record["config"]["noise"]["kind"] == kind
        assert record["seen"]["source/projected_text"] == 0


def test_without_share_nothing_is_projected(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import speechllm.adapt.run as adaptation

    def fail(*args: object) -> None:
        raise AssertionError("projected text was computed")

    monkeypatch.setattr(adaptation, "projected_text", fail)
    run(*adapt_command(work, "denoise", name="unprojected_", sigma_ta=0.0))
    run(*adapt_command(work, "mixed_batching", name="unprojected_", sigma_ta=0.0, sigma_a=0.0))
    with pytest.raises(AssertionError, match="was computed"):
        run(*adapt_command(work, "denoise", name="projected_"))


def test_noise_like_the_projectors_needs_source_speech(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knobs = {"noise": {"kind": "projector"}, "tau": 1.0}
    command = adapt_command(work, "denoise", name="mute_", **knobs)
    command[command.index("--source") + 1] = f"{work}/data/text_train"
    assert "needs source speech, but text_train has no audio" in refused(command, capsys)


def test_soft_prompts_are_kept_and_shared(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file

    run(*adapt_command(work, "soft_prompt", name="kept_", monitor=LAST))
    folder = work / "exp/base/kept_soft_prompt_target_train"
    file = folder / "prompt/trained.safetensors"
    vectors = load_file(file)["scaffold.soft_prompt.vectors"]
    assert vectors.shape == (5, 16) and file.stat().st_size < 1000
    assert b"soft_prompt" not in (folder / "model/trained.safetensors").read_bytes()
    lines = (folder / "prompt/train.jsonl").read_text().splitlines()
    assert not any("dev" in json.loads(line) for line in lines)
    run(*adapt_command(work, "soft_prompt", name="taken_", prompt_file=str(file), monitor=LAST))
    taken = work / "exp/base/taken_soft_prompt_target_train"
    bundles = [f / "model/trained.safetensors" for f in (folder, taken)]
    assert bundles[0].read_bytes() == bundles[1].read_bytes()
    learnt = load_file(bundles[0])
    assert all(tensor.any() for name, tensor in learnt.items() if "lora_B" in name)
    wrong = adapt_command(work, "soft_prompt", name="w_", prompt_file=str(file), length=7)
    assert "set length and mlp" in refused(wrong, capsys)


def test_a_killed_second_phase_goes_on_bit_equal(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speechllm.train.loop import Trainer

    class Killed(Exception):
        pass

    train = {**TRAIN, "checkpoint_every": 1}
    run(*adapt_command(work, "soft_prompt", name="whole_run_", train=train, monitor=LAST))
    command = adapt_command(work, "soft_prompt", name="killed_run_", train=train, monitor=LAST)
    save = Trainer._save

    def kill(trainer: Trainer) -> None:
        save(trainer)
        if trainer.folder.name == "tuning" and trainer.position.step == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", kill)
        with pytest.raises(Killed):
            run(*command)
    run(*command)
    folders = [work / f"exp/base/{n}_run_soft_prompt_target_train" for n in ("whole", "killed")]
    one, two = ((f / "model/trained.safetensors").read_bytes() for f in folders)
    assert one == two


def test_redrawn_audio_is_counted_as_far_as_it_was_drawn(work: Path) -> None:
    hours = {}
    for name, knobs in {"fixed_": {}, "redrawn_": {"redraw": True}}.items():
        train = {**TRAIN, "steps": None, "epochs": 4}
        run(*adapt_command(work, "mixed_batching", name=name, train=train, p=0.25, **knobs))
        folder = work / f"exp/base/{name}mixed_batching_target_train"
        hours[name] = json.loads((folder / "run.json").read_text())["audio_hours_target"]
    every = sum(map(float, re.findall(r" (\S+)", (work / "data/target_train/utt2dur").read_text())))
    assert 0 < hours["fixed_"] < hours["redrawn_"] < every / 3600


def test_any_method_can_be_kept_near_the_base(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = {**TRAIN, "steps": 8, "lr": 0.02, "log_every": 1, "accumulate": 2}
    train |= {"gradient_checkpointing": True}
    ends = {}
    for name, kl in {"loose_": None, "held_": {"weight": 50.0}}.items():
        run(*adapt_command(work, "denoise", name=name, train=train, monitor=LAST, kl=kl))
        log = (work / f"exp/base/{name}denoise_target_train/train.jsonl").read_text()
        steps = [json.loads(line)["train"] for line in log.splitlines() if "train" in line]
        ends[name] = steps[-1].get("lm", steps[-1]["loss"])
    assert steps[0]["kl"] == 0 < steps[-1]["kl"]
    for step in steps:
        assert step["loss"] == pytest.approx(step["lm"] + 50 * step["kl"], rel=1e-4)
    assert ends["loose_"] < ends["held_"]  # it learns less from what it is shown
    command = adapt_command(work, "text_only", name="deaf_", kl={"rows": "speech"})
    assert "text_only has no rows with speech" in refused(command, capsys)
